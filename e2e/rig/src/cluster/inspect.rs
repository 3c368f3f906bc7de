//! What the engine says of a container.

use testcontainers::bollard::Docker;
use testcontainers::bollard::models::ContainerInspectResponse;

use super::error::ClusterError;

/// What the engine says of a container.
pub(super) async fn inspect(
    docker: &Docker,
    container: &str,
) -> Result<ContainerInspectResponse, ClusterError> {
    let seen = docker.inspect_container(container, None).await;
    seen.map_err(ClusterError::engine(format!(
        "inspect the container {container}"
    )))
}

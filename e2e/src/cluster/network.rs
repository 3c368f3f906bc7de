//! The engine's network that the nodes of one cluster share.
//!
//! Only a cluster with agents has one: it carries the run's labels, so whoever removes the run's containers finds it too.

use std::collections::HashMap;

use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::models::{Network, NetworkCreateRequest};
use testcontainers::bollard::query_parameters::ListNetworksOptionsBuilder;

use super::ClusterError;

/// Makes the network `name`.
pub(super) async fn create(
    docker: &Docker,
    name: &str,
    labels: HashMap<String, String>,
) -> Result<(), ClusterError> {
    let request = NetworkCreateRequest {
        name: name.to_owned(),
        driver: Some("bridge".to_owned()),
        labels: Some(labels),
        ..NetworkCreateRequest::default()
    };
    let created = docker.create_network(request).await;
    created
        .map(drop)
        .map_err(ClusterError::engine(format!("make the network {name}")))
}

/// The networks that carry a label, given as `key` or `key=value`.
pub(super) async fn labelled(docker: &Docker, label: &str) -> Result<Vec<Network>, ClusterError> {
    let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
    let options = ListNetworksOptionsBuilder::default()
        .filters(&filters)
        .build();
    docker
        .list_networks(Some(options))
        .await
        .map_err(ClusterError::engine("list the networks of earlier runs"))
}

/// Removes a network; one that is gone already is fine.
pub(super) async fn remove(docker: &Docker, name: &str) -> Result<(), ClusterError> {
    match docker.remove_network(name).await {
        Ok(())
        | Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(()),
        Err(source) => Err(ClusterError::EngineCall {
            action: format!("remove the network {name}"),
            source,
        }),
    }
}

/// The address that a container has on a network.
pub(super) async fn address(
    docker: &Docker,
    container: &str,
    network: &str,
) -> Result<String, ClusterError> {
    let seen = docker
        .inspect_container(container, None)
        .await
        .map_err(ClusterError::engine(format!(
            "inspect the container {container}"
        )))?;
    let endpoint = seen
        .network_settings
        .and_then(|settings| settings.networks)
        .and_then(|mut networks| networks.remove(network));
    let address = endpoint
        .and_then(|endpoint| endpoint.ip_address)
        .filter(|address| !address.is_empty());
    address.ok_or_else(|| ClusterError::NoAddress {
        container: container.to_owned(),
        network: network.to_owned(),
    })
}

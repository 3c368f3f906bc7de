//! The engine's network that the nodes of one cluster share.
//!
//! Only a cluster with agents has one: it carries the run's labels, so whoever removes the run's containers finds it too.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::models::{Network, NetworkCreateRequest};
use testcontainers::bollard::query_parameters::ListNetworksOptionsBuilder;

use tokio::time::{Instant, sleep};

use super::error::ClusterError;
use super::inspect::inspect;

/// How long a container that is being removed may stay on its network.
const UNUSED_LIMIT: Duration = Duration::from_secs(20);
/// Time between two attempts to remove a network that is in use.
const UNUSED_PERIOD: Duration = Duration::from_millis(250);

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
///
/// One that a container is still on is waited for: somebody else may be removing that container right now.
pub(super) async fn remove(docker: &Docker, name: &str) -> Result<(), ClusterError> {
    match once_unused(|| docker.remove_network(name)).await {
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

/// Tries again while the engine refuses because the network is in use, for a short while; gives the last answer.
async fn once_unused<F>(mut attempt: impl FnMut() -> F) -> Result<(), Error>
where
    F: Future<Output = Result<(), Error>>,
{
    let deadline = Instant::now() + UNUSED_LIMIT;
    loop {
        match attempt().await {
            // 403: it has active endpoints; some engines say 409.
            Err(Error::DockerResponseServerError {
                status_code: 403 | 409,
                ..
            }) if Instant::now() < deadline => sleep(UNUSED_PERIOD).await,
            answer => return answer,
        }
    }
}

/// The address that a container has on a network.
pub(super) async fn address(
    docker: &Docker,
    container: &str,
    network: &str,
) -> Result<String, ClusterError> {
    let seen = inspect(docker, container).await?;
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

/// The gateway of the network that a container is on: the address by which it reaches this machine.
pub(super) async fn gateway(docker: &Docker, container: &str) -> Result<IpAddr, ClusterError> {
    let seen = inspect(docker, container).await?;
    let networks = seen
        .network_settings
        .and_then(|settings| settings.networks)
        .unwrap_or_default();
    let mut gateways = networks.into_values().filter_map(|network| network.gateway);
    let gateway = gateways.find_map(|gateway| gateway.parse().ok());
    gateway.ok_or_else(|| ClusterError::NoAddressOfThisMachine {
        action: format!("find the gateway of the container {container}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status_code: u16) -> Result<(), Error> {
        Err(Error::DockerResponseServerError {
            status_code,
            message: "has active endpoints".to_owned(),
        })
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_is_removed_once_the_container_on_it_is_gone() {
        let mut attempts = 0;
        let removed = once_unused(|| {
            attempts += 1;
            std::future::ready(if attempts < 4 { refused(403) } else { Ok(()) })
        });
        assert!(removed.await.is_ok());
        assert_eq!(attempts, 4);
    }

    #[tokio::test(start_paused = true)]
    async fn a_network_that_stays_in_use_is_given_up_with_the_engines_answer() {
        let began = Instant::now();
        let answer = once_unused(|| std::future::ready(refused(403))).await;
        assert!(answer.unwrap_err().to_string().contains("active endpoints"));
        assert!(began.elapsed() < UNUSED_LIMIT + Duration::from_secs(1));
    }

    #[tokio::test(start_paused = true)]
    async fn another_answer_is_taken_at_once() {
        let began = Instant::now();
        assert!(
            once_unused(|| std::future::ready(refused(500)))
                .await
                .is_err()
        );
        assert_eq!(began.elapsed(), Duration::ZERO);
    }
}

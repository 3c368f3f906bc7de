//! Removes containers and networks that nobody owns any more.

use std::collections::{BTreeSet, HashMap};

use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use testcontainers::bollard::query_parameters::{
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder,
};

use super::error::ClusterError;
use super::network;
use super::owner::{self, Liveness, Owner, RunId, Seen};
use crate::engine::Engine;
use crate::progress::Progress;

/// Removes what earlier runs left behind because they were killed, and says so.
///
/// Returns the names of the removed containers and networks.
pub async fn sweep(engine: &Engine, progress: &dyn Progress) -> Result<Vec<String>, ClusterError> {
    let docker = engine.docker();
    let me = Owner::this_process();
    let local = engine.facts().address.local;
    let mut removed = Vec::new();
    // A network can't be told to be at rest, but its containers can.
    let mut ended_runs = BTreeSet::new();
    for container in labelled(docker, owner::RUN).await? {
        let labels = container.labels.clone().unwrap_or_default();
        let name = name(&container);
        let seen = Seen {
            engine_is_local: local,
            // One that is only created may be about to start.
            ended: matches!(
                container.state,
                Some(ContainerSummaryStateEnum::EXITED | ContainerSummaryStateEnum::DEAD)
            ),
        };
        match owner::judge(&labels, &me, seen) {
            None | Some(Liveness::Alive) => {}
            Some(Liveness::Gone) => {
                remove(docker, &name).await?;
                progress.note(&format!("removed the container {name}, left behind by a run that was killed"));
                ended_runs.extend(labels.get(owner::RUN).cloned());
                removed.push(name);
            }
            Some(Liveness::Unknown) => progress.note(&format!(
                "the container {name} belongs to a run on another machine, in a container or before a restart; if that is gone: docker rm -f -v {name}"
            )),
        }
    }
    for network in network::labelled(docker, owner::RUN).await? {
        let labels = network.labels.unwrap_or_default();
        let name = network.name.unwrap_or_default();
        let seen = Seen {
            engine_is_local: local,
            ended: labels
                .get(owner::RUN)
                .is_some_and(|run| ended_runs.contains(run)),
        };
        match owner::judge(&labels, &me, seen) {
            None | Some(Liveness::Alive) => {}
            Some(Liveness::Gone) => {
                network::remove(docker, &name).await?;
                progress.note(&format!("removed the network {name}, left behind by a run that was killed"));
                removed.push(name);
            }
            Some(Liveness::Unknown) => progress.note(&format!(
                "the network {name} belongs to a run on another machine, in a container or before a restart; if that is gone: docker network rm {name}"
            )),
        }
    }
    Ok(removed)
}

/// Removes every container and network of one run; returns their names.
pub(super) async fn remove_run(docker: &Docker, run: &RunId) -> Result<Vec<String>, ClusterError> {
    let label = format!("{}={run}", owner::RUN);
    let mut removed = Vec::new();
    for container in labelled(docker, &label).await? {
        let name = name(&container);
        remove(docker, &name).await?;
        removed.push(name);
    }
    for network in network::labelled(docker, &label).await? {
        let name = network.name.unwrap_or_default();
        network::remove(docker, &name).await?;
        removed.push(name);
    }
    Ok(removed)
}

/// Removes a container and its anonymous volumes, whatever its state; one that is gone already is fine.
pub(super) async fn remove(docker: &Docker, name: &str) -> Result<(), ClusterError> {
    let options = RemoveContainerOptionsBuilder::default()
        .force(true)
        .v(true)
        .build();
    match docker.remove_container(name, Some(options)).await {
        // 409: somebody else is removing it right now.
        Ok(())
        | Err(Error::DockerResponseServerError {
            status_code: 404 | 409,
            ..
        }) => Ok(()),
        Err(source) => Err(ClusterError::EngineCall {
            action: format!("remove the container {name}"),
            source,
        }),
    }
}

/// The containers that carry a label, given as `key` or `key=value`, whatever their state.
pub(super) async fn labelled(
    docker: &Docker,
    label: &str,
) -> Result<Vec<ContainerSummary>, ClusterError> {
    let filters = HashMap::from([("label".to_owned(), vec![label.to_owned()])]);
    let options = ListContainersOptionsBuilder::default()
        .all(true)
        .filters(&filters)
        .build();
    docker
        .list_containers(Some(options))
        .await
        .map_err(ClusterError::engine("list the containers of earlier runs"))
}

/// The name of a container; its id where it has none.
pub(super) fn name(container: &ContainerSummary) -> String {
    let names = container.names.iter().flatten().next();
    let name = names.map(|name| name.trim_start_matches('/').to_owned());
    name.or_else(|| container.id.clone()).unwrap_or_default()
}

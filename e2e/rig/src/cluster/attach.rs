//! Clusters that an earlier run kept: found by the labels of their containers, and used again.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::ValueEnum;
use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{ContainerSummary, ContainerSummaryStateEnum};
use tokio::time::timeout;

use super::args::ClusterOptions;
use super::choice::ProviderChoice;
use super::error::ClusterError;
use super::image::Image;
use super::kept::Kept;
use super::on_node::NodeAccess;
use super::owner::{self, RunId};
use super::ready;
use super::running::{Cluster, Containers};
use super::server::{AGENT_ROLE, SERVER_ROLE, authority};
use super::sweep;
use crate::engine::Engine;
use crate::progress::Progress;
use failover_judging::report::Provider;

/// How long a cluster that runs may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

const API_PORT: u16 = 6443;

/// A kept cluster as the engine shows it.
#[derive(Debug, Clone, Default)]
struct Found {
    created: i64,
    server: Option<ContainerSummary>,
    agents: Vec<ContainerSummary>,
}

impl Cluster {
    /// Uses a kept cluster again; images are loaded where their content differs from what a node has.
    pub(super) async fn attach(
        engine: Engine,
        kept: &Kept,
        options: &ClusterOptions,
        progress: &dyn Progress,
    ) -> Result<Self, ClusterError> {
        let found = pick(kept, kept_clusters(engine.docker()).await?)?;
        let (server, provider) = (found.name(), found.provider()?);
        if let Some(asked) = options.provider.filter(|asked| *asked != provider) {
            return Err(ClusterError::Setting {
                field: "--provider",
                value: asked.to_string(),
                rule: format!("the kept cluster {server} is one of --provider {provider}"),
            });
        }
        let port = found.port()?;
        let host = engine.published_host().await;
        let address = format!("https://{}", authority(&host, port));
        progress.step(&format!("attaching to {server}"));
        let containers = found.containers();
        let agents = containers.keys().filter(|name| **name != server);
        let agents = agents.cloned().collect();
        let access = NodeAccess::Containers {
            docker: engine.docker().clone(),
            containers,
        };
        let ready = match timeout(ANSWER_LIMIT, ready::look(&server, &address, &access)).await {
            Ok(Ok(ready)) => ready,
            Ok(Err(missing)) => {
                let (waiting_for, last) = (missing.waiting_for, missing.last);
                return Err(broken(&server, format!("it lacks {waiting_for}: {last}")));
            }
            Err(_) => {
                let silence = format!("no answer within {} s", ANSWER_LIMIT.as_secs());
                return Err(broken(&server, silence));
            }
        };
        let choice = ProviderChoice {
            provider,
            image: found.image(),
            reason: format!("an earlier run kept the cluster {server}"),
        };
        progress.note(&format!("cluster provider {provider}: {}", choice.reason));
        let containers = Containers {
            server,
            agents,
            engine,
            guardian: None,
            attached: true,
        };
        // The run is a new one, only its cluster is not.
        let run = RunId::random();
        let listen_on = options.listen_on;
        let cluster = Self::of(run, choice, ready, access, containers, listen_on);
        for image in &options.images {
            cluster.bring_image(image, progress).await?;
        }
        Ok(cluster)
    }
}

/// All kept clusters, the one that was started last at the end.
async fn kept_clusters(docker: &Docker) -> Result<Vec<Found>, ClusterError> {
    let containers = sweep::labelled(docker, owner::KEEP).await?;
    Ok(grouped(containers))
}

fn grouped(containers: Vec<ContainerSummary>) -> Vec<Found> {
    let mut runs: BTreeMap<String, Found> = BTreeMap::new();
    for container in containers {
        let label = |name: &str| container.labels.as_ref()?.get(name).cloned();
        let (Some(run), role) = (label(owner::RUN), label(owner::ROLE)) else {
            continue;
        };
        let found = runs.entry(run).or_default();
        match role.as_deref() {
            Some(SERVER_ROLE) => {
                found.created = container.created.unwrap_or_default();
                found.server = Some(container);
            }
            Some(AGENT_ROLE) => found.agents.push(container),
            _ => {}
        }
    }
    let mut found: Vec<Found> = runs
        .into_values()
        .filter(|found| found.server.is_some())
        .collect();
    found.sort_by_key(|found| found.created);
    found
}

fn pick(kept: &Kept, mut found: Vec<Found>) -> Result<Found, ClusterError> {
    let available = if found.is_empty() {
        "there is none".to_owned()
    } else {
        let names: Vec<String> = found.iter().map(Found::name).collect();
        format!("there are: {}", names.join(", "))
    };
    let picked = match kept {
        Kept::Last => found.pop(),
        Kept::Named(name) => found
            .into_iter()
            .find(|found| found.name() == *name || found.run() == Some(name)),
    };
    picked.ok_or_else(|| ClusterError::NoKeptCluster {
        name: kept.to_string(),
        available,
    })
}

impl Found {
    fn name(&self) -> String {
        self.server.as_ref().map(sweep::name).unwrap_or_default()
    }

    fn run(&self) -> Option<&String> {
        self.server.as_ref()?.labels.as_ref()?.get(owner::RUN)
    }

    fn provider(&self) -> Result<Provider, ClusterError> {
        let labels = self
            .server
            .as_ref()
            .and_then(|server| server.labels.as_ref());
        let label = labels.and_then(|labels| labels.get(owner::PROVIDER));
        label
            .and_then(|label| Provider::from_str(label, false).ok())
            .ok_or_else(|| broken(&self.name(), "its labels name no provider".to_owned()))
    }

    /// The port at which its API is reached here; all of its containers have to run.
    fn port(&self) -> Result<u16, ClusterError> {
        let still = self
            .server
            .iter()
            .chain(&self.agents)
            .find(|container| container.state != Some(ContainerSummaryStateEnum::RUNNING));
        if let Some(container) = still {
            let name = sweep::name(container);
            return Err(broken(
                &self.name(),
                format!("the container {name} does not run"),
            ));
        }
        let ports = self
            .server
            .iter()
            .flat_map(|server| server.ports.iter().flatten());
        let mut published = ports.filter(|port| port.private_port == API_PORT);
        published
            .find_map(|port| port.public_port)
            .ok_or_else(|| broken(&self.name(), "its API server has no port here".to_owned()))
    }

    fn containers(&self) -> BTreeMap<String, String> {
        let all = self.server.iter().chain(&self.agents);
        all.filter_map(|container| Some((sweep::name(container), container.id.clone()?)))
            .collect()
    }

    fn image(&self) -> Option<Image> {
        let server = self.server.as_ref()?;
        Some(Image {
            reference: server.image.clone()?,
            digest: server.image_id.clone()?,
        })
    }
}

fn broken(name: &str, reason: String) -> ClusterError {
    ClusterError::KeptClusterBroken {
        name: name.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use testcontainers::bollard::models::PortSummary;

    use super::*;
    use failover_judging::samples::says;

    fn container(run: &str, role: &str, name: &str, created: i64) -> ContainerSummary {
        let labels = [
            (owner::RUN, run),
            (owner::ROLE, role),
            (owner::PROVIDER, "node"),
            (owner::KEEP, "true"),
        ];
        let labels = labels.map(|(key, value)| (key.to_owned(), value.to_owned()));
        ContainerSummary {
            id: Some(format!("id-of-{name}")),
            names: Some(vec![format!("/{name}")]),
            image: Some("five-spot/node:v1.34.4".to_owned()),
            image_id: Some("sha256:0".to_owned()),
            created: Some(created),
            labels: Some(HashMap::from(labels)),
            state: Some(ContainerSummaryStateEnum::RUNNING),
            ports: Some(vec![PortSummary {
                private_port: API_PORT,
                public_port: Some(40_001),
                ..PortSummary::default()
            }]),
            ..ContainerSummary::default()
        }
    }

    fn two() -> Vec<Found> {
        grouped(vec![
            container("b", SERVER_ROLE, "five-spot-e2e-b", 20),
            container("a", AGENT_ROLE, "five-spot-e2e-a-agent-1", 12),
            container("a", SERVER_ROLE, "five-spot-e2e-a", 10),
            container("a", AGENT_ROLE, "five-spot-e2e-a-agent-2", 12),
            // Its server is gone.
            container("c", AGENT_ROLE, "five-spot-e2e-c-agent-1", 30),
        ])
    }

    #[rstest::rstest]
    #[case("last", "five-spot-e2e-b")]
    #[case("five-spot-e2e-a", "five-spot-e2e-a")]
    #[case("a", "five-spot-e2e-a")]
    fn a_kept_cluster_is_found_by_its_name_or_its_age(#[case] kept: &str, #[case] name: &str) {
        let picked = pick(&kept.parse().unwrap(), two()).unwrap();
        assert_eq!(picked.name(), name);
    }

    #[test]
    fn a_name_that_is_not_there_is_refused_with_those_that_are() {
        let message = |found| {
            let error = pick(&Kept::Named("x".to_owned()), found).unwrap_err();
            assert!(error.is_usage());
            error.to_string()
        };
        let some = message(two());
        says(&some, &["--attach=x", "five-spot-e2e-a, five-spot-e2e-b"]);
        says(&message(Vec::new()), &["there is none"]);
    }

    #[test]
    fn all_of_its_containers_are_its_nodes() {
        let found = pick(&Kept::Named("a".to_owned()), two()).unwrap();
        let containers = found.containers();
        let nodes: Vec<&str> = containers.keys().map(String::as_str).collect();
        assert_eq!(
            nodes,
            [
                "five-spot-e2e-a",
                "five-spot-e2e-a-agent-1",
                "five-spot-e2e-a-agent-2"
            ]
        );
        assert_eq!(found.port().unwrap(), 40_001);
        assert_eq!(found.provider().unwrap(), Provider::Node);
    }

    #[test]
    fn one_of_which_a_node_does_not_run_is_refused_by_the_nodes_name() {
        let mut found = pick(&Kept::Named("a".to_owned()), two()).unwrap();
        found.agents[1].state = Some(ContainerSummaryStateEnum::EXITED);
        let message = found.port().unwrap_err().to_string();
        says(&message, &["five-spot-e2e-a-agent-2 does not run"]);
    }
}

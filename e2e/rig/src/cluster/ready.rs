//! Waits until a started cluster can take pods.
//!
//! The server's own word that it is up comes before the node is Ready and before the default ServiceAccount exists; a pod
//! created in between is refused.

use std::time::Duration;

use k8s_openapi::api::core::v1::{Node, ServiceAccount};
use kube::api::{Api, ListParams};
use kube::config::Kubeconfig;
use kube::{Client, ResourceExt};
use tokio::time::{Instant, sleep, timeout};

use super::access;
use super::args::ClusterOptions;
use super::error::ClusterError;
use super::flags::KUBECONFIG_PATH;
use super::on_node::NodeAccess;
use super::server::{Agent, Started};

const PAUSE: Duration = Duration::from_millis(200);
const CALL_LIMIT: Duration = Duration::from_secs(5);

/// A cluster that takes pods.
pub(super) struct Ready {
    pub(super) kubeconfig: Kubeconfig,
    pub(super) version: String,
}

/// What was waited for last, and what was seen instead.
pub(super) struct Missing {
    pub(super) waiting_for: &'static str,
    pub(super) last: String,
}

pub(super) async fn wait(
    started: &Started,
    access: &NodeAccess,
    options: &ClusterOptions,
) -> Result<Ready, ClusterError> {
    loop {
        let missing = match timeout(CALL_LIMIT, look(&started.name, &started.address, access)).await
        {
            Ok(Ok(ready)) => return Ok(ready),
            Ok(Err(missing)) => missing,
            Err(_) => Missing {
                waiting_for: "an answer of the API server",
                last: "silence".to_owned(),
            },
        };
        let running = started.container.is_running().await.unwrap_or(false);
        if !running || Instant::now() > started.deadline {
            let last = if running {
                missing.last
            } else {
                "the server has ended".to_owned()
            };
            return Err(ClusterError::NotReady {
                waiting_for: missing.waiting_for,
                last,
                limit: options.timeout,
                log: started.log.text(),
            });
        }
        sleep(PAUSE).await;
    }
}

/// Waits until every agent has joined and takes pods.
pub(super) async fn joined(
    agents: &[Agent],
    ready: &Ready,
    options: &ClusterOptions,
) -> Result<(), ClusterError> {
    let deadline = Instant::now() + options.timeout;
    let client = access::client(&ready.kubeconfig, None).await?;
    loop {
        let last = match timeout(CALL_LIMIT, not_ready(&client, agents)).await {
            Ok(Ok(None)) => return Ok(()),
            Ok(Ok(Some(last))) => last,
            Ok(Err(missing)) => missing.last,
            Err(_) => "silence".to_owned(),
        };
        for agent in agents {
            let running = agent.container.is_running().await.unwrap_or(false);
            if !running || Instant::now() > deadline {
                let last = if running {
                    last
                } else {
                    format!("{} has ended", agent.name)
                };
                return Err(ClusterError::NotReady {
                    waiting_for: "every agent to be Ready",
                    last,
                    limit: options.timeout,
                    log: agent.log.text(),
                });
            }
        }
        sleep(PAUSE).await;
    }
}

/// What the nodes of the agents lack, in words; `None` when they lack nothing.
async fn not_ready(client: &Client, agents: &[Agent]) -> Result<Option<String>, Missing> {
    let nodes = Api::<Node>::all(client.clone())
        .list(&ListParams::default())
        .await;
    let nodes = nodes.map_err(missing("a list of the nodes"))?.items;
    let lacking = agents.iter().find_map(|agent| {
        match nodes.iter().find(|node| node.name_any() == agent.name) {
            None => Some(format!("{} has not joined", agent.name)),
            Some(node) if is_ready(node) => None,
            Some(node) => {
                let words = describe(std::slice::from_ref(node));
                Some(format!("{}: {words}", agent.name))
            }
        }
    });
    Ok(lacking)
}

/// What a server shows of itself; an error names what it still lacks.
pub(super) async fn look(name: &str, address: &str, access: &NodeAccess) -> Result<Ready, Missing> {
    let command = ["cat", KUBECONFIG_PATH];
    let text = access
        .run(name, &command)
        .await
        .and_then(|output| output.success(name, &command));
    let text = text
        .map_err(missing("the kubeconfig of the administrator"))?
        .stdout;
    let kubeconfig = access::rewritten(&text, address)
        .map_err(missing("the kubeconfig of the administrator"))?;
    let client = access::client(&kubeconfig, None)
        .await
        .map_err(missing("an answer of the API server"))?;
    let version = client
        .apiserver_version()
        .await
        .map_err(missing("an answer of the API server"))?
        .git_version;
    let nodes = Api::<Node>::all(client.clone())
        .list(&ListParams::default())
        .await;
    let nodes = nodes.map_err(missing("a list of the nodes"))?.items;
    if nodes.is_empty() || !nodes.iter().all(is_ready) {
        return Err(Missing {
            waiting_for: "the node to be Ready",
            last: describe(&nodes),
        });
    }
    let accounts = Api::<ServiceAccount>::namespaced(client, "default");
    accounts
        .get("default")
        .await
        .map_err(missing("the default ServiceAccount"))?;
    Ok(Ready {
        kubeconfig,
        version,
    })
}

fn missing<E: std::error::Error>(waiting_for: &'static str) -> impl FnOnce(E) -> Missing {
    move |error| {
        let mut last = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            last = format!("{last}: {cause}");
            source = cause.source();
        }
        Missing { waiting_for, last }
    }
}

/// Whether a node takes part: its kubelet says so, and the node controller believes it.
pub fn is_ready(node: &Node) -> bool {
    let conditions = node
        .status
        .iter()
        .flat_map(|status| status.conditions.iter().flatten());
    conditions
        .into_iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

fn describe(nodes: &[Node]) -> String {
    let conditions = nodes.iter().flat_map(|node| {
        node.status
            .iter()
            .flat_map(|status| status.conditions.iter().flatten())
    });
    let words: Vec<String> = conditions
        .filter(|condition| condition.type_ == "Ready")
        .map(|condition| {
            condition
                .message
                .clone()
                .unwrap_or_else(|| condition.status.clone())
        })
        .collect();
    if words.is_empty() {
        "no node has reported yet".to_owned()
    } else {
        words.join("; ")
    }
}

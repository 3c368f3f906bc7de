//! What can be done to the nodes of a cluster as a whole: taken away, given back, set apart.

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::Client;
use kube::api::{Api, Patch, PatchParams};
use serde_json::json;
use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error;
use tokio::time::{Instant, sleep};

use super::error::ClusterError;
use super::inspect::inspect;
use super::ready;
use super::running::Cluster;

/// A taint that pods tolerate only if they are part of the cluster itself.
const CONTROL_PLANE: &str = "node-role.kubernetes.io/control-plane";

/// How long the processes of a killed node may take to be gone.
const END_LIMIT: Duration = Duration::from_secs(20);

const PAUSE: Duration = Duration::from_millis(50);

/// Drops every packet that comes to a node or leaves it, its pods' included. What goes out is cut first: an answer alone
/// does no harm. One shell, so that all of it takes one call.
const CUT: &str = "iptables -w -I OUTPUT ! -o lo -j DROP && iptables -w -I FORWARD -j DROP \
                   && iptables -w -I INPUT ! -i lo -j DROP";

/// Keeps pods that are no part of the cluster itself from the server, as production clusters do.
pub(super) async fn reserve_server(client: Client, server: &str) -> Result<(), ClusterError> {
    // The key of a taint is what the patch merges by, so others stay.
    let taint = json!({"spec": {"taints": [{"key": CONTROL_PLANE, "effect": "NoSchedule"}]}});
    let nodes: Api<Node> = Api::all(client);
    let patched = nodes
        .patch(server, &PatchParams::default(), &Patch::Strategic(taint))
        .await;
    patched
        .map(drop)
        .map_err(ClusterError::api(format!("taint the node {server}")))
}

impl Cluster {
    /// The nodes beside the server's of a cluster that is made of containers.
    pub fn agents(&self) -> &[String] {
        self.containers
            .as_ref()
            .map_or(&[], |containers| containers.agents.as_slice())
    }

    /// Refuses what takes a node away where none can be given back, before anything has been done.
    ///
    /// # Errors
    /// When there are no two agents; the message names `action` and the flag that helps.
    pub fn require_agents(&self, action: &str) -> Result<(), ClusterError> {
        if self.agents().len() >= 2 {
            Ok(())
        } else {
            Err(ClusterError::NoAgents {
                action: action.to_owned(),
            })
        }
    }

    /// Refuses what needs another node for the operator to go to, before anything has been done. A cluster that does not
    /// tell its nodes is taken on trust.
    ///
    /// # Errors
    /// When there is one node that takes pods; the message names `action` and the flag that helps.
    pub fn require_two_nodes(&self, action: &str) -> Result<(), ClusterError> {
        let found = match &self.containers {
            Some(containers) => containers.agents.len().max(1),
            None => self.nodes().len(),
        };
        if found == 1 {
            return Err(ClusterError::TooFewNodes {
                action: action.to_owned(),
                found,
            });
        }
        Ok(())
    }

    /// Cuts an agent off from the network, in silence; [`Cluster::restart_node`] gives it back.
    pub async fn cut_node(&self, node: &str) -> Result<(), ClusterError> {
        self.agent_engine(node, "cut off")?;
        let command = ["sh", "-c", CUT];
        self.on_node(node, &command)
            .await?
            .success(node, &command)?;
        Ok(())
    }

    /// Ends an agent with everything on it at once, and waits until it is gone. The node stays in the API.
    pub async fn kill_node(&self, node: &str) -> Result<(), ClusterError> {
        let docker = self.agent_engine(node, "kill")?;
        match docker.kill_container(node, None).await {
            // 409: it does not run.
            Ok(())
            | Err(Error::DockerResponseServerError {
                status_code: 409, ..
            }) => {}
            Err(source) => {
                return Err(ClusterError::engine(format!("kill the container {node}"))(
                    source,
                ));
            }
        }
        let deadline = Instant::now() + END_LIMIT;
        while runs(docker, node).await? {
            if Instant::now() > deadline {
                return Err(ClusterError::OnNode {
                    node: node.to_owned(),
                    command: "SIGKILL for everything".to_owned(),
                    source: format!("it still runs after {} s", END_LIMIT.as_secs()).into(),
                });
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Starts an agent that was cut off or killed again, as after a loss of power. Whether it takes pods again is asked by
    /// [`Cluster::node_is_ready`].
    pub async fn restart_node(&self, node: &str) -> Result<(), ClusterError> {
        let docker = self.agent_engine(node, "start")?;
        if runs(docker, node).await? {
            self.kill_node(node).await?;
        }
        let started = docker.start_container(node, None).await;
        started.map_err(ClusterError::engine(format!("start the container {node}")))
    }

    /// Whether a node takes part, by what the API says.
    pub async fn node_is_ready(&self, client: &Client, node: &str) -> Result<bool, ClusterError> {
        let nodes: Api<Node> = Api::all(client.clone());
        let found = nodes
            .get(node)
            .await
            .map_err(ClusterError::api(format!("read the node {node}")))?;
        Ok(ready::is_ready(&found))
    }

    /// The engine, for an agent; anything else must not be taken away.
    fn agent_engine(&self, node: &str, action: &str) -> Result<&Docker, ClusterError> {
        let containers = self
            .containers
            .as_ref()
            .filter(|containers| containers.agents.iter().any(|agent| agent == node));
        containers
            .map(|containers| containers.engine.docker())
            .ok_or_else(|| ClusterError::NoAgents {
                action: format!("{action} the node {node}"),
            })
    }
}

async fn runs(docker: &Docker, container: &str) -> Result<bool, ClusterError> {
    let seen = inspect(docker, container).await?;
    Ok(seen
        .state
        .and_then(|state| state.running)
        .unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_leaves_the_node_is_cut_before_what_comes_to_it() {
        let places: Vec<_> = ["OUTPUT", "FORWARD", "INPUT"]
            .iter()
            .map(|chain| CUT.find(chain).unwrap())
            .collect();
        assert!(places.is_sorted(), "{CUT}");
        assert_eq!(CUT.matches("-j DROP").count(), 3);
    }
}

//! Commands on the machine or container that a Kubernetes node runs on.
//!
//! Three ways: by the engine's API into a container that this harness started, by a command that the user gives for a
//! cluster of their own, or not at all.

mod command;
mod container;
mod lines;
mod output;

pub use self::command::CommandTemplate;
pub(super) use self::container::Bytes;
pub use self::output::{LineStream, Output};
use std::collections::BTreeMap;

use testcontainers::bollard::Docker;

use self::output::joined;
use super::error::ClusterError;
use super::signal::Signal;

/// Signals that are ready to be sent.
#[must_use = "nothing is sent before it is fired"]
pub struct Aimed {
    node: String,
    signal: Signal,
    pids: Vec<String>,
    way: Way,
}

enum Way {
    /// By a process that is on the node already and waits for the numbers of those that it is to signal.
    Waiting(container::Waiting),
    /// By a command of the user's, which is started when the signals are sent.
    Command(CommandTemplate),
}

/// The way onto the nodes of one cluster.
#[derive(Debug, Clone)]
pub(super) enum NodeAccess {
    /// Containers of the engine, by node name.
    Containers {
        docker: Docker,
        containers: BTreeMap<String, String>,
    },
    /// The user's command.
    Template {
        template: CommandTemplate,
        nodes: Vec<String>,
    },
    /// None, and the node names.
    Closed { nodes: Vec<String> },
}

impl NodeAccess {
    pub(super) fn nodes(&self) -> Vec<&str> {
        match self {
            Self::Containers { containers, .. } => containers.keys().map(String::as_str).collect(),
            Self::Template { nodes, .. } | Self::Closed { nodes } => {
                nodes.iter().map(String::as_str).collect()
            }
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !matches!(self, Self::Closed { .. })
    }

    pub(super) async fn run(&self, node: &str, command: &[&str]) -> Result<Output, ClusterError> {
        self.known(node)?;
        match self {
            Self::Containers { docker, containers } => {
                let container = containers.get(node).map_or(node, String::as_str);
                container::run(docker, container, node, command, None).await
            }
            Self::Template { template, .. } => command::run(template, node, command).await,
            Self::Closed { .. } => Err(ClusterError::NoNodeAccess {
                action: format!("run `{}` on the node {node}", joined(command)),
            }),
        }
    }

    pub(super) async fn follow(
        &self,
        node: &str,
        command: &[&str],
    ) -> Result<LineStream, ClusterError> {
        self.known(node)?;
        match self {
            Self::Containers { docker, containers } => {
                let container = containers.get(node).map_or(node, String::as_str);
                container::follow(docker, container, node, command).await
            }
            Self::Template { template, .. } => command::follow(template, node, command),
            Self::Closed { .. } => Err(ClusterError::NoNodeAccess {
                action: format!("follow `{}` on the node {node}", joined(command)),
            }),
        }
    }

    /// Runs `command` in a container with `input` on its standard input.
    pub(super) async fn feed(
        &self,
        node: &str,
        command: &[&str],
        input: Bytes<'_>,
    ) -> Result<Output, ClusterError> {
        self.known(node)?;
        match self {
            Self::Containers { docker, containers } => {
                let container = containers.get(node).map_or(node, String::as_str);
                container::run(docker, container, node, command, Some(input)).await
            }
            Self::Template { .. } | Self::Closed { .. } => Err(ClusterError::NoNodeAccess {
                action: format!("feed `{}` on the node {node}", joined(command)),
            }),
        }
    }

    /// Prepares signals to processes on a node, so that sending them takes as little time as can be.
    pub(super) async fn aim(
        &self,
        node: &str,
        signal: Signal,
        pids: &[u32],
    ) -> Result<Aimed, ClusterError> {
        self.known(node)?;
        let way = match self {
            Self::Containers { docker, containers } => {
                let container = containers.get(node).map_or(node, String::as_str);
                let waiting = ["xargs", "kill", signal.flag()];
                Way::Waiting(container::start(docker, container, node, &waiting).await?)
            }
            // A command of the user's may not pass standard input on.
            Self::Template { template, .. } => Way::Command(template.clone()),
            Self::Closed { .. } => {
                return Err(ClusterError::NoNodeAccess {
                    action: format!("send a signal to processes on the node {node}"),
                });
            }
        };
        Ok(Aimed {
            node: node.to_owned(),
            signal,
            pids: pids.iter().map(u32::to_string).collect(),
            way,
        })
    }

    fn known(&self, node: &str) -> Result<(), ClusterError> {
        let nodes = self.nodes();
        // A server may forbid listing nodes; then the user's word for a node is taken.
        if nodes.is_empty() || nodes.contains(&node) {
            return Ok(());
        }
        Err(ClusterError::NoSuchNode {
            node: node.to_owned(),
            available: nodes.join(", "),
        })
    }
}

impl Aimed {
    /// Sends the signals. When this returns they are delivered.
    pub async fn fire(self) -> Result<(), ClusterError> {
        let mut command = vec!["kill", self.signal.flag()];
        command.extend(self.pids.iter().map(String::as_str));
        let output = match self.way {
            Way::Waiting(waiting) => waiting.go(self.pids.join(" ") + "\n").await?,
            Way::Command(template) => command::run(&template, &self.node, &command).await?,
        };
        output.success(&self.node, &command).map(drop)
    }
}

impl std::fmt::Debug for Aimed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Aimed")
            .field("node", &self.node)
            .field("signal", &self.signal)
            .field("pids", &self.pids)
            .finish_non_exhaustive()
    }
}

//! Commands on the machine or container that a Kubernetes node runs on.
//!
//! Three ways: by the engine's API into a container that this harness started, by a command that the user gives for a
//! cluster of their own, or not at all.

mod command;
mod container;
mod lines;

use std::collections::BTreeMap;
use std::fmt::Write as _;

use futures::stream::BoxStream;
use testcontainers::bollard::Docker;

pub use self::command::CommandTemplate;
pub(super) use self::container::Bytes;
use super::ClusterError;

/// What a command on a node wrote, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit status; 128 and the signal's number for a command that a signal ended.
    pub status: i64,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Lines as a command on a node writes them.
///
/// Ends with an error in every case: whoever follows a file does not expect its end. Dropping the stream ends the command,
/// in a container at its next write.
pub type LineStream = BoxStream<'static, Result<String, ClusterError>>;

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

impl Output {
    /// Itself, unless the status says failure.
    pub fn success(self, node: &str, command: &[&str]) -> Result<Self, ClusterError> {
        if self.status == 0 {
            return Ok(self);
        }
        let stderr = if self.stderr.trim().is_empty() {
            &self.stdout
        } else {
            &self.stderr
        };
        let stderr = stderr.trim().to_owned();
        Err(ClusterError::CommandFailed {
            node: node.to_owned(),
            command: joined(command),
            status: self.status,
            stderr,
        })
    }
}

fn joined(command: &[&str]) -> String {
    let mut text = String::new();
    for word in command {
        let gap = if text.is_empty() { "" } else { " " };
        if word.is_empty() || word.contains(char::is_whitespace) {
            let _ = write!(text, "{gap}'{word}'");
        } else {
            let _ = write!(text, "{gap}{word}");
        }
    }
    text
}

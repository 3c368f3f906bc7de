//! What can go wrong with a cluster; each message names what was attempted and what to do.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use kube::config::KubeconfigError;
use testcontainers::TestcontainersError;
use testcontainers::bollard;

use crate::engine::EngineError;
use failover_judging::report::Provider;

/// Why there is no cluster, or why something could not be done to it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message names each field")]
pub enum ClusterError {
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("{field}={value}: {rule}")]
    Setting {
        field: &'static str,
        value: String,
        rule: String,
    },
    #[error(
        "no image to start a cluster from: {k3s} is neither present nor can it be pulled ({why}), and {node} is not present; \
         build the node image with `just node`, or name your own cluster with --provider kubeconfig"
    )]
    NoClusterImage {
        k3s: String,
        node: String,
        why: String,
    },
    #[error("the image {image} is not in the docker engine; {advice}")]
    ImageMissing { image: String, advice: &'static str },
    #[error("cannot pull {image}: {why}; pull it by hand, or use --provider node")]
    Pull { image: String, why: String },
    #[error("cannot build the node image by {}", .program.display())]
    NodeBuild {
        program: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot {action}")]
    EngineCall {
        action: String,
        #[source]
        source: bollard::errors::Error,
    },
    #[error(
        "the container {container} has no address on the network {network}; look into the engine's log"
    )]
    NoAddress { container: String, network: String },
    #[error("cannot start a cluster from {image}; it has been removed, the end of its log:\n{log}")]
    Start {
        image: String,
        log: String,
        #[source]
        source: Box<TestcontainersError>,
    },
    #[error(
        "the cluster was not ready within {} s (--cluster-timeout): waited for {waiting_for}; last answer: {last}; \
         it has been removed, the end of its log:\n{log}", .limit.as_secs()
    )]
    NotReady {
        waiting_for: &'static str,
        last: String,
        limit: Duration,
        log: String,
    },
    #[error("cannot start the process that removes containers of a killed run ({})", .binary.display())]
    Guardian {
        binary: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot use the kubeconfig {path}{}; check --kubeconfig and --context", .context.as_ref().map(|name| format!(" with the context {name}")).unwrap_or_default())]
    Kubeconfig {
        path: String,
        context: Option<String>,
        #[source]
        source: Box<KubeconfigError>,
    },
    #[error("the kubeconfig {path} has no context {context}; it has: {available}")]
    NoContext {
        path: String,
        context: String,
        available: String,
    },
    #[error("the API server at {server} did not answer within {} s; check that the cluster runs and can be reached from here", .limit.as_secs())]
    Unreachable {
        server: String,
        limit: Duration,
        #[source]
        source: Option<Box<kube::Error>>,
    },
    #[error("cannot {action}")]
    Api {
        action: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error(
        "cannot {action}: this cluster was brought by its kubeconfig and there is no way onto its nodes; \
         give one with --on-node, for example --on-node 'docker exec {{node}}'"
    )]
    NoNodeAccess { action: String },
    #[error(
        "cannot {action}: the API server has to reach a listener of this program, and of a cluster that was brought by its \
         kubeconfig nothing tells by which address; name the address of this machine that it reaches with --listen-on"
    )]
    NoAddressOfThisMachine { action: String },
    #[error(
        "--listen-on={address}: no listener can be opened there; it has to be an address of this machine that the API \
         server reaches (default: the gateway of the network that the engine gave the cluster)"
    )]
    NoListener {
        address: IpAddr,
        #[source]
        source: std::io::Error,
    },
    #[error(
        "cannot {action}: it needs two nodes that take pods, and this cluster has {found}; bring one with more nodes, or \
         let the harness start one with --agents 2"
    )]
    TooFewNodes { action: String, found: usize },
    #[error(
        "cannot {action}: it takes a node away and gives it back, which the harness can do to agents that it started \
         itself and to no others; leave the cluster to it, with --agents 2"
    )]
    NoAgents { action: String },
    #[error(
        "--attach={name}: no kept cluster of that name is there; {available}. `failover cluster --keep` makes one"
    )]
    NoKeptCluster { name: String, available: String },
    #[error(
        "--attach={name}: {reason}; remove it with `docker rm -f -v {name}` and make a new one with `failover cluster --keep`"
    )]
    KeptClusterBroken { name: String, reason: String },
    #[error("the cluster has no node {node}; it has: {available}")]
    NoSuchNode { node: String, available: String },
    #[error("cannot run `{command}` on the node {node}")]
    OnNode {
        node: String,
        command: String,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("`{command}` on the node {node} ended with status {status}: {stderr}")]
    CommandFailed {
        node: String,
        command: String,
        status: i64,
        stderr: String,
    },
    #[error("cannot {action} with --provider {provider}; {advice}")]
    NotWithProvider {
        action: String,
        provider: Provider,
        advice: &'static str,
    },
    #[error("cannot write {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl ClusterError {
    /// Whether the user's input is at fault.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Setting { .. }
                | Self::ImageMissing { .. }
                | Self::Kubeconfig { .. }
                | Self::NoContext { .. }
                | Self::NoNodeAccess { .. }
                | Self::NoAddressOfThisMachine { .. }
                | Self::NoListener { .. }
                | Self::TooFewNodes { .. }
                | Self::NoAgents { .. }
                | Self::NoKeptCluster { .. }
                | Self::NoSuchNode { .. }
                | Self::NotWithProvider { .. }
        )
    }

    pub(crate) fn engine(action: impl Into<String>) -> impl FnOnce(bollard::errors::Error) -> Self {
        let action = action.into();
        move |source| Self::EngineCall { action, source }
    }

    pub(crate) fn api(action: impl Into<String>) -> impl FnOnce(kube::Error) -> Self {
        let action = action.into();
        move |source| Self::Api {
            action,
            source: Box::new(source),
        }
    }
}

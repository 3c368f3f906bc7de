//! A cluster that answers and takes pods.

use std::fmt;
use std::net::IpAddr;

use kube::config::Kubeconfig;
use kube::{Client, Config};

use super::access::{self, AuditLog};
use super::choice::ProviderChoice;
use super::error::ClusterError;
use super::guard::Guardian;
use super::on_node::NodeAccess;
use super::owner::RunId;
use super::ready::Ready;
use super::{flags, network};
use crate::engine::Engine;
use failover_judging::report::Provider;

/// A cluster that answers and takes pods.
pub struct Cluster {
    pub(super) run: RunId,
    pub(super) choice: ProviderChoice,
    pub(super) version: String,
    pub(super) kubeconfig: Kubeconfig,
    pub(super) access: NodeAccess,
    pub(super) audit_log: Option<AuditLog>,
    pub(super) containers: Option<Containers>,
    /// The address of this machine that its API server reaches, where the user gave it.
    pub(super) listen_on: Option<IpAddr>,
}

/// The parts of a cluster that is made of containers; a brought one has none.
pub(super) struct Containers {
    pub(super) server: String,
    pub(super) agents: Vec<String>,
    pub(super) engine: Engine,
    pub(super) guardian: Option<Guardian>,
    /// An earlier run kept it, so it stays.
    pub(super) attached: bool,
}

impl Cluster {
    /// A cluster of containers whose server is ready.
    pub(super) fn of(
        run: RunId,
        choice: ProviderChoice,
        ready: Ready,
        access: NodeAccess,
        containers: Containers,
        listen_on: Option<IpAddr>,
    ) -> Self {
        Self {
            run,
            choice,
            version: ready.version,
            kubeconfig: ready.kubeconfig,
            access,
            audit_log: Some(AuditLog {
                node: containers.server.clone(),
                path: flags::AUDIT_LOG_PATH.to_owned(),
            }),
            containers: Some(containers),
            listen_on,
        }
    }

    /// Identity of the run; part of the containers' names, unless they were kept by an earlier one.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Where the cluster comes from, which image, and why.
    pub fn choice(&self) -> &ProviderChoice {
        &self.choice
    }

    /// Where the cluster comes from.
    pub fn provider(&self) -> Provider {
        self.choice.provider
    }

    /// Version of its API server, such as `v1.34.4`.
    pub fn kubernetes_version(&self) -> &str {
        &self.version
    }

    /// Its kubeconfig, usable from this machine, with the right context as the current one.
    pub fn kubeconfig(&self) -> &Kubeconfig {
        &self.kubeconfig
    }

    /// The configuration of a client, to be changed by the caller (user agent, timeouts).
    pub async fn config(&self) -> Result<Config, ClusterError> {
        access::config(&self.kubeconfig, None).await
    }

    /// A new client. Each belongs to the runtime it was made on, so tests with a runtime each take one each.
    pub async fn client(&self) -> Result<Client, ClusterError> {
        access::client(&self.kubeconfig, None).await
    }

    /// The names of its nodes; empty where a brought cluster does not tell them.
    pub fn nodes(&self) -> Vec<&str> {
        self.access.nodes()
    }

    /// Commands can be run on nodes.
    pub fn reaches_nodes(&self) -> bool {
        self.access.is_open()
    }

    /// Refuses what needs a node before anything has been done.
    ///
    /// # Errors
    /// When commands cannot be run on nodes; the message names `action` and the flag that helps.
    pub fn require_nodes(&self, action: &str) -> Result<(), ClusterError> {
        if self.reaches_nodes() {
            Ok(())
        } else {
            Err(ClusterError::NoNodeAccess {
                action: action.to_owned(),
            })
        }
    }

    /// Refuses what needs the API server to reach this machine, before anything has been done.
    ///
    /// # Errors
    /// When nothing tells by which address; the message names `action` and the flag that helps.
    pub fn require_listener(&self, action: &str) -> Result<(), ClusterError> {
        if self.listen_on.is_some() || self.containers.is_some() {
            Ok(())
        } else {
            Err(ClusterError::NoAddressOfThisMachine {
                action: action.to_owned(),
            })
        }
    }

    /// The address of this machine that the API server reaches: the one that was given, else the gateway of its
    /// container's network.
    pub async fn address_of_this_machine(&self) -> Result<IpAddr, ClusterError> {
        match (self.listen_on, &self.containers) {
            (Some(address), _) => Ok(address),
            (None, Some(Containers { server, engine, .. })) => {
                network::gateway(engine.docker(), server).await
            }
            (None, None) => Err(ClusterError::NoAddressOfThisMachine {
                action: "listen for the API server".to_owned(),
            }),
        }
    }

    /// Where the audit log is; `None` when a brought cluster has none that can be read.
    pub fn audit_log(&self) -> Option<&AuditLog> {
        self.audit_log.as_ref()
    }

    /// Name of the server's container; a brought cluster has none.
    pub fn server_container_name(&self) -> Option<&str> {
        self.containers
            .as_ref()
            .map(|containers| containers.server.as_str())
    }

    /// An earlier run kept it, and it stays when this one is over.
    pub fn is_attached(&self) -> bool {
        self.containers
            .as_ref()
            .is_some_and(|containers| containers.attached)
    }
}

impl fmt::Debug for Cluster {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The kubeconfig holds keys.
        formatter
            .debug_struct("Cluster")
            .field("run", &self.run)
            .field("choice", &self.choice)
            .field("version", &self.version)
            .field("nodes", &self.nodes())
            .finish_non_exhaustive()
    }
}

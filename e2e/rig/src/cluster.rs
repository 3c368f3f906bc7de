//! The cluster that failover is measured on.
//!
//! Three providers behind one type: k3s and the node image are containers started by the same code, `kubeconfig` is a
//! cluster that exists already. A started cluster is one server, and agents where they are asked for. It is removed when
//! it is stopped or dropped, and by a guardian process when this one is killed; nothing of it outlives the run unless it
//! is kept on purpose, and then a later run may attach to it.

mod access;
mod args;
mod attach;
mod boot;
mod choice;
mod end;
mod error;
mod flags;
mod guard;
mod hold;
pub mod image;
mod levers;
mod network;
mod node_image;
mod nodes;
mod on_node;
mod owner;
pub mod privilege;
mod ready;
mod server;
mod signal;
mod supply;
mod sweep;

use std::fmt;
use std::net::IpAddr;

use kube::config::Kubeconfig;
use kube::{Client, Config};

pub use self::args::{Brought, ClusterArgs, ClusterOptions};
pub use self::attach::Kept;
pub use self::choice::{ProviderChoice, choose};
pub use self::error::ClusterError;
pub use self::guard::GuardCommand;
pub use self::hold::HoldCommand;
pub use self::image::Image;
pub use self::on_node::{Aimed, CommandTemplate, LineStream, Output};
pub use self::owner::RunId;
pub use self::signal::Signal;
pub use self::supply::ClusterImageCommand;
pub use self::sweep::sweep;
pub use failover_judging::report::Provider;

pub use self::access::kubeconfig;
pub use self::ready::is_ready;

use self::guard::Guardian;
use self::on_node::NodeAccess;
use self::ready::Ready;
use crate::engine::{self, Engine};
use crate::progress::Progress;

/// Repository of the k3s image.
pub const K3S_REPOSITORY: &str = "rancher/k3s";
/// Tag of the k3s image; the one place that names it.
pub const K3S_TAG: &str = "v1.34.12-k3s1";
/// The image that `just node` builds.
pub const NODE_IMAGE: &str = "five-spot/node:v1.34.4";
/// The image that `just image` builds.
pub const OPERATOR_IMAGE: &str = concat!("ghcr.io/finos/5spot-rs:v", env!("CARGO_PKG_VERSION"));
/// The audit policy of started clusters.
pub const AUDIT_POLICY: &str = include_str!("cluster/audit-policy.yaml");

/// Where the API server writes down what it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditLog {
    /// The node whose file system has it.
    pub node: String,
    /// Its path there.
    pub path: String,
}

/// A cluster that answers and takes pods.
pub struct Cluster {
    run: RunId,
    choice: ProviderChoice,
    version: String,
    kubeconfig: Kubeconfig,
    access: NodeAccess,
    audit_log: Option<AuditLog>,
    containers: Option<Containers>,
    /// The address of this machine that its API server reaches, where the user gave it.
    listen_on: Option<IpAddr>,
}

/// The parts of a cluster that is made of containers; a brought one has none.
struct Containers {
    server: String,
    agents: Vec<String>,
    engine: Engine,
    guardian: Option<Guardian>,
    /// An earlier run kept it, so it stays.
    attached: bool,
}

impl Cluster {
    /// Starts a cluster, or reaches the one that is brought or was kept, and waits until it takes pods.
    ///
    /// Cancel safe: dropping the future leaves nothing behind, the guardian removes what was begun.
    ///
    /// # Errors
    /// Every failure leaves nothing running.
    pub async fn start(
        options: &ClusterOptions,
        progress: &dyn Progress,
    ) -> Result<Self, ClusterError> {
        if options.provider == Some(Provider::Kubeconfig) {
            return Self::reach(options, progress).await;
        }
        let engine = engine::probe().await?;
        sweep(&engine, progress).await?;
        // Said before anything is started or changed.
        for image in &options.images {
            let found = image::find(engine.docker(), image).await?;
            choice::require(found, image, image::advice(image))?;
        }
        if let Some(kept) = &options.attach {
            return Self::attach(engine, kept, options, progress).await;
        }
        let choice = choice::choose(&engine, options, progress).await?;
        progress.note(&format!(
            "cluster provider {}: {}",
            choice.provider, choice.reason
        ));
        Self::boot(engine, choice, options, progress).await
    }

    /// A cluster of containers whose server is ready.
    fn of(
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

    async fn reach(
        options: &ClusterOptions,
        progress: &dyn Progress,
    ) -> Result<Self, ClusterError> {
        let reached = access::reach(&options.brought, progress).await?;
        for image in &options.images {
            progress.note(&format!(
                "the brought cluster has to have or pull {image} itself"
            ));
        }
        let choice = ProviderChoice {
            provider: Provider::Kubeconfig,
            image: None,
            reason: "a cluster was brought by its kubeconfig".to_owned(),
        };
        Ok(Self {
            run: RunId::random(),
            choice,
            version: reached.version,
            kubeconfig: reached.kubeconfig,
            access: reached.access,
            audit_log: reached.audit_log,
            containers: None,
            listen_on: options.listen_on,
        })
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

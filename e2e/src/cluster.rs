//! The cluster that failover is measured on.
//!
//! Three providers behind one type: k3s and the node image are containers started by the same code, `kubeconfig` is a
//! cluster that exists already. A started cluster is removed when it is stopped or dropped, and by a guardian process
//! when this one is killed; nothing of it outlives the run unless it is kept on purpose.

mod access;
mod args;
mod choice;
mod error;
mod flags;
mod guard;
mod hold;
pub(crate) mod image;
mod on_node;
mod owner;
pub(crate) mod privilege;
mod ready;
mod server;
mod signal;
mod supply;
mod sweep;

use std::collections::BTreeMap;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use kube::config::Kubeconfig;
use kube::{Client, Config};
use testcontainers::ContainerAsync;
use testcontainers_modules::k3s::K3s;
use tokio::time::Instant;

pub use self::args::{Brought, ClusterArgs, ClusterOptions};
pub use self::choice::{Provider, ProviderChoice};
pub use self::error::ClusterError;
pub use self::guard::GuardCommand;
pub use self::hold::HoldCommand;
pub use self::image::Image;
pub use self::on_node::{CommandTemplate, LineStream, Output};
pub use self::owner::RunId;
pub use self::signal::Signal;
pub use self::supply::ClusterImageCommand;
pub use self::sweep::sweep;

use self::guard::Guardian;
use self::on_node::NodeAccess;
use self::server::Blueprint;
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
    server: Option<ServerContainer>,
}

/// The parts of a started cluster; a brought one has none.
struct ServerContainer {
    name: String,
    engine: Engine,
    container: Option<ContainerAsync<K3s>>,
    guardian: Option<Guardian>,
}

impl Cluster {
    /// Starts a cluster, or reaches the one that is brought, and waits until it takes pods.
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
        for image in &options.images {
            let found = image::find(engine.docker(), image).await?;
            choice::require(
                found,
                image,
                "build it with `just image`, or name another one with --image",
            )?;
        }
        let choice = choice::choose(&engine, options, progress).await?;
        progress.note(&format!(
            "cluster provider {}: {}",
            choice.provider, choice.reason
        ));
        Self::boot(engine, choice, options, progress).await
    }

    async fn reach(
        options: &ClusterOptions,
        progress: &dyn Progress,
    ) -> Result<Self, ClusterError> {
        let reached = access::reach(&options.brought, progress).await?;
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
            server: None,
        })
    }

    async fn boot(
        engine: Engine,
        choice: ProviderChoice,
        options: &ClusterOptions,
        progress: &dyn Progress,
    ) -> Result<Self, ClusterError> {
        let run = RunId::random();
        // From here on every way out leads through the guardian.
        let guardian = Guardian::start(&options.guardian, &run)?;
        let image = choice
            .image
            .as_ref()
            .map_or("", |image| image.reference.as_str());
        progress.step(&format!("starting {image}"));
        let deadline = Instant::now() + options.timeout;
        let blueprint = Blueprint {
            engine: &engine,
            options,
            choice: &choice,
            run: &run,
            deadline,
        };
        let started = match blueprint.start(progress).await {
            Ok(started) => started,
            Err(error) => {
                guardian.finish();
                return Err(error);
            }
        };
        let containers =
            BTreeMap::from([(started.name.clone(), started.container.id().to_owned())]);
        let access = NodeAccess::Containers {
            docker: engine.docker().clone(),
            containers,
        };
        progress.step("waiting for the node to be Ready");
        match ready::wait(&started, &access, options, deadline).await {
            Ok(ready) => Ok(Self {
                run,
                choice,
                version: ready.version,
                kubeconfig: ready.kubeconfig,
                access,
                audit_log: Some(AuditLog {
                    node: started.name.clone(),
                    path: flags::AUDIT_LOG_PATH.to_owned(),
                }),
                server: Some(ServerContainer {
                    name: started.name,
                    engine,
                    container: Some(started.container),
                    guardian: Some(guardian),
                }),
            }),
            Err(error) => {
                sweep::remove(engine.docker(), &started.name).await?;
                guardian.dismiss();
                Err(error)
            }
        }
    }

    /// Identity of the run, also part of the container's name.
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

    /// Runs a command on the machine or container of a node, to its end.
    pub async fn on_node(&self, node: &str, command: &[&str]) -> Result<Output, ClusterError> {
        self.access.run(node, command).await
    }

    /// Runs a command on a node that goes on, and gives its lines as they come.
    pub async fn follow_on_node(
        &self,
        node: &str,
        command: &[&str],
    ) -> Result<LineStream, ClusterError> {
        self.access.follow(node, command).await
    }

    /// Where the audit log is; `None` when a brought cluster has none that can be read.
    pub fn audit_log(&self) -> Option<&AuditLog> {
        self.audit_log.as_ref()
    }

    /// Follows the audit log from its beginning.
    pub async fn follow_audit_log(&self) -> Result<LineStream, ClusterError> {
        let Some(log) = &self.audit_log else {
            return Err(ClusterError::NotWithProvider {
                action: "read the audit log".to_owned(),
                provider: self.provider(),
                advice: "say where it is with --audit-log and how to reach it with --on-node",
            });
        };
        self.follow_on_node(&log.node, &["tail", "-n", "+1", "-F", &log.path])
            .await
    }

    /// Loads an image of the engine into every node of a started cluster.
    pub async fn load_image(&self, reference: &str) -> Result<(), ClusterError> {
        let server = self.server(
            "load an image",
            "make the image available to the cluster yourself",
        )?;
        let docker = server.engine.docker();
        let advice = "build it with `just image`, or pull it";
        choice::require(image::find(docker, reference).await?, reference, advice)?;
        let references = [reference.to_owned()];
        for node in self.access.nodes() {
            let command = ["ctr", "-n", "k8s.io", "images", "import", "-"];
            let output = self
                .access
                .feed(node, &command, image::archive(docker, &references))
                .await?;
            output.success(node, &command)?;
        }
        Ok(())
    }

    /// Sends a signal to the main process of a pod's container, from outside the pod.
    ///
    /// `container_id` is the one of the pod's status, with or without `containerd://`. Unlike a forced delete this lets
    /// neither the process nor kubelet prepare.
    pub async fn kill_container(
        &self,
        node: &str,
        container_id: &str,
        signal: Signal,
    ) -> Result<(), ClusterError> {
        let command = signal.command(container_id);
        self.on_node(node, &command)
            .await?
            .success(node, &command)?;
        Ok(())
    }

    /// The process id of a pod's container, as the node numbers it; `None` when it does not run.
    pub async fn container_pid(
        &self,
        node: &str,
        container_id: &str,
    ) -> Result<Option<u32>, ClusterError> {
        let output = self
            .on_node(node, &signal::LIST)
            .await?
            .success(node, &signal::LIST)?;
        Ok(signal::pid(&output.stdout, container_id))
    }

    /// Freezes the server with everything in it, API server and pods.
    pub async fn pause(&self) -> Result<(), ClusterError> {
        let server = self.server(
            "pause the server",
            "start a cluster with --provider k3s or node",
        )?;
        let paused = server.engine.docker().pause_container(&server.name).await;
        paused.map_err(ClusterError::engine(format!(
            "pause the container {}",
            server.name
        )))
    }

    /// Lets a paused server go on.
    pub async fn unpause(&self) -> Result<(), ClusterError> {
        let server = self.server(
            "unpause the server",
            "start a cluster with --provider k3s or node",
        )?;
        let unpaused = server.engine.docker().unpause_container(&server.name).await;
        unpaused.map_err(ClusterError::engine(format!(
            "unpause the container {}",
            server.name
        )))
    }

    /// Name of the server's container; a brought cluster has none.
    pub fn server_container_name(&self) -> Option<&str> {
        self.server.as_ref().map(|server| server.name.as_str())
    }

    /// The commands that reach this cluster, given where its kubeconfig was written.
    pub fn describe_access(&self, kubeconfig: &Path) -> String {
        let export = format!("export KUBECONFIG={}", kubeconfig.display());
        match self.server_container_name() {
            Some(name) => format!(
                "{export}\ndocker exec {name} kubectl get pods --all-namespaces\ndocker rm -f -v {name}   # ends it"
            ),
            None => export,
        }
    }

    /// Leaves the cluster running after this process, writes its kubeconfig into `folder` and says how to reach it.
    ///
    /// A later run leaves it alone only if it was started with [`ClusterOptions::keep`].
    pub async fn keep(mut self, folder: &Path) -> Result<String, ClusterError> {
        let path = self.kubeconfig_path(folder);
        let written = self.write_kubeconfig(&path);
        if let Err(error) = written {
            self.stop().await?;
            return Err(error);
        }
        let words = self.describe_access(&path);
        if let Some(mut server) = self.server.take() {
            // Its destructor would remove the container.
            std::mem::forget(server.container.take());
            if let Some(guardian) = server.guardian.take() {
                guardian.dismiss();
            }
        }
        Ok(words)
    }

    /// Removes the cluster. A brought one is left as it is.
    pub async fn stop(mut self) -> Result<(), ClusterError> {
        let Some(mut server) = self.server.take() else {
            return Ok(());
        };
        let removed = sweep::remove(server.engine.docker(), &server.name).await;
        if removed.is_ok() {
            std::mem::forget(server.container.take());
            if let Some(guardian) = server.guardian.take() {
                guardian.dismiss();
            }
        }
        removed
    }

    /// Where [`Cluster::keep`] writes the kubeconfig of this cluster, as an absolute path.
    pub fn kubeconfig_path(&self, folder: &Path) -> PathBuf {
        let path = folder.join(format!("kubeconfig-{}.yaml", self.run));
        std::path::absolute(&path).unwrap_or(path)
    }

    /// Writes the kubeconfig to a file that only this user can read.
    pub fn write_kubeconfig(&self, path: &Path) -> Result<(), ClusterError> {
        let failed = |source| ClusterError::Write {
            path: PathBuf::from(path),
            source,
        };
        let text = serde_saphyr::to_string(&self.kubeconfig)
            .map_err(|error| failed(std::io::Error::other(error)))?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)
    }

    fn server(&self, action: &str, advice: &'static str) -> Result<&ServerContainer, ClusterError> {
        let provider = self.provider();
        self.server
            .as_ref()
            .ok_or_else(|| ClusterError::NotWithProvider {
                action: action.to_owned(),
                provider,
                advice,
            })
    }
}

impl Drop for ServerContainer {
    fn drop(&mut self) {
        // testcontainers removes on drop, but panics without a runtime and can be told to keep; the guardian does neither.
        std::mem::forget(self.container.take());
        if let Some(guardian) = self.guardian.take() {
            guardian.finish();
        }
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

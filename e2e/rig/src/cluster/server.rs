//! The containers of a cluster's nodes: k3s and the node image are started by the same code.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use futures::TryStreamExt;
use testcontainers::bollard::models::{HostConfig, PortBinding};
use testcontainers::core::error::{ClientError, WaitContainerError};
use testcontainers::core::logs::LogFrame;
use testcontainers::core::{CgroupnsMode, Mount, WaitFor};
use testcontainers::runners::AsyncRunner;
use testcontainers::{
    ContainerAsync, ContainerRequest, CopyTargetOptions, ImageExt, TestcontainersError,
};
use testcontainers_modules::k3s::{K3s, KUBE_SECURE_PORT};
use tokio::time::Instant;

use super::args::ClusterOptions;
use super::choice::ProviderChoice;
use super::error::ClusterError;
use super::flags::{AUDIT_POLICY_PATH, IMAGES_DIR, NodeFlags};
use super::image;
use super::owner::{self, Owner, RunId};
use super::privilege::{self, Capabilities, Privilege};
use super::sweep;
use crate::engine::Engine;
use crate::progress::Progress;
use failover_judging::report::Provider;

/// Lines of the server's log that an error shows.
const TAIL_LINES: usize = 40;

/// A server that said it is up, and where its API is.
pub(super) struct Started {
    pub(super) container: ContainerAsync<K3s>,
    pub(super) name: String,
    pub(super) address: String,
    pub(super) log: LogTail,
    /// When it has to be ready: the limit counts from the start of the container that was not refused.
    pub(super) deadline: Instant,
}

/// An agent whose container runs; whether it joins is not known yet.
pub(super) struct Agent {
    pub(super) container: ContainerAsync<K3s>,
    pub(super) name: String,
    pub(super) log: LogTail,
}

/// Everything that the containers of a cluster are made from.
pub(super) struct Blueprint<'a> {
    pub(super) engine: &'a Engine,
    pub(super) options: &'a ClusterOptions,
    pub(super) choice: &'a ProviderChoice,
    pub(super) run: &'a RunId,
    /// What the nodes share; a server without agents needs nothing.
    pub(super) shared: Option<Shared>,
    /// The images that every node has from the beginning, as an archive.
    pub(super) images: Option<Vec<u8>>,
}

/// What the nodes of one cluster share.
pub(super) struct Shared {
    pub(super) network: String,
    pub(super) token: String,
}

/// Which part of the cluster a container is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Role<'a> {
    /// The API server's node; its port is reached from here at this host.
    Server { host: &'a str },
    /// A node that joins the server at this address.
    Agent { number: u32, server: &'a str },
}

/// The value of the label [`owner::ROLE`] of a server.
pub(super) const SERVER_ROLE: &str = "server";
/// The value of the label [`owner::ROLE`] of an agent.
pub(super) const AGENT_ROLE: &str = "agent";

/// The last lines that a container wrote, also when it is gone.
#[derive(Debug, Clone, Default)]
pub(super) struct LogTail(Arc<Mutex<VecDeque<String>>>);

impl LogTail {
    fn push(&self, frame: &LogFrame) {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(frame.bytes());
        lines.extend(text.lines().map(|line| format!("  {line}")));
        let surplus = lines.len().saturating_sub(TAIL_LINES);
        lines.drain(..surplus);
    }

    pub(super) fn text(&self) -> String {
        let lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_empty() {
            return "  (it wrote nothing)".to_owned();
        }
        lines
            .iter()
            .map(String::as_str)
            .collect::<Vec<_>>()
            .join("\n")
    }
}

impl Blueprint<'_> {
    /// Starts the server with every right there is, and waits until it says that it is up.
    pub(super) async fn start(&self, progress: &dyn Progress) -> Result<Started, ClusterError> {
        let host = self.engine.published_host().await;
        let role = Role::Server { host: &host };
        let known = Privilege::known();
        let log = LogTail::default();
        let mut begun = Instant::now();
        let first = self.request(role, &known, &log)?.start().await;
        let started = match first {
            Err(error) if known == Privilege::Privileged && privilege::refused(&error) => {
                // The engine leaves the refused container in state Created.
                sweep::remove(self.engine.docker(), &self.name(role)).await?;
                let capabilities = Capabilities::of(&self.engine.facts().address);
                progress.warn(&format!(
                    "this machine does not start privileged containers; starting the node {}",
                    capabilities.cost()
                ));
                let by_name = Privilege::ByName(capabilities).remember();
                begun = Instant::now();
                self.request(role, &by_name, &log)?.start().await
            }
            other => other,
        };
        match started {
            Ok(container) => {
                let port = container.get_host_port_ipv4(KUBE_SECURE_PORT).await;
                let port = port.map_err(|source| self.failed(source, &log))?;
                Ok(Started {
                    container,
                    name: self.name(role),
                    address: format!("https://{}", authority(&host, port)),
                    log,
                    deadline: begun + self.options.timeout,
                })
            }
            Err(error) => {
                sweep::remove(self.engine.docker(), &self.name(role)).await?;
                Err(self.failed(error, &log))
            }
        }
    }

    /// Starts the container of an agent, with the rights that the server's turned out to need.
    pub(super) async fn start_agent(
        &self,
        number: u32,
        server: &str,
    ) -> Result<Agent, ClusterError> {
        let role = Role::Agent { number, server };
        let log = LogTail::default();
        let started = self.request(role, &Privilege::known(), &log)?.start().await;
        let container = started.map_err(|error| self.failed(error, &log))?;
        Ok(Agent {
            container,
            name: self.name(role),
            log,
        })
    }

    /// The images that every node is to have from the beginning, as an archive.
    pub(super) async fn images(
        engine: &Engine,
        options: &ClusterOptions,
    ) -> Result<Option<Vec<u8>>, ClusterError> {
        if options.images.is_empty() {
            return Ok(None);
        }
        let pieces: Vec<Vec<u8>> = image::archive(engine.docker(), &options.images)
            .try_collect()
            .await
            .map_err(|source| ClusterError::EngineCall {
                action: format!("save {} for the cluster", options.images.join(", ")),
                source: source.into(),
            })?;
        Ok(Some(pieces.concat()))
    }

    fn name(&self, role: Role<'_>) -> String {
        match role {
            Role::Server { .. } => server_name(self.run),
            Role::Agent { number, .. } => format!("{}-agent-{number}", server_name(self.run)),
        }
    }

    fn reference(&self) -> &str {
        self.choice.image.as_ref().map_or_else(
            || self.options.node_image.as_str(),
            |image| image.reference.as_str(),
        )
    }

    fn failed(&self, error: TestcontainersError, log: &LogTail) -> ClusterError {
        if matches!(
            error,
            TestcontainersError::WaitContainer(WaitContainerError::StartupTimeout)
        ) {
            return ClusterError::NotReady {
                waiting_for: "the server to say that it is up",
                last: error.to_string(),
                limit: self.options.timeout,
                log: log.text(),
            };
        }
        let reference = self.reference();
        if let TestcontainersError::Client(
            ClientError::CreateContainer(source) | ClientError::StartContainer(source),
        ) = error
        {
            return ClusterError::EngineCall {
                action: format!("start a container of {reference}"),
                source,
            };
        }
        // The end of the log stream carries the whole log; its tail is in the message already.
        let source = match error {
            TestcontainersError::WaitContainer(WaitContainerError::WaitLog(_)) => {
                TestcontainersError::other(std::io::Error::other(
                    "the server ended before it was up",
                ))
            }
            other => other,
        };
        ClusterError::Start {
            image: reference.to_owned(),
            log: log.text(),
            source: Box::new(source),
        }
    }

    fn request(
        &self,
        role: Role<'_>,
        privilege: &Privilege,
        log: &LogTail,
    ) -> Result<ContainerRequest<K3s>, ClusterError> {
        let facts = self.engine.facts();
        let (repository, tag) = image::split(field(self.choice.provider), self.reference())?;
        let name = self.name(role);
        let flags = NodeFlags {
            provider: self.choice.provider,
            tag: &tag,
            node: &name,
            cgroup_version: facts.cgroup_version,
            storage_driver: &facts.storage_driver,
            token: self.shared.as_ref().map(|shared| shared.token.as_str()),
        };
        let command = match role {
            Role::Server { host } => flags.server(host),
            Role::Agent { server, .. } => flags.agent(server),
        };
        let tail = log.clone();
        let mut request = K3s::default()
            .with_name(repository)
            .with_tag(&tag)
            .with_cmd(command)
            .with_container_name(&name)
            .with_hostname(&name)
            .with_labels(self.labels(role))
            .with_cgroupns_mode(CgroupnsMode::Private)
            .with_startup_timeout(self.options.timeout)
            .with_log_consumer(move |frame: &LogFrame| tail.push(frame));
        match role {
            Role::Server { .. } => {
                request = request.with_copy_to(
                    CopyTargetOptions::new(AUDIT_POLICY_PATH),
                    self.options.audit_policy.clone().into_bytes(),
                );
            }
            // Whether an agent is up is asked of the API server, for all of them at once.
            Role::Agent { .. } => request = request.with_ready_conditions(Vec::<WaitFor>::new()),
        }
        for folder in tmpfs(self.choice.provider) {
            request = request.with_mount(Mount::tmpfs_mount(*folder));
        }
        if let Some(archive) = &self.images {
            let target = CopyTargetOptions::new(format!("{IMAGES_DIR}/five-spot-e2e.tar"));
            request = request.with_copy_to(target, archive.clone());
        }
        let privilege = privilege.clone();
        let published = match role {
            Role::Server { host } => Some(host == "127.0.0.1"),
            Role::Agent { .. } => None,
        };
        let network = self.shared.as_ref().map(|shared| shared.network.clone());
        Ok(request.with_host_config_modifier(move |host| {
            privilege.apply(host);
            publish(host, published);
            if network.is_some() {
                host.network_mode.clone_from(&network);
            }
        }))
    }

    fn labels(&self, role: Role<'_>) -> HashMap<String, String> {
        let mut labels = Owner::this_process().labels(self.run, self.options.keep);
        let role = match role {
            Role::Server { .. } => SERVER_ROLE,
            Role::Agent { .. } => AGENT_ROLE,
        };
        labels.insert(owner::ROLE.to_owned(), role.to_owned());
        labels.insert(owner::PROVIDER.to_owned(), self.choice.provider.to_string());
        labels
    }
}

/// The name of a run's server, as a container and as a node; its network has it as well.
pub(super) fn server_name(run: &RunId) -> String {
    format!("five-spot-e2e-{run}")
}

/// Publishes the API server alone, and to this machine alone where that is enough; `None` publishes nothing.
fn publish(host: &mut HostConfig, loopback: Option<bool>) {
    host.publish_all_ports = Some(false);
    let Some(loopback) = loopback else {
        return;
    };
    let binding = PortBinding {
        host_ip: loopback.then(|| "127.0.0.1".to_owned()),
        host_port: None,
    };
    host.port_bindings = Some([(KUBE_SECURE_PORT.to_string(), Some(vec![binding]))].into());
}

/// What a node's services expect to be empty at start; k3s has its own folder /var/run, Debian a link to /run.
fn tmpfs(provider: Provider) -> &'static [&'static str] {
    match provider {
        Provider::K3s => &["/run", "/var/run", "/tmp"],
        Provider::Node | Provider::Kubeconfig => &["/run", "/tmp"],
    }
}

fn field(provider: Provider) -> &'static str {
    match provider {
        Provider::K3s => "--k3s-tag",
        Provider::Node | Provider::Kubeconfig => "--node-image",
    }
}

pub(super) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

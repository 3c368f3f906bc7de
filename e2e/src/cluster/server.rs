//! The container of a cluster's server: k3s and the node image are started by the same code.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use futures::TryStreamExt;
use testcontainers::bollard::models::{HostConfig, PortBinding};
use testcontainers::core::error::{ClientError, WaitContainerError};
use testcontainers::core::logs::LogFrame;
use testcontainers::core::{CgroupnsMode, Mount};
use testcontainers::runners::AsyncRunner;
use testcontainers::{
    ContainerAsync, ContainerRequest, CopyTargetOptions, ImageExt, TestcontainersError,
};
use testcontainers_modules::k3s::{K3s, KUBE_SECURE_PORT};
use tokio::time::Instant;

use super::choice::ProviderChoice;
use super::flags::{AUDIT_POLICY_PATH, IMAGES_DIR, Server};
use super::owner::{Owner, RunId};
use super::privilege::{self, Capabilities, Privilege};
use super::{ClusterError, ClusterOptions, Provider, image, sweep};
use crate::engine::Engine;
use crate::progress::Progress;

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

/// Everything that a container of a server is made from.
pub(super) struct Blueprint<'a> {
    pub(super) engine: &'a Engine,
    pub(super) options: &'a ClusterOptions,
    pub(super) choice: &'a ProviderChoice,
    pub(super) run: &'a RunId,
}

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
        let images = self.images().await?;
        let known = Privilege::known();
        let log = LogTail::default();
        let mut begun = Instant::now();
        let first = self
            .request(&known, &host, images.as_ref(), &log)?
            .start()
            .await;
        let started = match first {
            Err(error) if known == Privilege::Privileged && privilege::refused(&error) => {
                // The engine leaves the refused container in state Created.
                sweep::remove(self.engine.docker(), &self.name()).await?;
                let capabilities = Capabilities::of(&self.engine.facts().address);
                progress.warn(&format!(
                    "this machine does not start privileged containers; starting the node {}",
                    capabilities.cost()
                ));
                let by_name = Privilege::ByName(capabilities).remember();
                begun = Instant::now();
                self.request(&by_name, &host, images.as_ref(), &log)?
                    .start()
                    .await
            }
            other => other,
        };
        match started {
            Ok(container) => {
                let port = container.get_host_port_ipv4(KUBE_SECURE_PORT).await;
                let port = port.map_err(|source| self.failed(source, &log))?;
                Ok(Started {
                    container,
                    name: self.name(),
                    address: format!("https://{}", authority(&host, port)),
                    log,
                    deadline: begun + self.options.timeout,
                })
            }
            Err(error) => {
                sweep::remove(self.engine.docker(), &self.name()).await?;
                Err(self.failed(error, &log))
            }
        }
    }

    fn name(&self) -> String {
        format!("five-spot-e2e-{}", self.run)
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

    async fn images(&self) -> Result<Option<Vec<u8>>, ClusterError> {
        let docker = self.engine.docker();
        if self.options.images.is_empty() {
            return Ok(None);
        }
        let pieces: Vec<Vec<u8>> = image::archive(docker, &self.options.images)
            .try_collect()
            .await
            .map_err(|source| ClusterError::EngineCall {
                action: format!("save {} for the cluster", self.options.images.join(", ")),
                source: source.into(),
            })?;
        Ok(Some(pieces.concat()))
    }

    fn request(
        &self,
        privilege: &Privilege,
        host: &str,
        images: Option<&Vec<u8>>,
        log: &LogTail,
    ) -> Result<ContainerRequest<K3s>, ClusterError> {
        let facts = self.engine.facts();
        let (repository, tag) = image::split(field(self.choice.provider), self.reference())?;
        let name = self.name();
        let server = Server {
            provider: self.choice.provider,
            tag: &tag,
            node: &name,
            host,
            cgroup_version: facts.cgroup_version,
            storage_driver: &facts.storage_driver,
        };
        let tail = log.clone();
        let mut request = K3s::default()
            .with_name(repository)
            .with_tag(&tag)
            .with_cmd(server.command())
            .with_container_name(&name)
            .with_hostname(&name)
            .with_labels(Owner::this_process().labels(self.run, self.options.keep))
            .with_cgroupns_mode(CgroupnsMode::Private)
            .with_startup_timeout(self.options.timeout)
            .with_log_consumer(move |frame: &LogFrame| tail.push(frame))
            .with_copy_to(
                CopyTargetOptions::new(AUDIT_POLICY_PATH),
                self.options.audit_policy.clone().into_bytes(),
            );
        for folder in tmpfs(self.choice.provider) {
            request = request.with_mount(Mount::tmpfs_mount(*folder));
        }
        if let Some(archive) = images {
            let target = CopyTargetOptions::new(format!("{IMAGES_DIR}/five-spot-e2e.tar"));
            request = request.with_copy_to(target, archive.clone());
        }
        let (privilege, loopback) = (privilege.clone(), host == "127.0.0.1");
        Ok(request.with_host_config_modifier(move |host| {
            privilege.apply(host);
            publish(host, loopback);
        }))
    }
}

/// Publishes the API server alone, and to this machine alone where that is enough.
fn publish(host: &mut HostConfig, loopback: bool) {
    let binding = PortBinding {
        host_ip: loopback.then(|| "127.0.0.1".to_owned()),
        host_port: None,
    };
    host.publish_all_ports = Some(false);
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

fn authority(host: &str, port: u16) -> String {
    if host.contains(':') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

//! The container engine that clusters are started on.
//!
//! One place resolves where the engine is (the same way as testcontainers: `DOCKER_HOST`, else the first of the usual sockets that exists), asks it
//! what it is, and turns each way of not answering into an error that says what to do.

pub mod command;
mod daemon;
mod error;
mod plan;

use std::path::{Path, PathBuf};
use std::time::Duration;

use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{SystemInfo, SystemInfoCgroupVersionEnum};
use testcontainers::core::client::docker_client_instance;
use tokio::time::timeout;

pub use self::command::EngineCommand;
pub use self::error::EngineError;
pub use self::plan::{Machine, Refusal, Step, plan};

/// How long a healthy engine may take to say what it is.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

/// Where the engine is looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// The address as it was given or found.
    pub text: String,
    /// The engine runs on this machine's kernel, so its files and processes can be looked at.
    pub local: bool,
    /// The host that published ports are reached at; `None` where that has to be asked of the engine.
    host: Option<String>,
}

impl Address {
    /// The address that `DOCKER_HOST` names, or the first of the usual sockets that exists.
    pub fn from_env() -> Self {
        // A container may be handed the socket of an engine outside; one that runs a daemon itself uses that.
        let outside = Path::new("/.dockerenv").exists() && daemon::running().is_none();
        let text = std::env::var("DOCKER_HOST").unwrap_or_else(|_| {
            let folder = |name| std::env::var_os(name).map(PathBuf::from);
            let (runtime, home) = (folder("XDG_RUNTIME_DIR"), folder("HOME"));
            usual_socket(runtime.as_deref(), home.as_deref(), Path::exists)
        });
        Self::parse(&text, outside)
    }

    fn parse(text: &str, outside: bool) -> Self {
        let text = text.trim().to_owned();
        if text.starts_with("unix://") || text.starts_with("npipe://") {
            // An engine outside of this container publishes ports on the bridge's gateway.
            let host = (!outside).then(|| "127.0.0.1".to_owned());
            return Self {
                text,
                local: !outside,
                host,
            };
        }
        let host = text
            .parse::<http::Uri>()
            .ok()
            .and_then(|uri| uri.host().map(str::to_owned));
        Self {
            text,
            local: false,
            host,
        }
    }
}

/// The sockets that testcontainers tries without `DOCKER_HOST`, in its order; the system's one when none exists.
fn usual_socket(
    runtime: Option<&Path>,
    home: Option<&Path>,
    exists: impl Fn(&Path) -> bool,
) -> String {
    let system = PathBuf::from("/var/run/docker.sock");
    let run = Path::new(".docker/run/docker.sock");
    let desktop = Path::new(".docker/desktop/docker.sock");
    let in_home = home
        .into_iter()
        .flat_map(|home| [home.join(run), home.join(desktop)]);
    let found = std::iter::once(system.clone())
        .chain(runtime.map(|folder| folder.join(run)))
        .chain(in_home)
        .find(|path| exists(path));
    format!("unix://{}", found.unwrap_or(system).display())
}

/// What an engine says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineFacts {
    /// Where it was reached.
    pub address: Address,
    /// Its own version.
    pub version: String,
    /// The newest API version that it speaks.
    pub api_version: String,
    /// 1 or 2, where it says so.
    pub cgroup_version: Option<u8>,
    /// Storage driver, such as `overlay2`.
    pub storage_driver: String,
    /// Distribution it runs on.
    pub os: String,
    /// Kernel it runs on.
    pub kernel: String,
    /// The folder that holds images, containers and volumes.
    pub root_dir: PathBuf,
    /// Memory of its machine, in bytes.
    pub memory: u64,
    /// Processors of its machine.
    pub cpus: u64,
}

/// An engine that answered.
#[derive(Debug, Clone)]
pub struct Engine {
    docker: Docker,
    facts: EngineFacts,
}

impl Engine {
    /// What it says of itself.
    pub fn facts(&self) -> &EngineFacts {
        &self.facts
    }

    /// The client of its API.
    pub fn docker(&self) -> &Docker {
        &self.docker
    }

    /// The host at which published ports of containers are reached from here.
    pub async fn published_host(&self) -> String {
        if let Some(host) = &self.facts.address.host {
            return host.clone();
        }
        let bridge = self.docker.inspect_network("bridge", None).await;
        let gateway = bridge
            .ok()
            .and_then(|network| network.ipam)
            .and_then(|ipam| ipam.config);
        let gateway = gateway
            .into_iter()
            .flatten()
            .find_map(|config| config.gateway);
        gateway
            .filter(|gateway| !gateway.is_empty())
            .unwrap_or_else(|| "127.0.0.1".to_owned())
    }
}

/// Asks the engine what it is.
///
/// # Errors
/// When none answers within 10 s, with what to do.
pub async fn probe() -> Result<Engine, EngineError> {
    let address = Address::from_env();
    let asked = timeout(PROBE_TIMEOUT, ask(&address)).await;
    asked.unwrap_or(Err(EngineError::Silent {
        address: address.text,
        limit: PROBE_TIMEOUT,
    }))
}

async fn ask(address: &Address) -> Result<Engine, EngineError> {
    let docker = docker_client_instance()
        .await
        .map_err(|source| EngineError::unreachable(address, source))?;
    let version = docker
        .version()
        .await
        .map_err(|source| EngineError::unreachable(address, source))?;
    let info = docker
        .info()
        .await
        .map_err(|source| EngineError::unreachable(address, source))?;
    let facts = EngineFacts {
        address: address.clone(),
        version: version.version.unwrap_or_else(|| "unknown".to_owned()),
        api_version: version.api_version.unwrap_or_else(|| "unknown".to_owned()),
        ..facts(address, info)
    };
    Ok(Engine { docker, facts })
}

fn facts(address: &Address, info: SystemInfo) -> EngineFacts {
    let unknown = || "unknown".to_owned();
    EngineFacts {
        address: address.clone(),
        version: unknown(),
        api_version: unknown(),
        cgroup_version: match info.cgroup_version {
            Some(SystemInfoCgroupVersionEnum::_1) => Some(1),
            Some(SystemInfoCgroupVersionEnum::_2) => Some(2),
            _ => None,
        },
        storage_driver: info.driver.unwrap_or_else(unknown),
        os: info.operating_system.unwrap_or_else(unknown),
        kernel: info.kernel_version.unwrap_or_else(unknown),
        root_dir: PathBuf::from(info.docker_root_dir.unwrap_or_default()),
        memory: info
            .mem_total
            .and_then(|bytes| u64::try_from(bytes).ok())
            .unwrap_or_default(),
        cpus: info
            .ncpu
            .and_then(|count| u64::try_from(count).ok())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::socket("unix:///run/docker.sock", false, true, Some("127.0.0.1"))]
    #[case::socket_of_an_engine_outside_this_container(
        "unix:///var/run/docker.sock",
        true,
        false,
        None
    )]
    #[case::tcp("tcp://10.1.2.3:2375", false, false, Some("10.1.2.3"))]
    #[case::https("https://engine.example:2376", false, false, Some("engine.example"))]
    fn ports_are_reached_where_the_engine_is(
        #[case] docker_host: &str,
        #[case] in_container: bool,
        #[case] local: bool,
        #[case] host: Option<&str>,
    ) {
        let address = Address::parse(docker_host, in_container);
        assert_eq!((address.local, address.host.as_deref()), (local, host));
    }

    #[rstest]
    #[case::none(&[], "/var/run/docker.sock")]
    #[case::rootless(&["/run/user/7/.docker/run/docker.sock"], "/run/user/7/.docker/run/docker.sock")]
    #[case::home(&["/home/me/.docker/run/docker.sock"], "/home/me/.docker/run/docker.sock")]
    #[case::desktop(&["/home/me/.docker/desktop/docker.sock"], "/home/me/.docker/desktop/docker.sock")]
    #[case::system_first(
        &["/home/me/.docker/run/docker.sock", "/var/run/docker.sock"],
        "/var/run/docker.sock"
    )]
    fn without_docker_host_the_first_usual_socket_that_exists_is_taken(
        #[case] present: &[&str],
        #[case] socket: &str,
    ) {
        let found = usual_socket(
            Some(Path::new("/run/user/7")),
            Some(Path::new("/home/me")),
            |path| present.iter().any(|there| Path::new(there) == path),
        );
        assert_eq!(found, format!("unix://{socket}"));
    }
}

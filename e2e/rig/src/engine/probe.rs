//! Asks the engine what it is.

use std::path::PathBuf;
use std::time::Duration;

use testcontainers::bollard::Docker;
use testcontainers::bollard::models::{SystemInfo, SystemInfoCgroupVersionEnum};
use testcontainers::core::client::docker_client_instance;
use tokio::time::timeout;

use super::address::Address;
use super::error::EngineError;

/// How long a healthy engine may take to say what it is.
const PROBE_TIMEOUT: Duration = Duration::from_secs(10);

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

//! How the cluster is reached that a Machine's Node belongs to.
//!
//! Cluster API keeps a kubeconfig for it in the Secret `<cluster>-kubeconfig`; where there is none, the Nodes are those
//! of the cluster that the operator runs for. A kubeconfig comes from a namespace of a user, so one that would have us run
//! a program or read a file is refused.

use std::{
    collections::HashMap,
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, Client, Config,
    config::{KubeConfigOptions, Kubeconfig},
};
use tokio::time::Instant;

/// Which cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClusterKey {
    /// The namespace of the Cluster.
    pub(crate) namespace: String,
    /// Its name.
    pub(crate) name: String,
}

/// A cluster can't be reached.
#[derive(Debug, thiserror::Error)]
pub enum WorkloadError {
    /// The Secret could not be read.
    #[error("failed to read Secret {secret}")]
    Read {
        /// Namespace and name.
        secret: String,
        /// What the API server or the way there said.
        #[source]
        source: Box<kube::Error>,
    },
    /// The Secret holds no kubeconfig that may be used.
    #[error("Secret {secret}: {field} {rule}")]
    Kubeconfig {
        /// Namespace and name.
        secret: String,
        /// What of it is wrong.
        field: String,
        /// What it must be.
        rule: String,
    },
}

/// How long a kubeconfig is used before it is read again: Cluster API renews the certificates in it.
pub(crate) const FRESH: Duration = Duration::from_mins(5);

/// Makes a client of a kubeconfig.
type Connect = dyn Fn(Kubeconfig) -> BoxFuture<'static, Result<Client, String>> + Send + Sync;

/// Clients for clusters, kept for a while. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Workloads {
    client: Client,
    connect: Arc<Connect>,
    known: Arc<Mutex<HashMap<ClusterKey, Known>>>,
    versions: Arc<AtomicU64>,
}

/// The way to a cluster.
#[derive(Clone)]
pub(crate) struct Workload {
    /// Reads and writes there, guarded by nothing.
    pub(crate) client: Client,
    /// Another one means another client.
    pub(crate) version: u64,
}

#[derive(Clone)]
struct Known {
    workload: Workload,
    read: Instant,
    /// The text that the client was made of; the same text keeps its connections. `None` is our own cluster.
    text: Option<Vec<u8>>,
}

impl Workloads {
    /// Secrets are read by `client`, which is also the one for clusters without a Secret.
    pub(crate) fn new(client: Client) -> Self {
        Self::connecting_by(client, Arc::new(|kubeconfig| Box::pin(connect(kubeconfig))))
    }

    pub(crate) fn connecting_by(client: Client, connect: Arc<Connect>) -> Self {
        Self {
            client,
            connect,
            known: Arc::default(),
            versions: Arc::default(),
        }
    }

    /// A client for `cluster`.
    pub(crate) async fn client(&self, cluster: &ClusterKey) -> Result<Workload, WorkloadError> {
        let known = self.known().get(cluster).cloned();
        if let Some(known) = &known
            && known.read.elapsed() < FRESH
        {
            return Ok(known.workload.clone());
        }
        let text = self.kubeconfig(cluster).await?;
        let workload = match (&text, known) {
            (text, Some(known)) if *text == known.text => known.workload,
            (text, _) => {
                let client = match text {
                    Some(text) => self.connect(cluster, text).await?,
                    None => self.client.clone(),
                };
                Workload {
                    client,
                    version: self.versions.fetch_add(1, Ordering::Relaxed),
                }
            }
        };
        let known = Known {
            workload: workload.clone(),
            read: Instant::now(),
            text,
        };
        self.known().insert(cluster.clone(), known);
        Ok(workload)
    }

    /// Has the Secret read again the next time: its credentials were refused.
    pub(crate) fn forget(&self, cluster: &ClusterKey) {
        self.known().remove(cluster);
    }

    async fn kubeconfig(&self, cluster: &ClusterKey) -> Result<Option<Vec<u8>>, WorkloadError> {
        let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &cluster.namespace);
        let secret = secrets
            .get_opt(&cluster.secret_name())
            .await
            .map_err(|source| WorkloadError::Read {
                secret: cluster.secret(),
                source: Box::new(source),
            })?;
        let Some(secret) = secret else {
            return Ok(None);
        };
        let value = secret.data.and_then(|mut data| data.remove("value"));
        let value = value.ok_or_else(|| cluster.refused("data.value", "must hold a kubeconfig"))?;
        Ok(Some(value.0))
    }

    async fn connect(&self, cluster: &ClusterKey, text: &[u8]) -> Result<Client, WorkloadError> {
        let text = std::str::from_utf8(text)
            .map_err(|_| cluster.refused("data.value", "must be text in UTF-8"))?;
        // What can't be read is not repeated: it may hold a key.
        let kubeconfig = Kubeconfig::from_yaml(text)
            .map_err(|_| cluster.refused("data.value", "must be a kubeconfig in YAML"))?;
        if let Some(field) = reaches_out(&kubeconfig) {
            return Err(cluster.refused(&field, "must not be set; only inline data may be used"));
        }
        (self.connect)(kubeconfig)
            .await
            .map_err(|rule| cluster.refused("data.value", &rule))
    }

    fn known(&self) -> MutexGuard<'_, HashMap<ClusterKey, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Workloads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workloads").finish_non_exhaustive()
    }
}

impl fmt::Debug for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Workload")
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

impl ClusterKey {
    fn secret_name(&self) -> String {
        format!("{}-kubeconfig", self.name)
    }

    fn secret(&self) -> String {
        format!("{}/{}", self.namespace, self.secret_name())
    }

    fn refused(&self, field: &str, rule: &str) -> WorkloadError {
        WorkloadError::Kubeconfig {
            secret: self.secret(),
            field: field.to_owned(),
            rule: rule.to_owned(),
        }
    }
}

async fn connect(kubeconfig: Kubeconfig) -> Result<Client, String> {
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default())
        .await
        .map_err(|error| format!("must be usable: {error}"))?;
    Client::try_from(config).map_err(|error| format!("must be usable: {error}"))
}

/// The first field by which a kubeconfig would have us run a program, read a file or go through a proxy.
fn reaches_out(kubeconfig: &Kubeconfig) -> Option<String> {
    let of_users = kubeconfig.auth_infos.iter().filter_map(|user| {
        let info = user.auth_info.as_ref()?;
        let set = [
            ("exec", info.exec.is_some()),
            ("auth-provider", info.auth_provider.is_some()),
            ("tokenFile", info.token_file.is_some()),
            ("client-certificate", info.client_certificate.is_some()),
            ("client-key", info.client_key.is_some()),
        ];
        let (field, _) = set.into_iter().find(|(_, is_set)| *is_set)?;
        Some(format!("users[].user.{field}"))
    });
    let of_clusters = kubeconfig.clusters.iter().filter_map(|cluster| {
        let cluster = cluster.cluster.as_ref()?;
        let set = [
            (
                "certificate-authority",
                cluster.certificate_authority.is_some(),
            ),
            ("proxy-url", cluster.proxy_url.is_some()),
        ];
        let (field, _) = set.into_iter().find(|(_, is_set)| *is_set)?;
        Some(format!("clusters[].cluster.{field}"))
    });
    of_users.chain(of_clusters).next()
}

#[cfg(test)]
mod tests;

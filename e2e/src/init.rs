//! `failover init`: looks at a Deployment and its Lease, and writes a first `failover.toml` for them.
//!
//! Looking is here, guessing is in [`guess`], and the words of the file are in [`draft`]. Nothing in the cluster is
//! changed. What could not be guessed is said, and stands in the file as what has to be filled in.

pub mod draft;
pub mod guess;

use std::{
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::Args;
use guess::{Found, Guess};
use jiff::Timestamp;
use k8s_openapi::api::{apps::v1::Deployment, coordination::v1::Lease, core::v1::Pod};
use kube::{Api, Client, ResourceExt, api::ListParams, config::KubeConfigOptions};
use tokio::time::{Instant, sleep};

use crate::config::FILE;
use failover_rig::{cluster, progress::Progress};

/// How long the Lease is watched for renewals, so that their period is known.
const WATCH_LIMIT: Duration = Duration::from_secs(40);

/// Time between two looks at the Lease.
const LOOK_PERIOD: Duration = Duration::from_millis(200);

/// So many renewals tell their period.
const RENEWALS: usize = 4;

/// Writes a first failover.toml by looking at a Deployment and its Lease in a cluster.
#[derive(Debug, Clone, Args)]
pub struct InitCommand {
    /// Namespace of the Deployment
    #[arg(long, value_name = "NAME")]
    pub namespace: String,
    /// The Deployment
    #[arg(long, value_name = "NAME")]
    pub deployment: String,
    /// Its Lease [default: guessed]
    #[arg(long, value_name = "NAME")]
    pub lease: Option<String>,
    /// Kubeconfig of the cluster [default: $KUBECONFIG, else ~/.kube/config]
    #[arg(long, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Context of the kubeconfig
    #[arg(long, value_name = "NAME")]
    pub context: Option<String>,
    /// The file to write; one that exists is left alone
    #[arg(long, value_name = "FILE", default_value = FILE)]
    pub out: PathBuf,
}

/// Why there is no file.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message names each field")]
pub enum InitError {
    #[error("--out={}: exists already and is left alone; remove it or name another file", .0.display())]
    Exists(PathBuf),
    #[error("--kubeconfig={path}: can't be used")]
    Kubeconfig {
        path: String,
        #[source]
        source: Box<kube::config::KubeconfigError>,
    },
    #[error("{flag}={name}: namespace {namespace} has no such {kind}")]
    Absent {
        flag: &'static str,
        name: String,
        namespace: String,
        kind: &'static str,
    },
    #[error("failed to {action} in namespace {namespace}")]
    Api {
        action: &'static str,
        namespace: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("failed to write {}", .path.display())]
    Write {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
}

impl InitError {
    /// Whether the user's input is at fault.
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::Exists(_) | Self::Kubeconfig { .. } | Self::Absent { .. }
        )
    }
}

impl InitCommand {
    /// Looks, guesses and writes; says what it could not guess.
    pub async fn run(&self, progress: &dyn Progress) -> Result<(), InitError> {
        if self.out.exists() {
            return Err(InitError::Exists(self.out.clone()));
        }
        let client = self.client().await?;
        progress.step(&format!("looking at Deployment {}", self.deployment));
        let mut found = self.look(&client).await?;
        let mut guess = Guess::of(&found, self.lease.as_deref());
        if let Some(lease) = &guess.lease {
            progress.step(&format!("watching Lease {lease} for its renewals"));
            found.renewals = self.renewals(&client, lease).await;
            guess = Guess::of(&found, self.lease.as_deref());
        }
        write_new(&self.out, &draft::draft(&guess))?;
        progress.note(&format!("written: {}", self.out.display()));
        for unknown in &guess.unknown {
            progress.warn(unknown);
        }
        Ok(())
    }

    async fn client(&self) -> Result<Client, InitError> {
        let (path, kubeconfig) = cluster::kubeconfig(self.kubeconfig.as_deref());
        let failed = |source| InitError::Kubeconfig {
            path: path.clone(),
            source: Box::new(source),
        };
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let config = kube::Config::from_custom_kubeconfig(kubeconfig.map_err(failed)?, &options);
        let config = config.await.map_err(failed)?;
        Client::try_from(config).map_err(self.api("make a client"))
    }

    async fn look(&self, client: &Client) -> Result<Found, InitError> {
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), &self.namespace);
        let deployment = deployments.get_opt(&self.deployment).await;
        let deployment = deployment
            .map_err(self.api("read the Deployment"))?
            .ok_or_else(|| self.absent("--deployment", &self.deployment, "Deployment"))?;
        let leases: Api<Lease> = Api::namespaced(client.clone(), &self.namespace);
        let leases = if let Some(name) = &self.lease {
            let lease = leases.get_opt(name).await;
            let lease = lease.map_err(self.api("read the Lease"))?;
            vec![lease.ok_or_else(|| self.absent("--lease", name, "Lease"))?]
        } else {
            let list = leases.list(&ListParams::default()).await;
            list.map_err(self.api("list the Leases"))?.items
        };
        let pods: Api<Pod> = Api::namespaced(client.clone(), &self.namespace);
        let selected = ListParams::default().labels(&guess::selector(&deployment));
        let pods = pods
            .list(&selected)
            .await
            .map_err(self.api("list the pods"))?;
        Ok(Found {
            deployment,
            leases,
            pods: pods.items.iter().map(ResourceExt::name_any).collect(),
            renewals: Vec::new(),
        })
    }

    /// The moments of the renewals that the holder writes while the Lease is looked at. What can't be read tells nothing.
    async fn renewals(&self, client: &Client, name: &str) -> Vec<Timestamp> {
        let leases: Api<Lease> = Api::namespaced(client.clone(), &self.namespace);
        let deadline = Instant::now() + WATCH_LIMIT;
        let mut renewals: Vec<Timestamp> = Vec::new();
        while renewals.len() < RENEWALS && Instant::now() < deadline {
            let lease = leases.get_opt(name).await.ok().flatten();
            let renewed = lease
                .and_then(|lease| lease.spec?.renew_time)
                .map(|time| time.0);
            if let Some(renewed) = renewed.filter(|renewed| renewals.last() != Some(renewed)) {
                renewals.push(renewed);
            }
            sleep(LOOK_PERIOD).await;
        }
        renewals
    }

    fn api(&self, action: &'static str) -> impl FnOnce(kube::Error) -> InitError {
        let namespace = self.namespace.clone();
        move |source| InitError::Api {
            action,
            namespace,
            source: Box::new(source),
        }
    }

    fn absent(&self, flag: &'static str, name: &str, kind: &'static str) -> InitError {
        InitError::Absent {
            flag,
            name: name.to_owned(),
            namespace: self.namespace.clone(),
            kind,
        }
    }
}

/// Writes a file that must not exist.
fn write_new(path: &Path, text: &str) -> Result<(), InitError> {
    let created = std::fs::File::create_new(path);
    created
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .map_err(|source| {
            if source.kind() == std::io::ErrorKind::AlreadyExists {
                InitError::Exists(path.to_owned())
            } else {
                InitError::Write {
                    path: path.to_owned(),
                    source,
                }
            }
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_exists_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        write_new(&path, "first").unwrap();
        let error = write_new(&path, "second").unwrap_err();
        assert!(error.is_usage());
        assert!(error.to_string().contains("--out="), "{error}");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "first");
    }
}

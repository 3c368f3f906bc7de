//! Flags that name the target; each is a key of `[target]` in `failover.toml` as well.

use std::path::PathBuf;

use clap::Args;

use crate::deploy::{LeaseDuration, Seconds};
use failover_judging::observed::HolderIdentity;

/// What is put to the test.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Target")]
pub struct TargetArgs {
    /// File that says what is put to the test and what is asked for; flags win [default: failover.toml where there is one]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Manifests to apply: a file, or a folder with a kustomization.yaml; may be repeated [default: deploy, our own]
    #[arg(long, value_name = "PATH")]
    pub deploy: Vec<PathBuf>,
    /// Apply nothing: the Deployment runs already in the cluster that is brought, and is put back at the end
    #[arg(long, conflicts_with = "deploy")]
    pub running: bool,
    /// Further image of the engine to load into a started cluster; may be repeated
    #[arg(long = "load-image", value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Namespace of the Deployment and its Lease [default: the manifests']
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// The Deployment [default: the one that has the variable `LEASE_NAME`]
    #[arg(long, value_name = "NAME")]
    pub deployment: Option<String>,
    /// The elected container [default: the one that has the variable `LEASE_NAME`, or the only one]
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
    /// The Lease [default: the value of `LEASE_NAME`]
    #[arg(long, value_name = "NAME")]
    pub lease: Option<String>,
    /// How the holder that the Lease names leads to a pod [default: `name_suffix`]
    #[arg(long, value_name = "WAY", value_enum)]
    pub holder: Option<HolderIdentity>,
    /// How long a silent holder is left alone, or "lease" [default: `LEASE_DURATION_SECONDS` of the container]
    #[arg(long, value_name = "TIME")]
    pub lease_duration: Option<LeaseDuration>,
    /// When a leader that can't renew gives up [default: `LEASE_RENEW_DEADLINE_SECONDS` of the container]
    #[arg(long, value_name = "TIME", value_parser = Seconds::parse)]
    pub renew_deadline: Option<Seconds>,
    /// Time between renewals [default: `LEASE_RETRY_PERIOD_SECONDS` of the container]
    #[arg(long, value_name = "TIME", value_parser = Seconds::parse)]
    pub retry_period: Option<Seconds>,
}

impl TargetArgs {
    /// Whether the flags name a target that is not our own operator.
    pub fn names_a_target(&self) -> bool {
        self.running
            || self.holder.is_some()
            || [
                &self.namespace,
                &self.deployment,
                &self.container,
                &self.lease,
            ]
            .iter()
            .any(|name| name.is_some())
    }
}

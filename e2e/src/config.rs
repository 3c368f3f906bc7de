//! `failover.toml`: what is put to the test, how it is made to work, and what a run is asked for.
//!
//! Everything in it can be given by flags as well, and a flag wins. Its schema is generated from these types
//! (`failover schema --config`) and committed as `failover.schema.json`. Paths are relative to the file.

mod error;
mod read;
mod value;

use std::{collections::BTreeMap, path::PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use crate::deploy::{LeaseDuration, Seconds, Switch};
use failover_judging::{
    fault::FaultKind,
    observed::{HolderIdentity, ResourceName},
    report::BudgetShape,
};

pub use error::ConfigError;
pub use read::{Config, FILE};
pub use value::{Replicas, Time, Trials, WarmUp, Within, json};

/// What a `failover.toml` says.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "failover.toml")]
pub struct ConfigFile {
    /// What is put to the test.
    pub target: TargetTable,
    /// What gives the leader work, so that its writes can be timed. Without it only the Lease is timed.
    pub canary: Option<CanaryTable>,
    /// How the replicas' metrics tell their roles. Without it they are not read.
    pub metrics: Option<MetricsTable>,
    /// What a run is asked for.
    pub run: RunTable,
}

/// What is put to the test.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TargetTable {
    /// Manifests to apply: files, and folders with a kustomization.yaml. Without them the Deployment has to run already,
    /// in a cluster that is brought; then it is put back at the end as it was found.
    #[schemars(with = "Option<OneOrMany>")]
    #[serde(deserialize_with = "value::one_or_many")]
    pub manifests: Vec<PathBuf>,
    /// Image of the elected container; without it that of the manifests. Loaded into a started cluster.
    pub image: Option<String>,
    /// Further images of the container engine to load into a started cluster.
    pub images: Vec<String>,
    /// Namespace of the Deployment and its Lease; of the manifests, where they do not name one.
    pub namespace: Option<String>,
    /// The Deployment; without it the one whose container has the variable `LEASE_NAME`.
    pub deployment: Option<String>,
    /// The elected container; without it the one that has the variable `LEASE_NAME`, or the only one.
    pub container: Option<String>,
    /// The Lease; without it the value of the variable `LEASE_NAME`.
    pub lease: Option<String>,
    /// How the holder that the Lease names leads to a pod.
    #[schemars(with = "Option<HolderIdentity>")]
    pub holder: Option<Spanned<HolderIdentity>>,
    /// Election settings, where the container has no variables `LEASE_DURATION_SECONDS`,
    /// `LEASE_RENEW_DEADLINE_SECONDS` and `LEASE_RETRY_PERIOD_SECONDS`.
    pub election: ElectionTable,
}

/// Election settings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ElectionTable {
    /// How long a silent holder is left alone, in whole seconds such as "15s"; "lease" reads it from the Lease.
    pub lease_duration: Option<LeaseDuration>,
    /// When a leader that can't renew gives up.
    pub renew_deadline: Option<Seconds>,
    /// Time between renewals, and between the looks of a standby.
    pub retry_period: Option<Seconds>,
}

/// What gives the leader work.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CanaryTable {
    /// The object that is changed again and again. It is created where it does not exist, and removed at the end.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub object: Spanned<toml::Table>,
    /// The change, as a merge patch. "{counter}" becomes a number that is another one each time; inside a longer text it
    /// becomes part of it.
    #[schemars(with = "serde_json::Map<String, serde_json::Value>")]
    pub patch: Spanned<toml::Table>,
    /// The counter begins anew at this number.
    #[serde(default)]
    pub modulo: Option<std::num::NonZeroU32>,
    /// What the leader writes then, by its ServiceAccount: a resource as kubectl names it.
    pub answer: ResourceName,
    /// The name of the object that it writes; without it any.
    #[serde(default)]
    pub answer_name: Option<String>,
}

/// How the replicas' metrics tell their roles.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MetricsTable {
    /// The port; without it the first one of the elected container.
    #[serde(default)]
    pub port: Option<u16>,
    /// The path; without it /metrics.
    #[serde(default)]
    pub path: Option<String>,
    /// The metric that is 1 on the leader, with labels or without.
    #[schemars(with = "String")]
    pub leader: Spanned<String>,
    /// The metric that is 1 on a standby; without it, 0 of the other one means standby.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    pub standby: Option<Spanned<String>>,
}

/// What a run is asked for; each has a flag of the same name.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunTable {
    /// Numbers of replicas to try, one after the other.
    pub replicas: Option<Vec<Replicas>>,
    /// Faults to try.
    pub faults: Option<Vec<FaultKind>>,
    /// Trials of each fault with each number of replicas.
    pub trials: Option<Trials>,
    /// Trials of each fault that come first, and are part of no figure.
    pub warm_up: Option<WarmUp>,
    /// Figures that are to be known so well, such as "crash.work.p50<=50ms"; trials go on until they are.
    #[schemars(with = "Vec<String>")]
    pub until_confident: Vec<Spanned<String>>,
    /// Trials of each fault at most, for those.
    pub max_trials: Option<Trials>,
    /// Seed of the moments at which faults are done.
    pub seed: Option<u64>,
    /// How long calls are counted while nothing changes.
    pub steady: Option<Time>,
    /// How long the replicas may take to settle, beyond the lease duration.
    #[schemars(with = "Option<Time>")]
    pub settle: Option<Spanned<Time>>,
    /// Environment variables of the elected container to set or change.
    #[schemars(with = "BTreeMap<String, String>")]
    pub set_env: BTreeMap<String, Spanned<String>>,
    /// Resources that standbys may write as well, as kubectl names them.
    pub ignore_writes: Vec<ResourceName>,
    /// Whether the API server refuses writes of replicas that do not hold the Lease; of our own operator.
    pub fence: Option<Switch>,
    /// Whether a standby acts on the end of its connection to the leader; of our own operator.
    pub hint: Option<Switch>,
    /// Rule of the disruption budget, where it is not to be as the manifests have it.
    pub budget: Option<BudgetShape>,
    /// Command that has the operator rolled out anew for the fault rolling-update, such as "helm upgrade operator ./chart";
    /// without it the harness changes an annotation of the pod template.
    #[schemars(with = "Option<String>")]
    pub rollout: Option<Spanned<String>>,
    /// Limits over all trials of a fault, such as "crash.work.p95>2s".
    #[schemars(with = "Vec<String>")]
    pub fail_if: Vec<Spanned<String>>,
    /// The takeover time promised; without it the lease duration.
    #[schemars(with = "Option<Time>")]
    pub within: Option<Spanned<Time>>,
    /// The report of an earlier run to compare with.
    pub baseline: Option<PathBuf>,
    /// How much worse than the baseline is a failure, such as "20%".
    #[schemars(with = "Option<String>")]
    pub regression: Option<Spanned<String>>,
    /// Folder for the report and the raw data.
    pub out: Option<PathBuf>,
}

/// One path or several.
#[derive(JsonSchema)]
#[serde(untagged)]
#[expect(dead_code, reason = "for the schema alone")]
enum OneOrMany {
    One(PathBuf),
    Many(Vec<PathBuf>),
}

/// The JSON Schema of `failover.toml`, as text that ends with a newline.
pub fn schema() -> Result<String, serde_json::Error> {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .into_generator()
        .into_root_schema_for::<ConfigFile>();
    serde_json::to_string_pretty(&schema).map(|text| text + "\n")
}

#[cfg(test)]
mod tests;

//! `failover.toml`: what is put to the test, how it is made to work, and what a run is asked for.
//!
//! Tables that flags can say as well are flags of the command line too, and a flag wins. Its schema is generated from these types
//! (`failover schema --config`) and committed as `failover.schema.json`. Paths are relative to the file.

mod error;
mod read;
mod value;

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;

use crate::deploy::{EnvOverride, GivenSettings, Switch, rollout::RolloutCommand};
use failover_judging::{
    criteria::{Gate, Goal, Percent},
    fault::FaultKind,
    observed::{HolderIdentity, ResourceName},
    report::BudgetShape,
};

pub use error::ConfigError;
pub use read::{Config, FILE};
use value::OneOrMany;
pub use value::{PositiveTime, Replicas, Time, Trials, WarmUp, Within, Written, json};

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
#[derive(Clone, Debug, Default, PartialEq, Args, Deserialize, JsonSchema)]
#[command(next_help_heading = "Target")]
#[serde(deny_unknown_fields, default)]
pub struct TargetTable {
    /// File that says what is put to the test and what is asked for; flags win [default: failover.toml where there is one]
    #[arg(long, value_name = "FILE")]
    #[serde(skip)]
    pub config: Option<PathBuf>,
    /// Manifests to apply: files, and folders with a kustomization.yaml. Without them the Deployment has to run already, in a
    /// cluster that is brought; then it is put back at the end as it was found. May be repeated [default: deploy, our own]
    #[arg(long = "deploy", value_name = "PATH")]
    #[schemars(with = "Option<OneOrMany>")]
    #[serde(deserialize_with = "OneOrMany::paths")]
    pub manifests: Vec<PathBuf>,
    /// Apply nothing: the Deployment runs already in the cluster that is brought, and is put back at the end
    #[arg(long, conflicts_with = "manifests")]
    #[serde(skip)]
    pub running: bool,
    /// Image of the elected container; without it that of the manifests. Loaded into a started cluster.
    #[arg(skip)]
    pub image: Option<String>,
    /// Further image of the container engine to load into a started cluster; may be repeated
    #[arg(long = "load-image", value_name = "IMAGE")]
    pub images: Vec<String>,
    /// Namespace of the Deployment and its Lease [default: the manifests']
    #[arg(long, value_name = "NAME")]
    pub namespace: Option<String>,
    /// The Deployment [default: the one whose container has the variable `LEASE_NAME`]
    #[arg(long, value_name = "NAME")]
    pub deployment: Option<String>,
    /// The elected container [default: the one that has the variable `LEASE_NAME`, or the only one]
    #[arg(long, value_name = "NAME")]
    pub container: Option<String>,
    /// The Lease [default: the value of the variable `LEASE_NAME`]
    #[arg(long, value_name = "NAME")]
    pub lease: Option<String>,
    /// How the holder that the Lease names leads to a pod [default: `name_suffix`]
    #[arg(long, value_name = "WAY", value_enum)]
    pub holder: Option<HolderIdentity>,
    /// Election settings, where the container has no variables `LEASE_DURATION_SECONDS`,
    /// `LEASE_RENEW_DEADLINE_SECONDS` and `LEASE_RETRY_PERIOD_SECONDS`.
    #[command(flatten)]
    pub election: GivenSettings,
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

/// What a run is asked for.
#[derive(Clone, Debug, Default, PartialEq, Args, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RunTable {
    /// Numbers of replicas to try, one after the other [default: 2,3]
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    pub replicas: Option<Vec<Replicas>>,
    /// Faults to try; `failover faults` explains them [default: graceful,crash,crash-loop]
    #[arg(long, value_name = "FAULT,...", value_delimiter = ',', value_enum)]
    pub faults: Option<Vec<FaultKind>>,
    /// Trials of each fault with each number of replicas [default: 3]
    #[arg(long, value_name = "N")]
    pub trials: Option<Trials>,
    /// Trials of each fault that come first and are judged, but held against no limit of time and part of no figure
    /// [default: 0]
    #[arg(long, value_name = "N")]
    pub warm_up: Option<WarmUp>,
    /// Go on until the confidence interval of a percentile is narrow enough: half of its length at most this, such as
    /// 'crash.work.p50<=50ms'; may be repeated
    #[arg(long, value_name = "GOAL")]
    pub until_confident: Option<Vec<Written<Goal>>>,
    /// Trials of each fault with each number of replicas at most, for --until-confident [default: 120, or --trials]
    #[arg(long, value_name = "N")]
    pub max_trials: Option<Trials>,
    /// Seed of the moments at which faults are done, for doing the same again [default: drawn and printed]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// How long lease calls and writes are counted while nothing changes; 0s skips it [default: 30s]
    #[arg(long, value_name = "TIME")]
    pub steady: Option<Time>,
    /// How long the replicas may take to settle, beyond the lease duration [default: 90s]
    #[arg(long, value_name = "TIME")]
    #[schemars(with = "Option<PositiveTime>")]
    pub settle: Option<Written<PositiveTime>>,
    /// Environment variables of the elected container to set or change.
    #[arg(skip)]
    #[schemars(with = "BTreeMap<String, String>")]
    pub set_env: BTreeMap<String, Spanned<String>>,
    /// Environment variable of the operator to set or change; may be repeated
    #[arg(long = "set-env", value_name = "NAME=VALUE")]
    #[serde(skip)]
    pub env_overrides: Vec<EnvOverride>,
    /// Resources that standbys may write as well, as kubectl names them.
    #[arg(skip)]
    pub ignore_writes: Vec<ResourceName>,
    /// Whether the API server refuses writes of replicas that do not hold the Lease; of our own operator [default: as the
    /// manifests have it]
    #[arg(long, value_name = "on|off", value_enum)]
    pub fence: Option<Switch>,
    /// Whether a standby acts on the end of its connection to the leader; of our own operator [default: as the manifests
    /// have it]
    #[arg(long, value_name = "on|off", value_enum)]
    pub hint: Option<Switch>,
    /// Rule of the operator's disruption budget [default: as the manifests have it]
    #[arg(long, value_name = "RULE", value_enum)]
    pub budget: Option<BudgetShape>,
    /// Command that has the operator rolled out anew for the fault rolling-update, such as 'helm upgrade operator ./chart'
    /// [default: the harness changes an annotation of the pod template]
    #[arg(long, value_name = "COMMAND")]
    pub rollout: Option<Written<RolloutCommand>>,
    /// A limit over all trials of a fault, such as 'crash.work.p95>2s'; may be repeated
    #[arg(long, value_name = "GATE")]
    pub fail_if: Option<Vec<Written<Gate>>>,
    /// The takeover time you promise your users [default: the lease duration found in the cluster]
    #[arg(long, value_name = "TIME")]
    #[schemars(with = "Option<PositiveTime>")]
    pub within: Option<Written<PositiveTime>>,
    /// The report of an earlier run that this one may not be slower than, noise aside
    #[arg(long, value_name = "report.json")]
    pub baseline: Option<PathBuf>,
    /// How much larger than the baseline's a median may be [default: 20%]
    #[arg(long, value_name = "PERCENT")]
    pub regression: Option<Written<Percent>>,
    /// Folder for the report and the raw data [default: a folder of its own in target/failover]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// What the first says, or else the second.
macro_rules! or {
    ($first:ident, $second:ident, $($field:ident),+) => {
        Self { $($field: $first.$field.or($second.$field),)+ ..$first }
    };
}

impl TargetTable {
    /// Whether it names a target that is not our own operator.
    pub fn names_a_target(&self) -> bool {
        let names = [
            &self.namespace,
            &self.deployment,
            &self.container,
            &self.lease,
        ];
        self.running || self.holder.is_some() || names.iter().any(|name| name.is_some())
    }

    /// What these flags say, or else the file. What either loads is loaded.
    pub(crate) fn or(mut self, mut file: Self) -> Self {
        file.images.append(&mut self.images);
        self.images = file.images;
        if self.manifests.is_empty() && !self.running {
            self.manifests = file.manifests;
        }
        self.election = self.election.or(file.election);
        or!(
            self, file, image, namespace, deployment, container, lease, holder
        )
    }
}

impl RunTable {
    /// What these flags say, or else the file. Variables are set by either.
    pub(crate) fn or(mut self, file: Self) -> Self {
        self.set_env = file.set_env;
        self.ignore_writes = file.ignore_writes;
        or!(
            self,
            file,
            replicas,
            faults,
            trials,
            warm_up,
            until_confident,
            max_trials,
            seed,
            steady,
            settle,
            fence,
            hint,
            budget,
            rollout,
            fail_if,
            within,
            baseline,
            regression,
            out
        )
    }
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

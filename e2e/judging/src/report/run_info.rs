//! What was run, and where.

use std::collections::BTreeMap;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{clock::Millis, fault::FaultKind, named::named, observed::HolderIdentity};

/// What was run, and where.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct RunInfo {
    /// Identity of the run.
    pub id: String,
    /// Version of the harness.
    pub harness_version: String,
    /// When it began, in UTC.
    pub began: String,
    /// How long it took, in milliseconds.
    pub took_ms: Millis,
    /// Where the cluster came from.
    pub provider: Provider,
    /// Why this provider.
    pub provider_reason: String,
    /// Image of the cluster, where it was started from one.
    pub cluster_image: Option<String>,
    /// Version of the API server.
    pub kubernetes_version: String,
    /// Image of the operator.
    pub image: String,
    /// What was put to the test; absent in reports of older versions.
    #[serde(default)]
    pub target: Option<TargetInfo>,
    /// Numbers of replicas asked for.
    pub replicas: Vec<u32>,
    /// Faults asked for.
    pub faults: Vec<FaultKind>,
    /// Trials asked for of each.
    pub trials: u32,
    /// Trials of each that came before them and are part of no figure.
    #[serde(default)]
    pub warm_up: u32,
    /// How many trials of each there could have been, to reach what `until_confident` asks for.
    #[serde(default)]
    pub max_trials: Option<u32>,
    /// How well figures were to be known.
    #[serde(default)]
    pub until_confident: Vec<String>,
    /// Limits that the user gave.
    #[serde(default)]
    pub gates: Vec<String>,
    /// The report that the run was compared with.
    #[serde(default)]
    pub baseline: Option<String>,
    /// By how much, in percent, a median could be larger than there.
    #[serde(default)]
    pub regression_percent: Option<f64>,
    /// Seed of the moments at which faults were done.
    pub seed: u64,
    /// Environment variables that were set or changed.
    pub set_env: BTreeMap<String, String>,
    /// Whether the fence was part of what was deployed.
    pub fence: bool,
    /// Whether the hint was switched on or off; null when it was left as it is.
    pub hint: Option<bool>,
    /// The rule that the operator's disruption budget was given.
    #[serde(default)]
    pub budget: BudgetShape,
    /// How many nodes beside the server's the harness started.
    #[serde(default)]
    pub agents: u32,
    /// What was not looked at, and why.
    pub not_observed: Vec<String>,
}

/// What was put to the test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TargetInfo {
    /// Namespace of the Deployment and its Lease.
    pub namespace: String,
    /// The Deployment.
    pub deployment: String,
    /// The elected container.
    pub container: String,
    /// The Lease.
    pub lease: String,
    /// How its holder led to a pod.
    pub holder: HolderIdentity,
}

named! {
    "lowercase",
    /// Where a cluster comes from.
    #[derive(ValueEnum)]
    pub enum Provider {
        /// k3s in a container, from its public image
        K3s,
        /// Upstream Kubernetes in a container, from the image that `just node` builds
        Node,
        /// A cluster that exists already
        Kubeconfig,
    }
}

named! {
    "kebab-case",
    /// The rule of the operator's disruption budget.
    #[derive(Default, ValueEnum)]
    pub enum BudgetShape {
        /// As the manifests have it
        #[default]
        AsIs,
        /// One replica must be there: of R, all but one may be disrupted at a time
        #[value(name = "min-available-1")]
        #[serde(rename = "min-available-1")]
        #[strum(to_string = "min-available-1")]
        MinAvailable1,
        /// One replica may be missing: of any number, one may be disrupted at a time
        #[value(name = "max-unavailable-1")]
        #[serde(rename = "max-unavailable-1")]
        #[strum(to_string = "max-unavailable-1")]
        MaxUnavailable1,
    }
}

impl BudgetShape {
    /// The field of a budget that has the rule; `None` where it is left as it is.
    pub fn rule(self) -> Option<&'static str> {
        match self {
            Self::AsIs => None,
            Self::MinAvailable1 => Some("minAvailable"),
            Self::MaxUnavailable1 => Some("maxUnavailable"),
        }
    }
}

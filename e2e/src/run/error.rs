//! Why a run has no report, and whether the user's input is at fault.

use std::path::PathBuf;

use crate::{
    config::ConfigError,
    deploy::{
        ApplyError, ExistingError, ManifestError, NoBudget, NoFence, SettingsError, TargetError,
    },
    observe::CanaryError,
};
use failover_judging::{
    criteria::{Gate, Unreachable},
    report::BudgetShape,
};
use failover_reports::{archive::ReadError, folder::WriteError};
use failover_rig::cluster::ClusterError;

/// Why a run has no report.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message names each field")]
pub enum RunError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Manifests(#[from] ManifestError),
    #[error(transparent)]
    Target(#[from] TargetError),
    #[error(transparent)]
    NoFence(#[from] NoFence),
    #[error(transparent)]
    NoBudget(#[from] NoBudget),
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error(transparent)]
    Existing(#[from] ExistingError),
    #[error(
        "--deploy (target.manifests) must name what to apply, unless the Deployment runs already in a cluster that is \
         brought with --kubeconfig"
    )]
    NothingToDeploy,
    #[error(
        "--deploy (target.manifests): Deployment {namespace}/{deployment} runs already in the cluster that was brought, and \
         would not be put back as it is: --running measures it as it runs"
    )]
    RunsAlready {
        namespace: String,
        deployment: String,
    },
    #[error("{0} must name the Deployment that runs already")]
    Unnamed(&'static str),
    #[error(
        "--fence off (run.fence): can only leave out what the run itself applies, and it applies nothing"
    )]
    FenceStays,
    #[error(
        "--budget={0} (run.budget): can only shape what the run itself applies, and it applies nothing"
    )]
    BudgetStays(BudgetShape),
    #[error("{given} only counts with {needs}")]
    Alone {
        given: &'static str,
        needs: &'static str,
    },
    #[error("{place} {gate}: the fault {fault} is not among --faults (run.faults)", fault = .gate.fault())]
    GateWithoutTrial { gate: Gate, place: String },
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    #[error("--baseline (run.baseline)")]
    Baseline(#[from] ReadError),
    #[error(
        "Deployment {0} has no containerPort for its metrics: metrics.port in failover.toml must name it, or --metrics none \
         do without"
    )]
    NoMetrics(String),
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    #[error(transparent)]
    Apply(#[from] ApplyError),
    #[error(transparent)]
    Canary(#[from] CanaryError),
    #[error(
        "--holder any (target.holder) needs the audit log of this cluster, which tells which pod a holder is: say where it \
         is with --audit-log and how to reach it with --on-node"
    )]
    NoAuditLog,
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("failed to read Deployment {name}")]
    Deployment {
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("failed to make a client")]
    Client(#[source] Box<kube::Error>),
    #[error("ended by {by}")]
    Interrupted { by: &'static str, folder: PathBuf },
    #[error("{0}")]
    Image(String),
}

impl RunError {
    /// Whether the user's input is at fault.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Config(_)
            | Self::Manifests(_)
            | Self::Target(_)
            | Self::NothingToDeploy
            | Self::Unnamed(_)
            | Self::RunsAlready { .. }
            | Self::FenceStays
            | Self::BudgetStays(_)
            | Self::Alone { .. }
            | Self::NoFence(_)
            | Self::NoBudget(_)
            | Self::GateWithoutTrial { .. }
            | Self::Unreachable(_)
            | Self::Baseline(_)
            | Self::NoMetrics(_)
            | Self::Existing(ExistingError::Target(_))
            | Self::Image(_)
            | Self::NoAuditLog => true,
            Self::Cluster(error) => error.is_usage(),
            Self::Settings(error) => error.is_usage(),
            _ => false,
        }
    }
}

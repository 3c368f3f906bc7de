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
    /// The configuration file can't be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The manifests can't be read.
    #[error(transparent)]
    Manifests(#[from] ManifestError),
    /// The manifests can't be put to the test.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// What is to be on is not there.
    #[error(transparent)]
    NoFence(#[from] NoFence),
    /// What is to be given another shape is not there.
    #[error(transparent)]
    NoBudget(#[from] NoBudget),
    /// The election settings are not known.
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// The Deployment that runs already can't be put to the test.
    #[error(transparent)]
    Existing(#[from] ExistingError),
    /// There is nothing to put into the cluster that is started.
    #[error(
        "--deploy (target.manifests) must name what to apply, unless the Deployment runs already in a cluster that is \
         brought with --kubeconfig"
    )]
    NothingToDeploy,
    /// What is to be applied would change what somebody else runs.
    #[error(
        "--deploy (target.manifests): Deployment {namespace}/{deployment} runs already in the cluster that was brought, and \
         would not be put back as it is: --running measures it as it runs"
    )]
    RunsAlready {
        namespace: String,
        deployment: String,
    },
    /// A Deployment that runs already is not named.
    #[error("{0} must name the Deployment that runs already")]
    Unnamed(&'static str),
    /// What the run did not apply it does not leave out.
    #[error(
        "--fence off (run.fence): can only leave out what the run itself applies, and it applies nothing"
    )]
    FenceStays,
    /// What the run did not apply it does not shape.
    #[error(
        "--budget={0} (run.budget): can only shape what the run itself applies, and it applies nothing"
    )]
    BudgetStays(BudgetShape),
    /// Something is asked for that counts only beside something else.
    #[error("{given} only counts with {needs}")]
    Alone {
        given: &'static str,
        needs: &'static str,
    },
    /// A limit is for a fault that is not tried.
    #[error("{place} {gate}: the fault {fault} is not among --faults (run.faults)", fault = .gate.fault())]
    GateWithoutTrial { gate: Gate, place: String },
    /// There can't be as many trials as are asked for.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// There is nothing to compare with.
    #[error("--baseline (run.baseline)")]
    Baseline(#[from] ReadError),
    /// The replicas have nothing to tell their roles with.
    #[error(
        "Deployment {0} has no containerPort for its metrics: metrics.port in failover.toml must name it, or --metrics none \
         do without"
    )]
    NoMetrics(String),
    /// The cluster failed.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
    /// The operator could not be deployed or removed.
    #[error(transparent)]
    Apply(#[from] ApplyError),
    /// There is no canary.
    #[error(transparent)]
    Canary(#[from] CanaryError),
    /// Nobody but the audit log tells which pod leads.
    #[error(
        "--holder any (target.holder) needs the audit log of this cluster, which tells which pod a holder is: say where it \
         is with --audit-log and how to reach it with --on-node"
    )]
    NoAuditLog,
    /// A result could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The Deployment can't be read back.
    #[error("failed to read Deployment {name}")]
    Deployment {
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    /// The API can't be reached the way the harness needs it.
    #[error("failed to make a client")]
    Client(#[source] Box<kube::Error>),
    /// It was ended from outside.
    #[error("ended by {by}")]
    Interrupted { by: &'static str, folder: PathBuf },
    /// The operator's image can't be had.
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

//! Why a run has no report, and whether the user's input is at fault.

use std::path::PathBuf;

use crate::{
    archive::ReadError,
    canary::CanaryError,
    cluster::ClusterError,
    deploy::{ApplyError, ManifestError, NoBudget, NoFence, TargetError},
    evidence::WriteError,
    gate::Gate,
    precision::Unreachable,
};

/// Why a run has no report.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
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
    /// A limit is for a fault that is not tried.
    #[error("--fail-if {gate}: the fault {fault} is not among --faults", fault = .gate.fault())]
    GateWithoutTrial {
        /// The limit.
        gate: Gate,
    },
    /// There can't be as many trials as are asked for.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
    /// There is nothing to compare with.
    #[error("--baseline")]
    Baseline(#[from] ReadError),
    /// The replicas have nothing to tell their roles with.
    #[error("Deployment {0} has no containerPort for /metrics; --metrics none does without")]
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
    /// Nothing can be judged without the audit log.
    #[error(
        "the audit log of this cluster is needed to judge a takeover: say where it is with --audit-log and how to \
         reach it with --on-node"
    )]
    NoAuditLog,
    /// A result could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
    /// The Deployment can't be read back.
    #[error("failed to read Deployment {name}")]
    Deployment {
        /// Its name.
        name: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API can't be reached the way the harness needs it.
    #[error("failed to make a client")]
    Client(#[source] Box<kube::Error>),
    /// It was ended from outside.
    #[error("ended by {by}")]
    Interrupted {
        /// By what.
        by: &'static str,
        /// The folder with what was found until then.
        folder: PathBuf,
    },
    /// The operator's image can't be had.
    #[error("{0}")]
    Image(String),
}

impl RunError {
    /// Whether the user's input is at fault.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Manifests(_)
            | Self::Target(_)
            | Self::NoFence(_)
            | Self::NoBudget(_)
            | Self::GateWithoutTrial { .. }
            | Self::Unreachable(_)
            | Self::Baseline(_)
            | Self::NoMetrics(_)
            | Self::Image(_)
            | Self::NoAuditLog => true,
            Self::Cluster(error) => error.is_usage(),
            _ => false,
        }
    }
}

//! Where the operator and its metrics come from.

use failover_judging::observed::MetricSelector;

use crate::deploy::{Manifests, Target};

/// Where the operator comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// It is applied, with image and environment changed as asked.
    Manifests {
        /// Its objects.
        manifests: Manifests,
        /// What they put to the test.
        target: Target,
    },
    /// It runs in the cluster already.
    Running {
        /// Namespace of the Deployment.
        namespace: String,
        /// Its name.
        deployment: String,
    },
}

/// How the replicas' metrics tell their roles, as far as it is known without the Deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetricsSpec {
    /// The port; `None` means the first one of the elected container.
    pub port: Option<u16>,
    /// The path.
    pub path: String,
    /// 1 on the replica that leads.
    pub leader: MetricSelector,
    /// 1 on those that stand by, where that is told.
    pub standby: Option<MetricSelector>,
}

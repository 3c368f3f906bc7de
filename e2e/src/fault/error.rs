//! Why a fault could not be done.

use crate::{deploy::rollout::RolloutError, observe::requests::RequestError};
use failover_judging::observed::trial::PodSeen;
use failover_rig::cluster::ClusterError;

/// Why a fault could not be done.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// The leader's pod has no container to act on.
    #[error("pod {0} has no running container")]
    NoContainer(String),
    /// The node refused.
    #[error("failed to act on the node of pod {pod}")]
    Node {
        /// The pod.
        pod: String,
        /// Why.
        #[source]
        source: ClusterError,
    },
    /// The API server refused.
    #[error("failed to {action} {name}")]
    Api {
        /// What was attempted.
        action: &'static str,
        /// On what.
        name: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server did not answer.
    #[error("failed to {action}")]
    Request {
        /// What was attempted.
        action: &'static str,
        /// Why.
        #[source]
        source: RequestError,
    },
    /// The user's command did not roll the Deployment out.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// It was done and had no effect, or can't be done here.
    #[error("{0}")]
    NoEffect(String),
}

impl FaultError {
    /// A call to the API that failed.
    pub(super) fn api(
        action: &'static str,
        name: impl Into<String>,
    ) -> impl FnOnce(kube::Error) -> Self {
        let name = name.into();
        move |source| Self::Api {
            action,
            name,
            source: Box::new(source),
        }
    }

    /// A command on the node of `pod` that failed.
    pub(super) fn node(pod: &PodSeen) -> impl FnOnce(ClusterError) -> Self {
        let pod = pod.name.clone();
        move |source| Self::Node { pod, source }
    }

    /// A timed request that was not answered.
    pub(super) fn request(action: &'static str) -> impl FnOnce(RequestError) -> Self {
        move |source| Self::Request { action, source }
    }
}

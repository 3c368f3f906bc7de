//! Why a fault could not be done.

use crate::{
    deploy::rollout::RolloutError,
    observe::{Answer, RequestError},
};
use failover_judging::observed::PodSeen;
use failover_rig::cluster::ClusterError;

/// Why a fault could not be done.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message names each field")]
pub enum FaultError {
    /// The leader's pod has no container to act on.
    #[error("pod {0} has no running container")]
    NoContainer(String),
    /// The node refused.
    #[error("failed to act on the node of pod {pod}")]
    Node {
        pod: String,
        #[source]
        source: ClusterError,
    },
    /// The API server refused.
    #[error("failed to {action} {name}")]
    Api {
        action: &'static str,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    /// The API server did not answer.
    #[error("failed to {action}")]
    Request {
        action: &'static str,
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

    /// What a timed request met, unless the API server accepted it; `refused` begins the message.
    pub(super) fn unless_accepted(answer: &Answer, refused: &str) -> Result<(), Self> {
        if answer.code.is_success() {
            return Ok(());
        }
        let (code, message) = (answer.code, answer.message());
        Err(Self::NoEffect(format!("{refused}: {code} {message}")))
    }

    /// A timed request that was not answered.
    pub(super) fn request(action: &'static str) -> impl FnOnce(RequestError) -> Self {
        move |source| Self::Request { action, source }
    }
}

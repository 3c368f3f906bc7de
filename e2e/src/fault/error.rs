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
    #[error("pod {0} has no running container")]
    NoContainer(String),
    #[error("failed to act on the node of pod {pod}")]
    Node {
        pod: String,
        #[source]
        source: ClusterError,
    },
    #[error("failed to {action} {name}")]
    Api {
        action: &'static str,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("failed to {action}")]
    Request {
        action: &'static str,
        #[source]
        source: RequestError,
    },
    #[error(transparent)]
    Rollout(#[from] RolloutError),
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

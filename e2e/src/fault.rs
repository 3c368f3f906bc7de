//! What can be done to a leader. One fault, one file; each says what it does and what it proves.

mod crash;
mod crash_loop;
mod graceful;

use futures::future::BoxFuture;

use crate::{
    budget::FaultKind,
    clock::Stamp,
    cluster::ClusterError,
    scene::Scene,
    trial::{PodSeen, Strike},
};

pub use crash::Crash;
pub use crash_loop::CrashLoop;
pub use graceful::Graceful;

/// Something that is done to the leader.
pub trait Fault: Send + Sync {
    /// Its name.
    fn kind(&self) -> FaultKind;

    /// What it does, in one line for the user.
    fn about(&self) -> &'static str;

    /// Whether it acts on the node rather than through the API.
    fn needs_node(&self) -> bool;

    /// Does it to `leader`, and says when.
    fn strike<'a>(
        &'a self,
        scene: &'a Scene<'_>,
        leader: &'a PodSeen,
    ) -> BoxFuture<'a, Result<Strike, FaultError>>;

    /// Keeps it up until it is dropped, and reports every further blow. Most faults are done with one.
    fn keep_up<'a>(
        &'a self,
        scene: &'a Scene<'_>,
        leader: &'a PodSeen,
        blows: &'a Blows,
    ) -> BoxFuture<'a, ()> {
        let _ = (scene, leader, blows);
        Box::pin(std::future::pending())
    }
}

/// The further blows of a fault that is kept up.
#[derive(Debug, Default)]
pub struct Blows(std::sync::Mutex<Vec<Stamp>>);

/// Why a fault could not be done.
#[derive(Debug, thiserror::Error)]
pub enum FaultError {
    /// The leader's pod has no container to kill.
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
    #[error("failed to {action} pod {pod}")]
    Api {
        /// What was attempted.
        action: &'static str,
        /// The pod.
        pod: String,
        /// Why.
        #[source]
        source: Box<kube::Error>,
    },
}

/// The fault of this name.
pub fn fault(kind: FaultKind) -> &'static dyn Fault {
    match kind {
        FaultKind::Graceful => &Graceful,
        FaultKind::Crash => &Crash,
        FaultKind::CrashLoop => &CrashLoop,
    }
}

impl Blows {
    fn add(&self, at: Stamp) {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .push(at);
    }

    /// All of them.
    pub fn all(&self) -> Vec<Stamp> {
        self.0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests {
    use clap::ValueEnum;

    use super::*;

    #[test]
    fn every_name_leads_to_its_fault() {
        for kind in FaultKind::value_variants() {
            assert_eq!(fault(*kind).kind(), *kind);
            assert!(!fault(*kind).about().is_empty());
        }
    }
}

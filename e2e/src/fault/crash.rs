//! `crash`: SIGKILL for the leader's process, sent from its node.
//!
//! Proves that a leader that dies without a word is followed by another term: kubelet restarts the container and the
//! same pod may reclaim its Lease, or a standby takes it when it has expired. A forced delete would not do: kubelet
//! still sends SIGTERM, and the leader releases.

use futures::future::BoxFuture;

use super::{Fault, FaultError, Need, process};
use crate::{
    budget::FaultKind,
    cluster::Signal,
    scene::Scene,
    trial::{PodSeen, Strike},
};

/// Kills the leader's process.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crash;

impl Fault for Crash {
    fn kind(&self) -> FaultKind {
        FaultKind::Crash
    }

    fn about(&self) -> &'static str {
        "kills the leader's process with SIGKILL; kubelet may restart it"
    }

    fn proves(&self) -> &'static str {
        "a leader that dies without a word is followed by another term, by proof of its death, a hint, or its own pod"
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Node)
    }

    fn strike<'a>(
        &'a self,
        scene: &'a Scene<'_>,
        leader: &'a PodSeen,
    ) -> BoxFuture<'a, Result<Strike, FaultError>> {
        Box::pin(kill(scene, leader))
    }
}

/// Sends SIGKILL to the container that runs in `pod`.
pub(super) async fn kill(scene: &Scene<'_>, pod: &PodSeen) -> Result<Strike, FaultError> {
    let pid = process::of(scene, pod).await?;
    process::signal(scene, pod, Signal::Kill, &[pid]).await
}

//! `crash`: SIGKILL for the leader's process, sent from its node.
//!
//! Proves that a leader that dies without a word is followed by another term: kubelet restarts the container and the
//! same pod may reclaim its Lease, or a standby takes it when it has expired. A forced delete would not do: kubelet
//! still sends SIGTERM, and the leader releases.

use super::{
    action::{Action, Need},
    error::FaultError,
    process,
};
use crate::context::Scene;
use failover_judging::observed::trial::{PodSeen, Strike};
use failover_rig::cluster::Signal;

pub(super) const ACTION: Action = Action {
    needs: Some(Need::Node),
    ..Action::of(|scene, leader| Box::pin(kill(scene, leader)))
};

/// Sends SIGKILL to the container that runs in `pod`.
pub(super) async fn kill(scene: &Scene<'_>, pod: &PodSeen) -> Result<Strike, FaultError> {
    let pid = process::of(scene, pod).await?;
    process::signal(scene, pod, Signal::Kill, &[pid]).await
}

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
use crate::context::RunContext;
use failover_judging::observed::{PodSeen, Strike};
use failover_rig::cluster::Signal;

pub(super) const ACTION: Action = Action {
    needs: Some(Need::Node),
    ..Action::of(|context, leader| Box::pin(kill(context, leader)))
};

/// Sends SIGKILL to the container that runs in `pod`.
pub(super) async fn kill(context: &RunContext<'_>, pod: &PodSeen) -> Result<Strike, FaultError> {
    let pid = process::of(context, pod).await?;
    process::signal(context, pod, Signal::Kill, &[pid]).await
}

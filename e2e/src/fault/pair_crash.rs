//! `pair-crash`: SIGKILL for the process of one standby and for the leader's, one right after the other.
//!
//! Proves that a takeover does not depend on the one standby that watched: with 2 replicas nobody is left, and whoever
//! kubelet restarts first has to find out by itself that the holder of the Lease is dead. The standby dies first: one that
//! outlived the leader by a few milliseconds would use them to take the Lease. On one node a single command kills both.

use super::{
    action::{Action, Need},
    crash,
    error::FaultError,
    process,
};
use crate::context::RunContext;
use failover_judging::observed::{PodSeen, Strike};
use failover_rig::cluster::Signal;

pub(super) const ACTION: Action = Action {
    needs: Some(Need::Node),
    ..Action::of(|context, leader| Box::pin(strike(context, leader)))
};

async fn strike(context: &RunContext<'_>, leader: &PodSeen) -> Result<Strike, FaultError> {
    let standby = context
        .replicas()
        .into_values()
        .find(|pod| pod.name != leader.name && pod.running)
        .ok_or_else(|| FaultError::NoEffect("there is no standby to kill".to_owned()))?;
    if leader.node == standby.node {
        let first = process::of(context, &standby).await?;
        let second = process::of(context, leader).await?;
        return process::signal(context, leader, Signal::Kill, &[first, second]).await;
    }
    crash::kill(context, &standby).await?;
    crash::kill(context, leader).await
}

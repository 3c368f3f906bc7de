//! `zombie`: the leader's process is stopped by SIGSTOP for longer than the lease, and goes on.
//!
//! Proves what a lease alone can't: the process wakes up in the middle of its work and believes that it leads. Its writes
//! must not be accepted, and it must notice, step down and stand by without a restart. Work is waiting the whole time:
//! the canary changes before, while and after it is stopped. The process is not stopped for as long as kubelet's liveness
//! probe is patient, or kubelet would end it.

use super::{
    action::{Action, Need},
    error::FaultError,
    process,
};
use crate::{
    context::RunContext,
    undo_log::{Due, Undo},
};
use failover_judging::observed::{PodSeen, Strike};
use failover_rig::cluster::Signal;

pub(super) const ACTION: Action = Action {
    needs: Some(Need::Node),
    ..Action::of(|context, leader| Box::pin(strike(context, leader)))
};

async fn strike(context: &RunContext<'_>, leader: &PodSeen) -> Result<Strike, FaultError> {
    let (node, _) = process::place(leader)?;
    let pid = process::of(context, leader).await?;
    context.undo_log.record(
        Due::AfterTrial,
        format!("{} is stopped", leader.name),
        Undo::on_node(node, &["kill", "-CONT", &pid.to_string()]),
    );
    let strike = process::signal(context, leader, Signal::Stop, &[pid]).await?;
    let stopped = process::is_stopped(context, node, pid).await;
    if stopped.map_err(FaultError::node(leader))? {
        Ok(strike)
    } else {
        let detail = format!("process {pid} of {} goes on after SIGSTOP", leader.name);
        Err(FaultError::NoEffect(detail))
    }
}

//! `graceful`: the leader's pod is deleted, as in a rolling update or a drain.
//!
//! Proves that a leader that is asked to stop stops its work, releases the Lease, and that a standby takes it at once.

use kube::api::DeleteParams;

use super::{action::Action, error::FaultError};
use crate::context::RunContext;
use failover_judging::observed::{PodSeen, Strike};

pub(super) const ACTION: Action = Action::of(|context, leader| Box::pin(strike(context, leader)));

async fn strike(context: &RunContext<'_>, leader: &PodSeen) -> Result<Strike, FaultError> {
    let pods = context.pods();
    let issued = context.observations.now();
    let deleted = pods.delete(&leader.name, &DeleteParams::default()).await;
    deleted.map_err(FaultError::api("delete pod", &leader.name))?;
    Ok(Strike::between(issued, context.observations.now()))
}

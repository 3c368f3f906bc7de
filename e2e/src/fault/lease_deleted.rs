//! `lease-deleted`: somebody deletes the Lease.
//!
//! Proves that a deleted Lease is no invitation: the leader may not know yet, so it alone may make the Lease anew before
//! its last record has been silent for the lease duration.

use super::{action::Action, error::FaultError};
use crate::context::RunContext;
use failover_judging::observed::{PodSeen, Strike};

pub(super) const ACTION: Action = Action::of(|context, leader| Box::pin(strike(context, leader)));

async fn strike(context: &RunContext<'_>, _leader: &PodSeen) -> Result<Strike, FaultError> {
    let issued = context.observations.now();
    let answer = context
        .requests
        .delete("fault", &context.target.lease_path())
        .await;
    let answer = answer.map_err(FaultError::request("delete the Lease"))?;
    let returned = context.observations.now();
    FaultError::unless_accepted(&answer, "the Lease could not be deleted")?;
    Ok(Strike::between(issued, returned))
}

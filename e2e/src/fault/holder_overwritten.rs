//! `holder-overwritten`: a stranger's name is written into the Lease, and the stranger never renews.
//!
//! Proves that a leader that has lost its Lease stops at once rather than at its deadline, and that a holder nobody knows
//! is respected: the Lease is taken when the stranger's record has expired, not before. The annotations stay as they are,
//! as an elector of another make would leave them.

use serde_json::json;

use super::{action::Action, error::FaultError};
use crate::context::RunContext;
use failover_judging::{
    fault::STRANGER,
    observed::{PodSeen, Strike},
};

pub(super) const ACTION: Action = Action::of(|context, leader| Box::pin(strike(context, leader)));

async fn strike(context: &RunContext<'_>, _leader: &PodSeen) -> Result<Strike, FaultError> {
    let transitions = context
        .observations
        .read(|seen| seen.lease().map_or(0, |lease| lease.record.transitions));
    let now = jiff::Timestamp::now();
    let now = format!("{now:.6}");
    let change = json!({"spec": {
        "holderIdentity": STRANGER,
        "acquireTime": now,
        "renewTime": now,
        "leaseDurationSeconds": context.settings.duration_seconds,
        "leaseTransitions": transitions + 1,
    }});
    let issued = context.observations.now();
    let path = context.target.lease_path();
    let answer = context.requests.merge("fault", &path, &change).await;
    let answer = answer.map_err(FaultError::request("overwrite the Lease"))?;
    let returned = context.observations.now();
    FaultError::unless_accepted(&answer, "the Lease could not be overwritten")?;
    Ok(Strike::between(issued, returned))
}

//! `holder-overwritten`: a stranger's name is written into the Lease, and the stranger never renews.
//!
//! Proves that a leader that has lost its Lease stops at once rather than at its deadline, and that a holder nobody knows
//! is respected: the Lease is taken when the stranger's record has expired, not before. The annotations stay as they are,
//! as an elector of another make would leave them.

use futures::future::BoxFuture;
use serde_json::json;

use super::{Fault, FaultError};
use crate::{
    budget::FaultKind,
    scene::Scene,
    trial::{PodSeen, Strike},
};

/// The stranger.
pub const STRANGER: &str = "failover-stranger";

/// Writes a stranger's name into the Lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct HolderOverwritten;

impl Fault for HolderOverwritten {
    fn kind(&self) -> FaultKind {
        FaultKind::HolderOverwritten
    }

    fn about(&self) -> &'static str {
        "writes the name of a stranger, who never renews, into the Lease"
    }

    fn proves(&self) -> &'static str {
        "a leader that lost its Lease stops, and a silent stranger is left alone for the lease duration"
    }

    fn strike<'a>(
        &'a self,
        scene: &'a Scene<'_>,
        _leader: &'a PodSeen,
    ) -> BoxFuture<'a, Result<Strike, FaultError>> {
        Box::pin(async move {
            let transitions = scene
                .journal
                .read(|seen| seen.lease().map_or(0, |lease| lease.record.transitions));
            let now = jiff::Timestamp::now();
            let now = format!("{now:.6}");
            let change = json!({"spec": {
                "holderIdentity": STRANGER,
                "acquireTime": now,
                "renewTime": now,
                "leaseDurationSeconds": scene.settings.duration_seconds,
                "leaseTransitions": transitions + 1,
            }});
            let issued = scene.journal.now();
            let path = scene.target.lease_path();
            let answer = scene.requests.merge("fault", &path, &change).await;
            let answer = answer.map_err(FaultError::request("overwrite the Lease"))?;
            let returned = scene.journal.now();
            if answer.code.is_success() {
                Ok(Strike::between(issued, returned))
            } else {
                let (code, message) = (answer.code, answer.message());
                let detail = format!("the Lease could not be overwritten: {code} {message}");
                Err(FaultError::NoEffect(detail))
            }
        })
    }
}

//! `lease-deleted`: somebody deletes the Lease.
//!
//! Proves that a deleted Lease is no invitation: the leader may not know yet, so it alone may make the Lease anew before
//! its last record has been silent for the lease duration.

use futures::future::BoxFuture;

use super::{Fault, FaultError};
use crate::{
    budget::FaultKind,
    scene::Scene,
    trial::{PodSeen, Strike},
};

/// Deletes the Lease.
#[derive(Clone, Copy, Debug)]
pub(super) struct LeaseDeleted;

impl Fault for LeaseDeleted {
    fn kind(&self) -> FaultKind {
        FaultKind::LeaseDeleted
    }

    fn about(&self) -> &'static str {
        "deletes the Lease"
    }

    fn proves(&self) -> &'static str {
        "the leader makes its Lease anew, or its last record is waited out; nobody grabs it"
    }

    fn strike<'a>(
        &'a self,
        scene: &'a Scene<'_>,
        _leader: &'a PodSeen,
    ) -> BoxFuture<'a, Result<Strike, FaultError>> {
        Box::pin(async move {
            let issued = scene.journal.now();
            let answer = scene
                .requests
                .delete("fault", &scene.target.lease_path())
                .await;
            let answer = answer.map_err(FaultError::request("delete the Lease"))?;
            let returned = scene.journal.now();
            if answer.code.is_success() {
                Ok(Strike::between(issued, returned))
            } else {
                let (code, message) = (answer.code, answer.message());
                let detail = format!("the Lease could not be deleted: {code} {message}");
                Err(FaultError::NoEffect(detail))
            }
        })
    }
}

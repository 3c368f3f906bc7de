//! `graceful`: the leader's pod is deleted, as in a rolling update or a drain.
//!
//! Proves that a leader that is asked to stop stops its work, releases the Lease, and that a standby takes it at once.

use futures::future::BoxFuture;
use kube::api::DeleteParams;

use super::{Fault, FaultError};
use crate::{
    budget::FaultKind,
    scene::Scene,
    trial::{PodSeen, Strike},
};

/// Deletes the leader's pod.
#[derive(Clone, Copy, Debug)]
pub(super) struct Graceful;

impl Fault for Graceful {
    fn kind(&self) -> FaultKind {
        FaultKind::Graceful
    }

    fn about(&self) -> &'static str {
        "deletes the leader's pod"
    }

    fn proves(&self) -> &'static str {
        "a leader that is asked to stop stops its work, releases, and a standby takes over at once"
    }

    fn strike<'a>(
        &'a self,
        scene: &'a Scene<'_>,
        leader: &'a PodSeen,
    ) -> BoxFuture<'a, Result<Strike, FaultError>> {
        Box::pin(async move {
            let pods = scene.pods();
            let issued = scene.journal.now();
            let deleted = pods.delete(&leader.name, &DeleteParams::default()).await;
            deleted.map_err(FaultError::api("delete pod", &leader.name))?;
            Ok(Strike::between(issued, scene.journal.now()))
        })
    }
}

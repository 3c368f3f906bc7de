//! `pair-crash`: SIGKILL for the leader's process and for that of one standby, at the same time.
//!
//! Proves that a takeover does not depend on the one standby that watched: with 2 replicas nobody is left, and whoever
//! kubelet restarts first has to find out by itself that the holder of the Lease is dead. On one node a single command
//! kills both, for a standby that lived a few milliseconds longer would use them to take the Lease.

use futures::future::BoxFuture;

use super::{Fault, FaultError, Need, crash, process};
use crate::{
    budget::FaultKind,
    cluster::Signal,
    scene::Scene,
    trial::{PodSeen, Strike},
};

/// Kills the leader's process and a standby's.
#[derive(Clone, Copy, Debug)]
pub(super) struct PairCrash;

impl Fault for PairCrash {
    fn kind(&self) -> FaultKind {
        FaultKind::PairCrash
    }

    fn about(&self) -> &'static str {
        "kills the leader's process and a standby's with SIGKILL, together"
    }

    fn proves(&self) -> &'static str {
        "a takeover does not depend on the standby that was there: a restarted one finds out that the leader is dead"
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Node)
    }

    fn strike<'a>(
        &'a self,
        scene: &'a Scene<'_>,
        leader: &'a PodSeen,
    ) -> BoxFuture<'a, Result<Strike, FaultError>> {
        Box::pin(async move {
            let standby = scene
                .replicas()
                .into_values()
                .find(|pod| pod.name != leader.name && pod.running)
                .ok_or_else(|| FaultError::NoEffect("there is no standby to kill".to_owned()))?;
            if leader.node == standby.node {
                let first = process::of(scene, leader).await?;
                let second = process::of(scene, &standby).await?;
                return process::signal(scene, leader, Signal::Kill, &[first, second]).await;
            }
            let (leader, standby) =
                futures::future::join(crash::kill(scene, leader), crash::kill(scene, &standby))
                    .await;
            let (leader, standby) = (leader?, standby?);
            Ok(Strike::between(
                leader.issued.min(standby.issued),
                leader.returned.max(standby.returned),
            ))
        })
    }
}

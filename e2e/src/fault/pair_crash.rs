//! `pair-crash`: SIGKILL for the process of one standby and for the leader's, one right after the other.
//!
//! Proves that a takeover does not depend on the one standby that watched: with 2 replicas nobody is left, and whoever
//! kubelet restarts first has to find out by itself that the holder of the Lease is dead. The standby dies first: one that
//! outlived the leader by a few milliseconds would use them to take the Lease. On one node a single command kills both.

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
                let first = process::of(scene, &standby).await?;
                let second = process::of(scene, leader).await?;
                return process::signal(scene, leader, Signal::Kill, &[first, second]).await;
            }
            crash::kill(scene, &standby).await?;
            crash::kill(scene, leader).await
        })
    }
}

//! `zombie`: the leader's process is stopped by SIGSTOP for longer than the lease, and goes on.
//!
//! Proves what a lease alone can't: the process wakes up in the middle of its work and believes that it leads. Its writes
//! must not be accepted, and it must notice, step down and stand by without a restart. Work is waiting the whole time:
//! the canary changes before, while and after it is stopped. The process is not stopped for as long as kubelet's liveness
//! probe is patient, or kubelet would end it.

use std::time::Duration;

use futures::future::BoxFuture;

use super::{Fault, FaultError, Hold, Need, process};
use crate::{
    budget::{FaultKind, LeaseSettings},
    cluster::Signal,
    repairs::{Due, Repair},
    scene::Scene,
    trial::{PodSeen, Strike},
};

/// How much longer than the lease it is stopped.
const BEYOND_LEASE: Duration = Duration::from_millis(500);

/// Stops the leader's process and lets it go on.
#[derive(Clone, Copy, Debug)]
pub(super) struct Zombie;

impl Fault for Zombie {
    fn kind(&self) -> FaultKind {
        FaultKind::Zombie
    }

    fn about(&self) -> &'static str {
        "stops the leader's process with SIGSTOP for longer than the lease, then SIGCONT"
    }

    fn proves(&self) -> &'static str {
        "a leader that wakes up after its lease writes nothing that is accepted, and stands by without a restart"
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
            let (node, _) = process::place(leader)?;
            let pid = process::of(scene, leader).await?;
            scene.repairs.owe(
                Due::AfterTrial,
                format!("{} is stopped", leader.name),
                Repair::on_node(node, &["kill", "-CONT", &pid.to_string()]),
            );
            let strike = process::signal(scene, leader, Signal::Stop, &[pid]).await?;
            let stopped = process::is_stopped(scene, node, pid).await;
            if stopped.map_err(FaultError::node(leader))? {
                Ok(strike)
            } else {
                let detail = format!("process {pid} of {} goes on after SIGSTOP", leader.name);
                Err(FaultError::NoEffect(detail))
            }
        })
    }

    fn hold(&self, settings: &LeaseSettings) -> Hold {
        Hold::UntilTakeover(settings.duration() + BEYOND_LEASE)
    }

    /// Long enough to see it write, if it does, and contend again.
    fn aftermath(&self, settings: &LeaseSettings) -> Duration {
        settings.retry_period() * 2
    }
}

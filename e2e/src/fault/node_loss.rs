//! `node-loss`: the leader's node falls silent and everything on it ends, as when a machine loses its power.
//!
//! Proves the one takeover that nothing can shorten: kubelet is gone and reports no end of the leader's process, no
//! connection to it is closed, so nobody has a proof or a hint, and the Lease has to be waited out. The node is cut off
//! first and ends then, in this order: a process that is killed while its node is reached still says goodbye, by the
//! kernel that closes its connections. When another replica leads and works, the node is started again, and the trial is
//! over when it takes part as before.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{
    action::{Action, Need},
    error::FaultError,
    process,
};
use crate::{
    context::RunContext,
    undo_log::{Due, Undo},
};
use failover_judging::observed::{PodSeen, Presence, Strike};

/// How long a node that is started again may take until it runs pods.
const RETURN_LIMIT: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(500);

pub(super) const ACTION: Action = Action {
    needs: Some(Need::Agents),
    restored: |context, leader| Box::pin(restored(context, leader)),
    ..Action::of(|context, leader| Box::pin(strike(context, leader)))
};

async fn strike(context: &RunContext<'_>, leader: &PodSeen) -> Result<Strike, FaultError> {
    let (node, _) = process::place(leader)?;
    let elsewhere = context
        .replicas()
        .into_values()
        .any(|pod| pod.ready && pod.node.as_deref().is_some_and(|other| other != node));
    if !elsewhere {
        let detail = format!("every replica is on node {node}, so nobody could take over");
        return Err(FaultError::NoEffect(detail));
    }
    context.undo_log.record(
        Due::AfterTrial,
        format!("node {node} is lost"),
        Undo::RestartNode {
            node: node.to_owned(),
        },
    );
    let issued = context.observations.now();
    let cut = context.cluster.cut_node(node).await;
    cut.map_err(FaultError::node(leader))?;
    // From here on nothing of it can count, so this is when the leader is as good as dead.
    let returned = context.observations.now();
    let killed = context.cluster.kill_node(node).await;
    killed.map_err(FaultError::node(leader))?;
    Ok(Strike::between(issued, returned))
}

/// Until kubelet is back, the API shows the pods of the node as they were: Ready.
async fn restored(context: &RunContext<'_>, leader: &PodSeen) -> Result<(), FaultError> {
    let (node, _) = process::place(leader)?;
    let deadline = Instant::now() + RETURN_LIMIT;
    loop {
        let again = context
            .observations
            .read(|seen| runs_again(leader, &seen.pods));
        let ready = context.cluster.node_is_ready(&context.client, node).await;
        if again && matches!(ready, Ok(true)) {
            return Ok(());
        }
        if Instant::now() > deadline {
            ready.map_err(FaultError::node(leader))?;
            let seconds = RETURN_LIMIT.as_secs();
            let detail = format!(
                "node {node} does not run {} again after {seconds} s",
                leader.name
            );
            return Err(FaultError::NoEffect(detail));
        }
        sleep(PAUSE).await;
    }
}

/// Whether kubelet has told of `leader` since it was lost: its container is another one, or its pod is gone.
fn runs_again(leader: &PodSeen, pods: &[PodSeen]) -> bool {
    let mut states = pods.iter().rev().filter(|pod| pod.name == leader.name);
    states.next().is_some_and(|last| {
        last.presence == Presence::Gone
            || last.uid != leader.uid
            || (last.running && last.container_id != leader.container_id)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use failover_judging::samples::pod;

    fn state(container: &str, running: bool, presence: Presence) -> PodSeen {
        PodSeen {
            container_id: Some(container.to_owned()),
            running,
            presence,
            ..pod("a")
        }
    }

    #[rstest::rstest]
    #[case::as_it_was_before(&[state("c1", true, Presence::Staying)], false)]
    #[case::ended_and_not_started_yet(&[state("c1", false, Presence::Staying)], false)]
    #[case::another_container(&[state("c1", false, Presence::Staying), state("c2", true, Presence::Staying)], true)]
    #[case::evicted_meanwhile(&[state("c1", true, Presence::Gone)], true)]
    #[case::never_seen(&[], false)]
    fn a_lost_pod_runs_again_when_kubelet_says_so(#[case] pods: &[PodSeen], #[case] again: bool) {
        let leader = state("c1", true, Presence::Staying);
        assert_eq!(runs_again(&leader, pods), again);
    }
}

//! `scale`: one replica less, and that one is the leader, then one more again.
//!
//! Proves that scaling down is a handover like any other, and that a replica that joins takes nothing from the leader.
//! Which pod goes is decided by Kubernetes, so the leader's is made the cheapest to delete. That is a change of the pod, which
//! has kubelet look at it; and after a look kubelet does nothing more about a pod, not even end it, before it has listed
//! its containers again, which it does once a second (`podWorkerLoop` in `pkg/kubelet/pod_workers.go`: "this adds ~1s of
//! latency on all transitions from sync to terminating"). So the harness lets that pass before it scales, or it would time
//! its own annotation.

use std::time::Duration;

use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::time::sleep;

use super::{action::Action, error::FaultError};
use crate::{
    context::RunContext,
    undo_log::{Due, Undo},
};
use failover_judging::observed::{PodSeen, Strike};

/// The annotation by which Kubernetes chooses among pods that are equally fit to stay.
const DELETION_COST: &str = "controller.kubernetes.io/pod-deletion-cost";

/// Within this kubelet has listed the containers again after it looked at a pod, by its own word.
const LISTED_AGAIN: Duration = Duration::from_secs(2);

pub(super) const ACTION: Action = Action::of(|context, leader| Box::pin(strike(context, leader)));

async fn strike(context: &RunContext<'_>, leader: &PodSeen) -> Result<Strike, FaultError> {
    let replicas = context.replicas().len();
    if replicas < 2 {
        let detail = "there is no replica to scale down to".to_owned();
        return Err(FaultError::NoEffect(detail));
    }
    let name = &context.target.deployment;
    let parameters = PatchParams::default();
    let cheap = json!({"metadata": {"annotations": {DELETION_COST: "-1000"}}});
    let marked = context
        .pods()
        .patch(&leader.name, &parameters, &Patch::Merge(cheap))
        .await;
    marked.map_err(FaultError::api("annotate pod", &leader.name))?;
    sleep(pause(context.settings.retry_period())).await;
    context.undo_log.record(
        Due::AfterTrial,
        format!("{name} has one replica less"),
        Undo::Merge {
            path: context.target.deployment_path(),
            change: json!({"spec": {"replicas": replicas}}),
        },
    );
    let fewer = json!({"spec": {"replicas": replicas - 1}});
    let issued = context.observations.now();
    let scaled = context
        .deployments()
        .patch(name, &parameters, &Patch::Merge(fewer))
        .await;
    scaled.map_err(FaultError::api("scale", name))?;
    Ok(Strike::between(issued, context.observations.now()))
}

/// How long after the annotation it is scaled: whole retry periods, so that the fault comes at its moment after a renewal.
fn pause(retry_period: Duration) -> Duration {
    let periods = LISTED_AGAIN
        .as_millis()
        .div_ceil(retry_period.as_millis().max(1));
    retry_period * u32::try_from(periods).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case(1, 2)]
    #[case(2, 2)]
    #[case(3, 3)]
    #[case(26, 26)]
    fn kubelet_is_given_whole_retry_periods(#[case] period: u64, #[case] paused: u64) {
        assert_eq!(
            pause(Duration::from_secs(period)),
            Duration::from_secs(paused)
        );
    }
}

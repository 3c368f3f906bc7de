//! One trial: waits for its moment, does the fault, and looks until everything is restored.
//!
//! Nothing is judged here. What comes out is everything that was seen, as [`TrialData`].

mod course;

use std::{collections::BTreeSet, time::Duration};

use course::Course;
use kube::api::DeleteParams;
use tokio::time::{Instant, sleep};

use crate::{
    context::{RunContext, disruption},
    fault::action,
    observe::{Pace, Seen, observers},
    run::{
        image_pull::Pulls,
        steady::{self, Steady},
    },
};
pub(super) use course::{RESTORE_LIMIT, undo};
use failover_judging::{
    clock::{Stamp, duration_millis},
    observed::{
        ApiCall, ClockMap, LeaseRecord, PodSeen, RigFault, RolesSeen, TrialData, TrialId,
        audit::purpose::CANARY, trial::present,
    },
};
use failover_rig::progress::chain;

/// How long the canary is changed before the fault, so that the clocks are compared by many requests.
const PRELUDE: Duration = Duration::from_millis(1500);

/// How long metrics get to agree with the Lease, and the last change of the canary to be covered.
const AGREE_LIMIT: Duration = Duration::from_secs(5);

/// Conducts the trial `id` on a steady system; the fault comes `moment` after a renewal.
pub(super) async fn run(
    context: &RunContext<'_>,
    id: TrialId,
    moment: Duration,
    steady: &Steady,
) -> TrialData {
    let action = action(id.fault);
    context.observations.start_trial();
    let began = context.observations.now();
    context.pace(Pace::Trial);
    sleep(PRELUDE).await;
    let allowed_before = disruption::allowed(context).await;
    let pulled_before = Pulls::look(context).await;
    let before = wait_for_moment(context, steady, moment).await;
    let leader = context
        .replicas()
        .remove(before.pod())
        .unwrap_or_else(|| steady.leader.clone());
    let operator = context.target.user.clone();
    let mut trial = TrialData::begun(
        id,
        context.settings,
        operator,
        before,
        context.observations.now(),
    );
    trial.began = began;
    trial.planned_after_renewal_ms = duration_millis(moment);
    trial.allowed_before = allowed_before;
    trial.fence = context.fence;
    trial.unobserved = context.unobserved();
    trial.work = context.work.clone();
    let struck = (action.strike)(context, &leader).await;
    // One that failed half-way has left something to undo.
    let took_effect = struck.is_ok() || !context.undo_log.is_clear();
    match struck {
        Ok(strike) => {
            trial.strike = strike;
            // Work waits for whoever leads next, so that its first write shows what it took and not when the next change
            // of the canary came.
            context.change_now();
            Course::new(context, &leader).follow(&mut trial).await;
        }
        Err(error) => {
            let detail = chain(&error);
            context
                .observations
                .rig_fault(RigFault::FaultFailed { detail });
        }
    }
    // What was left half done is undone as well.
    undo(context).await;
    if took_effect && let Err(error) = (action.restored)(context, &leader).await {
        let detail = chain(&error);
        context
            .observations
            .rig_fault(RigFault::RepairFailed { detail });
    }
    context.pace(Pace::Idle);
    if id.fault.entry().leaves_broken_pod {
        // The pod can't come back by itself; what is timed is how long its replacement takes.
        remove(context, &leader.name).await;
    }
    // What the budget did not allow before can't be restored; that is for the check of evictions to say.
    let budget = matches!(trial.allowed_before, Ok(Some(allowed)) if allowed > 0);
    trial.recovery = steady::recovery(context, id.replicas, budget, RESTORE_LIMIT).await;
    if context.metrics.is_some() {
        trial.roles = agreed_roles(context).await;
    }
    if let (Some(before), Some(after)) = (pulled_before, Pulls::look(context).await)
        && let Some(fault) = after.since(&before)
    {
        context.observations.rig_fault(fault);
    }
    finish(context, trial).await
}

/// Waits for a renewal, then until `moment` after it; gives the Lease as it is then.
async fn wait_for_moment(
    context: &RunContext<'_>,
    steady: &Steady,
    moment: Duration,
) -> LeaseRecord {
    let known = context
        .observations
        .read(|seen| seen.lease().map(|lease| lease.record.resource_version));
    let renewed = context
        .observations
        .wait_for(context.settings.duration(), |seen| {
            seen.lease()
                .filter(|lease| Some(lease.record.resource_version) != known)
                .map(|lease| lease.at)
        })
        .await;
    let since = renewed.map_or(Duration::ZERO, |at| elapsed(at, context.observations.now()));
    sleep(moment.saturating_sub(since)).await;
    context.observations.read(|seen| {
        seen.lease()
            .map_or_else(|| steady.lease.record.clone(), |lease| lease.record.clone())
    })
}

fn elapsed(from: Stamp, to: Stamp) -> Duration {
    Duration::from_micros(u64::try_from(to.micros() - from.micros()).unwrap_or_default())
}

/// Reads the metrics of all replicas until they agree with the Lease, or time is up.
async fn agreed_roles(context: &RunContext<'_>) -> Vec<RolesSeen> {
    let deadline = Instant::now() + AGREE_LIMIT;
    let mut seen = Vec::new();
    loop {
        let roles = context.roles().await;
        let holder = context
            .observations
            .read(|seen| seen.lease().map(|lease| lease.record.pod().to_owned()));
        let agreed = holder.is_some_and(|holder| roles.agree_on(&holder));
        seen.push(roles);
        if agreed || Instant::now() > deadline {
            return seen;
        }
        sleep(Duration::from_millis(250)).await;
    }
}

/// Lets the last change of the canary be covered, makes sure that the audit log is complete, and cuts out the data.
async fn finish(context: &RunContext<'_>, mut trial: TrialData) -> TrialData {
    context.pause().await;
    if context.canary.is_some() {
        let _covered = context
            .observations
            .wait_for(AGREE_LIMIT, |seen| covered(seen, &trial))
            .await;
    }
    let mark = context.target.lease_path();
    if context.audit
        && let Err(fault) =
            observers::catch_up(&context.requests, &context.observations, &mark).await
    {
        context.observations.rig_fault(fault);
    }
    let unschedulable = context
        .replicas()
        .into_values()
        .find_map(|pod| pod.node.is_none().then_some(pod.waiting)?);
    if let Some(detail) = unschedulable {
        context
            .observations
            .rig_fault(RigFault::NodeExhausted { detail });
    }
    trial.ended = context.observations.now();
    context.observations.read(|seen| {
        let own: BTreeSet<&str> = seen
            .own
            .iter()
            .filter_map(|own| own.audit_id.as_deref())
            .collect();
        let ours = |call: &&ApiCall| {
            call.user == trial.operator
                || own.contains(call.audit_id.as_str())
                || (call.is_end_of_pod() && call.namespace == context.target.namespace)
        };
        trial.calls = seen.calls.iter().filter(ours).cloned().collect();
        trial.leases.clone_from(&seen.leases);
        trial.pods.clone_from(&seen.pods);
        trial.own.clone_from(&seen.own);
        trial.rig.clone_from(&seen.rig);
        trial.stalls.clone_from(&seen.stalls);
    });
    context.pace(Pace::Idle);
    trial
}

/// Whether the last change of the canary that was accepted is covered.
fn covered(seen: &Seen, trial: &TrialData) -> Option<()> {
    let last = seen
        .own
        .iter()
        .rev()
        .find(|own| own.purpose == CANARY && own.is_accepted())?;
    let map = ClockMap::measure(&seen.own, &seen.calls);
    let covers = |call: &&ApiCall| {
        call.accepted() && trial.is_work(call) && trial.work.answers(call, last, map.as_ref())
    };
    seen.calls.iter().rev().find(covers).map(|_| ())
}

/// Replaces every pod whose container was restarted, so that kubelet's back-off does not reach into the next trial.
pub(super) async fn replace_restarted(context: &RunContext<'_>) {
    let restarted: Vec<String> = context.observations.read(|seen| {
        present(&seen.pods)
            .into_values()
            .filter(|pod| pod.restarts > 0)
            .map(|pod| pod.name.clone())
            .collect()
    });
    for pod in restarted {
        remove(context, &pod).await;
    }
}

/// Moves a standby away when all replicas are on the leader's node; whether it had to. The scheduler prefers a node that
/// has none of them.
pub(super) async fn spread(context: &RunContext<'_>, leader: &PodSeen) -> bool {
    let replicas = context.replicas();
    if replicas.values().any(|pod| pod.node != leader.node) {
        return false;
    }
    let Some(standby) = replicas.into_keys().find(|name| *name != leader.name) else {
        return false;
    };
    remove(context, &standby).await;
    true
}

/// Deletes a pod and waits until it is gone. What keeps it shows in the wait for the steady state that follows.
async fn remove(context: &RunContext<'_>, pod: &str) {
    if context
        .pods()
        .delete(pod, &DeleteParams::default())
        .await
        .is_err()
    {
        return;
    }
    let gone = context
        .observations
        .wait_for(Duration::from_mins(1), |seen| {
            (!present(&seen.pods).contains_key(pod)).then_some(())
        });
    let _gone = gone.await;
}

#[cfg(test)]
mod tests;

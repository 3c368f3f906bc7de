//! Conducts one trial: waits for its moment, does the fault, and looks until everything is restored.
//!
//! Nothing is judged here. What comes out is everything that was seen, as [`TrialData`].

mod course;

use std::{collections::BTreeSet, time::Duration};

use course::Course;
use kube::api::DeleteParams;
use tokio::time::{Instant, sleep};

use crate::{
    context::{Scene, disruption},
    fault::action,
    observe::{canary::Pace, observations::Seen, observers},
    run::{
        image_pull::Pulls,
        steady::{self, Steady},
    },
};
pub(super) use course::{RESTORE_LIMIT, undo};
use failover_judging::{
    clock::{Stamp, duration_millis},
    observed::{
        audit::{ApiCall, ClockMap, purpose::CANARY},
        lease::LeaseRecord,
        roles::RolesSeen,
        trial::{PodSeen, RigFault, TrialData, TrialId, present},
    },
};
use failover_rig::progress::chain;

/// How long the canary sings before the fault, so that the clocks are compared by many requests.
const PRELUDE: Duration = Duration::from_millis(1500);

/// How long metrics get to agree with the Lease, and the last change of the canary to be covered.
const AGREE_LIMIT: Duration = Duration::from_secs(5);

/// Conducts the trial `id` on a steady system; the fault comes `moment` after a renewal.
pub(super) async fn run(
    scene: &Scene<'_>,
    id: TrialId,
    moment: Duration,
    steady: &Steady,
) -> TrialData {
    let action = action(id.fault);
    scene.journal.turn_page();
    let began = scene.journal.now();
    scene.pace(Pace::Trial);
    sleep(PRELUDE).await;
    let allowed_before = disruption::allowed(scene).await;
    let pulled_before = Pulls::look(scene).await;
    let before = wait_for_moment(scene, steady, moment).await;
    let leader = scene
        .replicas()
        .remove(before.pod())
        .unwrap_or_else(|| steady.leader.clone());
    let operator = scene.target.user.clone();
    let mut trial = TrialData::begun(id, scene.settings, operator, before, scene.journal.now());
    trial.began = began;
    trial.planned_after_renewal_ms = duration_millis(moment);
    trial.allowed_before = allowed_before;
    trial.fence = scene.fence;
    trial.unobserved = scene.unobserved();
    trial.work = scene.work.clone();
    let struck = (action.strike)(scene, &leader).await;
    // One that failed half-way has left something to undo.
    let took_effect = struck.is_ok() || !scene.repairs.is_clear();
    match struck {
        Ok(strike) => {
            trial.strike = strike;
            // Work waits for whoever leads next, so that its first write shows what it took and not when the next change
            // of the canary came.
            scene.prompt();
            Course::new(scene, &leader).follow(&mut trial).await;
        }
        Err(error) => {
            let detail = chain(&error);
            scene.journal.rig_fault(RigFault::FaultFailed { detail });
        }
    }
    // What was left half done is undone as well.
    undo(scene).await;
    if took_effect && let Err(error) = (action.restored)(scene, &leader).await {
        let detail = chain(&error);
        scene.journal.rig_fault(RigFault::RepairFailed { detail });
    }
    scene.pace(Pace::Idle);
    if id.fault.entry().leaves_broken_pod {
        // The pod can't come back by itself; what is timed is how long its replacement takes.
        remove(scene, &leader.name).await;
    }
    // What the budget did not allow before can't be restored; that is for the check of evictions to say.
    let budget = matches!(trial.allowed_before, Ok(Some(allowed)) if allowed > 0);
    trial.recovery = steady::recovery(scene, id.replicas, budget, RESTORE_LIMIT).await;
    if scene.metrics.is_some() {
        trial.roles = agreed_roles(scene).await;
    }
    if let (Some(before), Some(after)) = (pulled_before, Pulls::look(scene).await)
        && let Some(fault) = after.since(&before)
    {
        scene.journal.rig_fault(fault);
    }
    finish(scene, trial).await
}

/// Waits for a renewal, then until `moment` after it; gives the Lease as it is then.
async fn wait_for_moment(scene: &Scene<'_>, steady: &Steady, moment: Duration) -> LeaseRecord {
    let known = scene
        .journal
        .read(|seen| seen.lease().map(|lease| lease.record.resource_version));
    let renewed = scene
        .journal
        .wait_for(scene.settings.duration(), |seen| {
            seen.lease()
                .filter(|lease| Some(lease.record.resource_version) != known)
                .map(|lease| lease.at)
        })
        .await;
    let since = renewed.map_or(Duration::ZERO, |at| elapsed(at, scene.journal.now()));
    sleep(moment.saturating_sub(since)).await;
    scene.journal.read(|seen| {
        seen.lease()
            .map_or_else(|| steady.lease.record.clone(), |lease| lease.record.clone())
    })
}

fn elapsed(from: Stamp, to: Stamp) -> Duration {
    Duration::from_micros(u64::try_from(to.micros() - from.micros()).unwrap_or_default())
}

/// Reads the metrics of all replicas until they agree with the Lease, or time is up.
async fn agreed_roles(scene: &Scene<'_>) -> Vec<RolesSeen> {
    let deadline = Instant::now() + AGREE_LIMIT;
    let mut seen = Vec::new();
    loop {
        let roles = scene.roles().await;
        let holder = scene
            .journal
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
async fn finish(scene: &Scene<'_>, mut trial: TrialData) -> TrialData {
    scene.hush().await;
    if scene.canary.is_some() {
        let _covered = scene
            .journal
            .wait_for(AGREE_LIMIT, |seen| covered(seen, &trial))
            .await;
    }
    let mark = scene.target.lease_path();
    if scene.audit
        && let Err(fault) = observers::catch_up(&scene.requests, &scene.journal, &mark).await
    {
        scene.journal.rig_fault(fault);
    }
    let unschedulable = scene
        .replicas()
        .into_values()
        .find_map(|pod| pod.node.is_none().then_some(pod.waiting)?);
    if let Some(detail) = unschedulable {
        scene.journal.rig_fault(RigFault::NodeExhausted { detail });
    }
    trial.ended = scene.journal.now();
    scene.journal.read(|seen| {
        let own: BTreeSet<&str> = seen
            .own
            .iter()
            .filter_map(|own| own.audit_id.as_deref())
            .collect();
        let ours = |call: &&ApiCall| {
            call.user == trial.operator
                || own.contains(call.audit_id.as_str())
                || (call.is_end_of_pod() && call.namespace == scene.target.namespace)
        };
        trial.calls = seen.calls.iter().filter(ours).cloned().collect();
        trial.leases.clone_from(&seen.leases);
        trial.pods.clone_from(&seen.pods);
        trial.own.clone_from(&seen.own);
        trial.rig.clone_from(&seen.rig);
        trial.stalls.clone_from(&seen.stalls);
    });
    scene.pace(Pace::Idle);
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
pub(super) async fn replace_restarted(scene: &Scene<'_>) {
    let restarted: Vec<String> = scene.journal.read(|seen| {
        present(&seen.pods)
            .into_values()
            .filter(|pod| pod.restarts > 0)
            .map(|pod| pod.name.clone())
            .collect()
    });
    for pod in restarted {
        remove(scene, &pod).await;
    }
}

/// Moves a standby away when all replicas are on the leader's node; whether it had to. The scheduler prefers a node that
/// has none of them.
pub(super) async fn spread(scene: &Scene<'_>, leader: &PodSeen) -> bool {
    let replicas = scene.replicas();
    if replicas.values().any(|pod| pod.node != leader.node) {
        return false;
    }
    let Some(standby) = replicas.into_keys().find(|name| *name != leader.name) else {
        return false;
    };
    remove(scene, &standby).await;
    true
}

/// Deletes a pod and waits until it is gone. What keeps it shows in the wait for the steady state that follows.
async fn remove(scene: &Scene<'_>, pod: &str) {
    if scene
        .pods()
        .delete(pod, &DeleteParams::default())
        .await
        .is_err()
    {
        return;
    }
    let gone = scene.journal.wait_for(Duration::from_mins(1), |seen| {
        (!present(&seen.pods).contains_key(pod)).then_some(())
    });
    let _gone = gone.await;
}

#[cfg(test)]
mod tests;

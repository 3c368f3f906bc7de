//! The status that an object should have, and the news in it.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::ResourceExt;
use serde_json::{Value, json};

use super::{
    action::Action,
    decision::{Cause, Decision, Goal, Stage, whole_seconds},
    findings::Findings,
    observed::{FailedAction, Observed, REFUSALS},
    step::{Announcement, Step},
    window::WindowState,
};
use crate::{
    api::{NodeReference, ObjectReference, Phase, ScheduledMachineStatus, condition},
    controller::clusters::NodeState,
    machine::{Kind, MachineVersion, Part},
};

mod conditions;

use conditions::{Finding, find};

/// The phase, and why.
#[derive(Clone, Debug)]
struct Verdict {
    phase: Phase,
    is_ready: bool,
    reason: &'static str,
    message: String,
}

/// Writes the status if it is not so yet, and tells people what changed in it.
pub(super) fn steps(
    observed: &Observed<'_>,
    findings: &Findings,
    decision: &Decision,
    now: Timestamp,
) -> Vec<Step> {
    let mut failed_actions = observed.failed_actions.iter();
    let failed_action = failed_actions
        .clone()
        .find(|failed_action| Some(&failed_action.action) == decision.action.as_ref())
        // Done without, and that should be known.
        .or_else(|| {
            failed_actions.find(|failed_action| is_done_without(decision, &failed_action.action))
        });
    let verdict = verdict(observed, findings, decision, failed_action);
    let mut announcements = Vec::new();
    if let Stage::Abandoned(left) = &decision.stage {
        announcements.push(abandoned(left));
    }
    if is_last(decision) && failed_action.is_none() {
        // The object goes with its finalizer, and a status that nobody will read is not written.
        return announcements.into_iter().map(Step::Announce).collect();
    }
    let wanted = wanted(observed, findings, decision, &verdict, failed_action, now);
    if observed
        .status()
        .is_some_and(|present| is_settled(present, &wanted))
    {
        return Vec::new();
    }
    if decision.action.is_some() && failed_action.is_none() && is_refusal_known(observed, &wanted) {
        // What an earlier leader was refused is tried before it is told anew, or every failover would tell it twice.
        return Vec::new();
    }
    let from = observed.phase();
    if from != verdict.phase {
        announcements.push(Announcement {
            reason: verdict.reason,
            action: "ChangePhase",
            note: format!("{from} -> {}: {}", verdict.phase, verdict.message),
            is_warning: matches!(
                verdict.phase,
                Phase::Error | Phase::Terminated | Phase::EmergencyRemove
            ),
        });
    }
    announcements.extend(conditions::news(observed.status(), &wanted));
    std::iter::once(Step::WriteStatus(Box::new(wanted)))
        .chain(announcements.into_iter().map(Step::Announce))
        .collect()
}

/// Whether the machine goes on its way out although this failed.
fn is_done_without(decision: &Decision, action: &Action) -> bool {
    let is_about_it = match action {
        Action::Exempt { .. } => decision.stage == Stage::Removing,
        Action::DisableSchedule => true,
        _ => false,
    };
    matches!(decision.goal, Goal::Gone(_)) && is_about_it
}

fn is_last(decision: &Decision) -> bool {
    matches!(decision.action, Some(Action::RemoveFinalizer { .. }))
}

fn abandoned(left: &[Part]) -> Announcement {
    let left: Vec<_> = left.iter().map(|part| part.word()).collect();
    let why = if left.is_empty() {
        "it timed out before it was known whether everything is gone".to_owned()
    } else {
        format!("these were not gone in time: {}", left.join(", "))
    };
    Announcement {
        reason: "CleanupTimedOut",
        action: "RemoveFinalizer",
        note: format!("finalizer removed although {why}"),
        is_warning: true,
    }
}

fn verdict(
    observed: &Observed<'_>,
    findings: &Findings,
    decision: &Decision,
    failed_action: Option<&FailedAction>,
) -> Verdict {
    let verdict = |phase, is_ready, reason, message| Verdict {
        phase,
        is_ready,
        reason,
        message,
    };
    let scheduled = conditions::scheduled(findings);
    match decision.goal {
        Goal::Kept => {
            let (reason, message) = findings.error().unwrap_or(("Invalid", String::new()));
            verdict(Phase::Error, false, reason, message)
        }
        Goal::Present => {
            if let Some(FailedAction {
                reason, message, ..
            }) = failed_action
            {
                let phase = match decision.stage {
                    // The machine is there; what is refused is a trifle compared to that.
                    Stage::There => Phase::Active,
                    _ => Phase::Error,
                };
                return verdict(phase, false, reason, message.clone());
            }
            match &decision.stage {
                Stage::Stuck { reason, message } => {
                    verdict(Phase::Error, false, reason, message.clone())
                }
                Stage::There => {
                    let is_ready = observed.machine().is_some_and(|machine| machine.is_ready);
                    let (reason, message) = if is_ready {
                        (scheduled.reason, scheduled.message)
                    } else {
                        let ready = conditions::machine_ready(observed, decision, None);
                        (
                            ready.reason,
                            format!("{}; {}", scheduled.message, ready.message),
                        )
                    };
                    verdict(Phase::Active, is_ready, reason, message)
                }
                Stage::Replacing => {
                    let message = format!(
                        "{}; the previous machine has to go first",
                        scheduled.message
                    );
                    verdict(Phase::Pending, false, "ReplacingMachine", message)
                }
                _ => {
                    let message = format!("{}; the machine is being created", scheduled.message);
                    verdict(Phase::Pending, false, "CreatingMachine", message)
                }
            }
        }
        Goal::Gone(cause) => {
            let is_gone = decision.stage == Stage::Gone;
            let phase = match cause {
                Cause::KillSwitch => Phase::Terminated,
                Cause::Reclaim if !is_gone => Phase::EmergencyRemove,
                Cause::Schedule | Cause::Deletion | Cause::Reclaim if !is_gone => {
                    Phase::ShuttingDown
                }
                Cause::Schedule | Cause::Deletion | Cause::Reclaim => match findings.window.state {
                    WindowState::Disabled => Phase::Disabled,
                    _ => Phase::Inactive,
                },
            };
            let (reason, why) = match cause {
                Cause::KillSwitch => (
                    "KillSwitchActivated",
                    "the kill switch is on; the machine stays out until it is off".to_owned(),
                ),
                Cause::Reclaim => (
                    "EmergencyReclaim",
                    "the owner of the machine wants it back".to_owned(),
                ),
                Cause::Deletion => ("Deleting", "the object is being deleted".to_owned()),
                Cause::Schedule => (scheduled.reason, scheduled.message),
            };
            if let Some(FailedAction {
                reason, message, ..
            }) = failed_action
            {
                return verdict(phase, false, reason, format!("{why}; {message}"));
            }
            let doing = conditions::doing(observed, decision);
            let message = doing.map_or(why.clone(), |doing| format!("{why}; {doing}"));
            verdict(phase, is_gone, reason, message)
        }
    }
}

/// The status that says all this. Only fields that the operator manages now are set.
fn wanted(
    observed: &Observed<'_>,
    findings: &Findings,
    decision: &Decision,
    verdict: &Verdict,
    failed_action: Option<&FailedAction>,
    now: Timestamp,
) -> ScheduledMachineStatus {
    let (in_schedule, activation, deactivation) = match findings.window.state {
        WindowState::Open { shuts, opens_again } => (true, opens_again, shuts),
        WindowState::Shut { opens, shuts_again } => (false, opens, shuts_again),
        WindowState::Disabled | WindowState::Invalid(_) => (false, None, None),
    };
    // Nothing will be activated while the switch is on, the spec can't be acted on, or the object goes.
    let is_planned = match decision.goal {
        Goal::Kept | Goal::Gone(Cause::KillSwitch | Cause::Deletion) => false,
        Goal::Present | Goal::Gone(Cause::Schedule | Cause::Reclaim) => true,
    };
    let planned = |at: Option<Timestamp>| at.filter(|_| is_planned).map(Time);
    let machine = observed.machine();
    let refs = references(observed, decision);
    let [bootstrap_ref, infrastructure_ref, machine_ref] = refs;
    let ready = Finding {
        kind: condition::READY,
        is_true: verdict.is_ready,
        reason: verdict.reason,
        message: verdict.message.clone(),
    };
    let conditions = [
        Some(ready),
        Some(conditions::scheduled(findings)),
        Some(conditions::references_valid(findings)),
        Some(conditions::machine_ready(observed, decision, failed_action)),
        Some(conditions::drained(observed, decision)),
        conditions::node_tainted(observed, decision, failed_action),
    ];
    let applied = match &observed.node {
        NodeState::Present(node) => node.applied.clone(),
        _ => Vec::new(),
    };
    ScheduledMachineStatus {
        phase: Some(verdict.phase),
        message: Some(verdict.message.clone()),
        in_schedule,
        next_activation: planned(activation),
        next_deactivation: planned(deactivation),
        observed_generation: observed.object.metadata.generation,
        conditions: conditions
            .into_iter()
            .flatten()
            .map(|finding| finding.at(observed, now))
            .collect(),
        provider_id: machine.and_then(|machine| machine.provider_id.clone()),
        node_ref: machine.and_then(|machine| {
            Some(NodeReference {
                api_version: "v1".to_owned(),
                kind: "Node".to_owned(),
                name: machine.node.clone()?,
                uid: machine.node_uid.clone(),
            })
        }),
        last_scheduled_time: last_scheduled(observed, decision, now),
        machine_ref,
        bootstrap_ref,
        infrastructure_ref,
        applied_node_taints: applied,
        next_cleanup: decision.latest.map(Time),
        shutdown: decision.shutdown.clone(),
    }
}

/// What was, or is about to be, created.
fn references(observed: &Observed<'_>, decision: &Decision) -> [Option<ObjectReference>; 3] {
    let present = observed.status().map(|status| {
        [
            status.bootstrap_ref.clone(),
            status.infrastructure_ref.clone(),
            status.machine_ref.clone(),
        ]
    });
    let present = present.unwrap_or_default();
    let is_none_there = || observed.parts.iter().all(|part| part.seen().is_none());
    match &decision.stage {
        Stage::Gone => [None, None, None],
        Stage::Replacing if is_none_there() => [None, None, None],
        // What is about to be created has to be known to whoever comes after.
        Stage::Creating | Stage::There if !observed.is_of_other_kinds => {
            let version = observed.machine_version.unwrap_or(MachineVersion::V1Beta2);
            Part::ALL.map(|part| {
                let (api_version, kind) = Kind::of(part, observed.object).reference(version);
                Some(ObjectReference {
                    api_version,
                    kind,
                    name: observed.object.name_any(),
                    namespace: observed.object.namespace(),
                })
            })
        }
        _ => present,
    }
}

/// The last time at which a machine began to be created.
fn last_scheduled(observed: &Observed<'_>, decision: &Decision, now: Timestamp) -> Option<Time> {
    let present = observed
        .status()
        .and_then(|status| status.last_scheduled_time.clone());
    let begins = decision.stage == Stage::Creating
        && observed
            .status()
            .is_none_or(|status| status.machine_ref.is_none());
    if begins {
        Some(Time(whole_seconds(now)))
    } else {
        present
    }
}

/// Whether `present` already says what `wanted` says.
///
/// Conditions of others do not count, and neither does when a condition last changed.
fn is_settled(present: &ScheduledMachineStatus, wanted: &ScheduledMachineStatus) -> bool {
    let rounded = |status: &ScheduledMachineStatus| {
        let seconds = |time: &Option<Time>| time.as_ref().map(|time| Time(whole_seconds(time.0)));
        ScheduledMachineStatus {
            next_activation: seconds(&status.next_activation),
            next_deactivation: seconds(&status.next_deactivation),
            next_cleanup: seconds(&status.next_cleanup),
            last_scheduled_time: seconds(&status.last_scheduled_time),
            conditions: Vec::new(),
            ..status.clone()
        }
    };
    rounded(present) == rounded(wanted)
        && wanted.conditions.iter().all(|wanted| {
            find(present, &wanted.type_).is_some_and(|present| {
                let present = Condition {
                    last_transition_time: wanted.last_transition_time.clone(),
                    ..present.clone()
                };
                present == *wanted
            })
        })
}

/// Whether the status tells of a refusal, and all is as it is to be that a refusal says nothing of.
fn is_refusal_known(observed: &Observed<'_>, wanted: &ScheduledMachineStatus) -> bool {
    const ABOUT_IT: [&str; 3] = [
        condition::READY,
        condition::MACHINE_READY,
        condition::NODE_TAINTED,
    ];
    let Some(present) = observed.status() else {
        return false;
    };
    let ready = find(present, condition::READY);
    let mut apart_from_that = ScheduledMachineStatus {
        phase: present.phase,
        message: present.message.clone(),
        ..wanted.clone()
    };
    let conditions = &mut apart_from_that.conditions;
    conditions.retain(|condition| !ABOUT_IT.contains(&condition.type_.as_str()));
    ready.is_some_and(|ready| REFUSALS.contains(&ready.reason.as_str()))
        && is_settled(present, &apart_from_that)
}

/// The fields that `present` still has though `wanted` leaves them out, by their names in JSON.
///
/// Server-side apply removes a field that is applied no more only where no other manager owns it too.
pub(in crate::controller) fn left_over(
    present: &ScheduledMachineStatus,
    wanted: &ScheduledMachineStatus,
) -> Vec<String> {
    let fields = |status: &ScheduledMachineStatus| match json!(status) {
        Value::Object(fields) => fields,
        _ => serde_json::Map::new(),
    };
    let wanted = fields(wanted);
    fields(present)
        .into_iter()
        .map(|(field, _value)| field)
        .filter(|field| field != "conditions" && !wanted.contains_key(field))
        .collect()
}

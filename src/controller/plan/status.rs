//! The status that an object should have, and what people are told of its changes.

use std::borrow::Cow;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Announcement, Checks, Course, NodeSight, Observed, Step, Window, WindowState};
use crate::{
    api::{NodeTaint, Phase, ScheduledMachineStatus, condition},
    machine::ObjectView,
};

/// A condition before it has a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) kind: &'static str,
    status: Cow<'static, str>,
    pub(super) reason: Cow<'static, str>,
    pub(super) message: String,
}

impl Finding {
    pub(super) fn yes(
        kind: &'static str,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::new(kind, "True", reason, message.into())
    }

    pub(super) fn no(kind: &'static str, reason: &'static str, message: impl Into<String>) -> Self {
        Self::new(kind, "False", reason, message.into())
    }

    /// Neither yet, and on the way to one of them.
    pub(super) fn unknown(
        kind: &'static str,
        reason: &'static str,
        message: impl Into<String>,
    ) -> Self {
        Self::new(kind, "Unknown", reason, message.into())
    }

    /// As the status has it.
    pub(super) fn stored(observed: &Observed<'_>, kind: &'static str) -> Option<Self> {
        let stored = observed.condition(kind)?;
        Some(Self {
            kind,
            status: stored.status.clone().into(),
            reason: stored.reason.clone().into(),
            message: stored.message.clone(),
        })
    }

    pub(super) fn is_true(&self) -> bool {
        self.status == "True"
    }

    fn new(
        kind: &'static str,
        status: &'static str,
        reason: &'static str,
        message: String,
    ) -> Self {
        Self {
            kind,
            status: status.into(),
            reason: reason.into(),
            message,
        }
    }

    fn at(self, observed: &Observed<'_>, now: Timestamp) -> Condition {
        let since = observed
            .condition(self.kind)
            .filter(|present| present.status == self.status)
            .map_or(Time(now), |present| present.last_transition_time.clone());
        Condition {
            last_transition_time: since,
            message: self.message,
            observed_generation: observed.object.metadata.generation,
            reason: self.reason.into_owned(),
            status: self.status.into_owned(),
            type_: self.kind.to_owned(),
        }
    }
}

impl Checks {
    fn references_valid(&self) -> Finding {
        let kind = condition::REFERENCES_VALID;
        match &self.references {
            Ok(()) => Finding::yes(
                kind,
                "ReferencesAllowed",
                "the cluster and the embedded objects may be used",
            ),
            Err(error) => Finding::no(kind, "InvalidReference", error.to_string()),
        }
    }
}

impl Course {
    /// Ready means: as the spec wants it, which an absent machine outside of its window is too.
    fn ready(&self) -> Finding {
        Finding {
            kind: condition::READY,
            status: if self.is_ready { "True" } else { "False" }.into(),
            reason: self.reason.clone(),
            message: self.message.clone(),
        }
    }
}

/// The status that says all this. Only fields that the operator manages are set.
pub(super) fn wanted(
    observed: &Observed<'_>,
    window: &Window,
    checks: &Checks,
    course: &Course,
    now: Timestamp,
) -> ScheduledMachineStatus {
    let (in_schedule, activation, deactivation) = match window.state {
        WindowState::Open { shuts, opens_again } => (true, opens_again, shuts),
        WindowState::Shut { opens, shuts_again } => (false, opens, shuts_again),
        WindowState::Disabled | WindowState::Invalid(_) => (false, None, None),
    };
    // Nothing will be activated while the switch is on or the spec can't be acted on.
    let is_stuck = matches!(course.phase, Phase::Terminated | Phase::Error)
        || observed.object.metadata.deletion_timestamp.is_some();
    let planned = |at: Option<Timestamp>| at.filter(|_| !is_stuck).map(Time);
    let conditions = [
        Some(course.ready()),
        Some(window.scheduled()),
        Some(course.machine_ready.clone()),
        Some(course.drained.clone()),
        Some(checks.references_valid()),
        course.tainted.clone(),
    ];
    let parts = observed.parts();
    let machine = parts.machine.and_then(|object| object.machine.as_ref());
    let stored = observed.status();
    let is_new =
        parts.machine.is_some() && stored.is_none_or(|stored| stored.machine_ref.is_none());
    let last_scheduled = if is_new {
        Some(Time(now))
    } else {
        stored.and_then(|stored| stored.last_scheduled_time.clone())
    };
    ScheduledMachineStatus {
        phase: Some(course.phase),
        message: Some(course.message.clone()),
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
        node_ref: machine.and_then(|machine| machine.node.clone()),
        machine_ref: parts.machine.map(ObjectView::reference),
        bootstrap_ref: parts.bootstrap.map(ObjectView::reference),
        infrastructure_ref: parts.infrastructure.map(ObjectView::reference),
        applied_node_taints: applied_taints(observed),
        last_scheduled_time: last_scheduled,
        next_cleanup: course.cleanup.map(Time),
    }
}

/// The taints of ours on the Node, counting what was put there a moment ago.
fn applied_taints(observed: &Observed<'_>) -> Vec<NodeTaint> {
    let NodeSight::Seen(node) = &observed.sight.node else {
        return Vec::new();
    };
    let done = observed.feedback.done.iter().rev();
    let written = done.into_iter().find_map(|step| match step {
        Step::Taint(_, taints) => Some(taints.clone()),
        _ => None,
    });
    written.unwrap_or_else(|| node.applied.clone())
}

/// Whether `present` already says what `wanted` says.
///
/// Conditions of others do not count, and neither does when a condition last changed.
pub(super) fn is_settled(
    present: &ScheduledMachineStatus,
    wanted: &ScheduledMachineStatus,
) -> bool {
    let are_conditions = wanted.conditions.iter().all(|wanted| {
        find(present, &wanted.type_).is_some_and(|present| {
            let present = Condition {
                last_transition_time: wanted.last_transition_time.clone(),
                ..present.clone()
            };
            present == *wanted
        })
    });
    let is_taint_gone = find(wanted, condition::NODE_TAINTED).is_none()
        && find(present, condition::NODE_TAINTED).is_some();
    are_conditions && !is_taint_gone && without_times(present) == without_times(wanted)
}

/// All but the conditions, to the second, as times come back from the API server.
fn without_times(status: &ScheduledMachineStatus) -> ScheduledMachineStatus {
    let seconds = |time: &Option<Time>| {
        let second = time.as_ref().map(|time| time.0.as_second());
        second
            .and_then(|second| Timestamp::from_second(second).ok())
            .map(Time)
    };
    ScheduledMachineStatus {
        conditions: Vec::new(),
        next_activation: seconds(&status.next_activation),
        next_deactivation: seconds(&status.next_deactivation),
        last_scheduled_time: seconds(&status.last_scheduled_time),
        next_cleanup: seconds(&status.next_cleanup),
        ..status.clone()
    }
}

/// The fields that `present` still has though `wanted` leaves them out, by their names in JSON.
///
/// Server-side apply removes a field that is applied no more only where no other manager owns it too.
pub(in crate::controller) fn left_over(
    present: &ScheduledMachineStatus,
    wanted: &ScheduledMachineStatus,
) -> Vec<&'static str> {
    fn is_left<T>(present: Option<&T>, wanted: Option<&T>) -> bool {
        present.is_some() && wanted.is_none()
    }
    macro_rules! fields {
        ($($name:literal: $field:ident),* $(,)?) => {
            [$(($name, is_left(present.$field.as_ref(), wanted.$field.as_ref()))),*]
        };
    }
    // All other fields that the operator manages are in every status that it applies.
    let optional = fields!(
        "nextActivation": next_activation,
        "nextDeactivation": next_deactivation,
        "providerID": provider_id,
        "nodeRef": node_ref,
        "machineRef": machine_ref,
        "bootstrapRef": bootstrap_ref,
        "infrastructureRef": infrastructure_ref,
        "nextCleanup": next_cleanup,
    );
    let are_taints_left =
        !present.applied_node_taints.is_empty() && wanted.applied_node_taints.is_empty();
    optional
        .into_iter()
        .chain([("appliedNodeTaints", are_taints_left)])
        .filter_map(|(field, is_left)| is_left.then_some(field))
        .collect()
}

/// What people are told when the status changes from `present` to `wanted`.
pub(super) fn announcements(
    present: Option<&ScheduledMachineStatus>,
    wanted: &ScheduledMachineStatus,
    course: &Course,
) -> Vec<Announcement> {
    let from = present.and_then(|status| status.phase).unwrap_or_default();
    let to = course.phase;
    let phase = (from != to).then(|| Announcement {
        action: "ChangePhase",
        reason: course.reason.clone().into_owned(),
        note: format!("{from} -> {to}: {}", course.message),
        is_warning: matches!(
            to,
            Phase::Error | Phase::Terminated | Phase::EmergencyRemove
        ),
    });
    let reason = |status: &ScheduledMachineStatus, kind| {
        find(status, kind).map(|condition| condition.reason.clone())
    };
    let told = [
        (
            condition::DRAINED,
            "Drain",
            ["Draining", "Drained", "DrainTimedOut"].as_slice(),
        ),
        (
            condition::NODE_TAINTED,
            "Taint",
            ["TaintOwnershipConflict"].as_slice(),
        ),
    ];
    let others = told.into_iter().filter_map(|(kind, action, reasons)| {
        let condition = find(wanted, kind)?;
        let is_new =
            present.and_then(|present| reason(present, kind)).as_ref() != Some(&condition.reason);
        (is_new && reasons.contains(&condition.reason.as_str())).then(|| Announcement {
            action,
            reason: condition.reason.clone(),
            note: condition.message.clone(),
            is_warning: !["Draining", "Drained"].contains(&condition.reason.as_str()),
        })
    });
    phase.into_iter().chain(others).collect()
}

fn find<'a>(status: &'a ScheduledMachineStatus, kind: &str) -> Option<&'a Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind)
}

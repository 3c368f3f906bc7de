//! The status that an object should have.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{Announcement, Observed, Window, WindowState};
use crate::api::{InvalidField, Phase, ScheduledMachineStatus, condition};

/// Everything that a verdict is made from.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) window: Window,
    pub(super) references: Result<(), InvalidField>,
    pub(super) timeouts: Result<(), InvalidField>,
    pub(super) kill_switch: bool,
}

/// The phase, and why.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) phase: Phase,
    reason: &'static str,
    message: String,
}

/// A condition before it has a time.
struct Finding {
    kind: &'static str,
    is_true: bool,
    reason: &'static str,
    message: String,
}

impl Findings {
    pub(super) fn verdict(&self) -> Verdict {
        let verdict = |phase, reason, message| Verdict {
            phase,
            reason,
            message,
        };
        if self.kill_switch {
            let message = "the kill switch is on; the machine stays out until it is off".to_owned();
            return verdict(Phase::Terminated, "KillSwitchActivated", message);
        }
        if let WindowState::Invalid(error) = &self.window.state {
            return verdict(Phase::Error, "InvalidSchedule", error.clone());
        }
        if let Err(error) = &self.references {
            return verdict(Phase::Error, "InvalidReference", error.to_string());
        }
        if let Err(error) = &self.timeouts {
            return verdict(Phase::Error, "InvalidTimeout", error.to_string());
        }
        let scheduled = self.scheduled();
        let phase = match &self.window.state {
            WindowState::Open { .. } => Phase::Active,
            WindowState::Shut { .. } => Phase::Inactive,
            WindowState::Disabled => Phase::Disabled,
            WindowState::Invalid(_) => Phase::Error,
        };
        verdict(phase, scheduled.reason, scheduled.message)
    }

    fn scheduled(&self) -> Finding {
        let (is_true, reason, message) = match &self.window.state {
            WindowState::Invalid(error) => (false, "InvalidSchedule", error.clone()),
            WindowState::Disabled => (
                false,
                "ScheduleDisabled",
                "the schedule is not enabled".to_owned(),
            ),
            WindowState::Open { shuts, .. } => {
                (true, "ScheduleActive", until("the window is open", *shuts))
            }
            WindowState::Shut { opens, .. } => (
                false,
                "ScheduleInactive",
                until("the window is shut", *opens),
            ),
        };
        Finding {
            kind: condition::SCHEDULED,
            is_true,
            reason,
            message,
        }
    }

    fn references_valid(&self) -> Finding {
        let (is_true, reason, message) = match &self.references {
            Ok(()) => (
                true,
                "ReferencesAllowed",
                "the cluster and the embedded objects may be used".to_owned(),
            ),
            Err(error) => (false, "InvalidReference", error.to_string()),
        };
        Finding {
            kind: condition::REFERENCES_VALID,
            is_true,
            reason,
            message,
        }
    }
}

impl Verdict {
    pub(super) fn announce(&self, from: Phase) -> Announcement {
        Announcement {
            from,
            to: self.phase,
            reason: self.reason,
            message: self.message.clone(),
            is_warning: matches!(self.phase, Phase::Error | Phase::Terminated),
        }
    }

    /// Ready means: as the spec wants it, which an absent machine outside of its window is too.
    fn ready(&self) -> Finding {
        Finding {
            kind: condition::READY,
            is_true: self.phase != Phase::Error,
            reason: self.reason,
            message: self.message.clone(),
        }
    }
}

/// The status that says all this. Only fields that the operator manages now are set.
pub(super) fn wanted(
    observed: &Observed<'_>,
    findings: &Findings,
    verdict: &Verdict,
    now: Timestamp,
) -> ScheduledMachineStatus {
    let (in_schedule, activation, deactivation) = match findings.window.state {
        WindowState::Open { shuts, opens_again } => (true, opens_again, shuts),
        WindowState::Shut { opens, shuts_again } => (false, opens, shuts_again),
        WindowState::Disabled | WindowState::Invalid(_) => (false, None, None),
    };
    // Nothing will be activated while the switch is on or the spec can't be acted on.
    let is_stuck = matches!(verdict.phase, Phase::Terminated | Phase::Error);
    let planned = |at: Option<Timestamp>| at.filter(|_| !is_stuck).map(Time);
    let conditions = [
        verdict.ready(),
        findings.scheduled(),
        findings.references_valid(),
    ];
    ScheduledMachineStatus {
        phase: Some(verdict.phase),
        message: Some(verdict.message.clone()),
        in_schedule,
        next_activation: planned(activation),
        next_deactivation: planned(deactivation),
        observed_generation: observed.generation,
        conditions: conditions
            .into_iter()
            .map(|finding| finding.at(observed, now))
            .collect(),
        ..ScheduledMachineStatus::default()
    }
}

/// Whether `present` already says what `wanted` says.
///
/// Fields that the operator does not manage and conditions of others do not count, and neither does when a condition
/// last changed.
pub(super) fn is_settled(
    present: &ScheduledMachineStatus,
    wanted: &ScheduledMachineStatus,
) -> bool {
    let seconds = |time: &Option<Time>| time.as_ref().map(|time| time.0.as_second());
    present.phase == wanted.phase
        && present.message == wanted.message
        && present.in_schedule == wanted.in_schedule
        && present.observed_generation == wanted.observed_generation
        && seconds(&present.next_activation) == seconds(&wanted.next_activation)
        && seconds(&present.next_deactivation) == seconds(&wanted.next_deactivation)
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

/// The fields that `present` still has though `wanted` leaves them out, by their names in JSON.
///
/// Server-side apply removes a field that is applied no more only where no other manager owns it too.
pub(in crate::controller) fn left_over(
    present: &ScheduledMachineStatus,
    wanted: &ScheduledMachineStatus,
) -> Vec<&'static str> {
    let is_left =
        |present: &Option<Time>, wanted: &Option<Time>| present.is_some() && wanted.is_none();
    // All other fields that the operator manages are in every status that it applies.
    [
        (
            "nextActivation",
            is_left(&present.next_activation, &wanted.next_activation),
        ),
        (
            "nextDeactivation",
            is_left(&present.next_deactivation, &wanted.next_deactivation),
        ),
    ]
    .into_iter()
    .filter_map(|(field, is_left)| is_left.then_some(field))
    .collect()
}

impl Finding {
    fn at(self, observed: &Observed<'_>, now: Timestamp) -> Condition {
        let status = if self.is_true { "True" } else { "False" };
        let since = observed
            .status
            .and_then(|present| find(present, self.kind))
            .filter(|present| present.status == status)
            .map_or(Time(now), |present| present.last_transition_time.clone());
        Condition {
            last_transition_time: since,
            message: self.message,
            observed_generation: observed.generation,
            reason: self.reason.to_owned(),
            status: status.to_owned(),
            type_: self.kind.to_owned(),
        }
    }
}

fn find<'a>(status: &'a ScheduledMachineStatus, kind: &str) -> Option<&'a Condition> {
    status
        .conditions
        .iter()
        .find(|condition| condition.type_ == kind)
}

fn until(state: &str, end: Option<Timestamp>) -> String {
    match end {
        Some(end) => format!("{state} until {end}"),
        None => format!("{state} for good"),
    }
}

//! What to do about an object: a pure function of what is observed, what is wanted and the time.
//!
//! # Phases
//! | phase | when |
//! |---|---|
//! | `Terminated` | `killSwitch` is on, whatever else is true; it ends with the switch |
//! | `Error` | the spec breaks a rule that the schema could not enforce; it ends with a new spec |
//! | `Disabled` | `schedule.enabled` is false |
//! | `Active` | the window is open |
//! | `Inactive` | the window is shut |
//! | `Pending` | the window is open and the machine is not there yet; also read from an object without a phase |
//!
//! This version creates no machines, so an open window goes from `Pending` (unwritten) to `Active` at once.

mod status;

pub(super) use status::left_over;

use jiff::Timestamp;

use crate::{
    api::{Phase, ScheduledMachine, ScheduledMachineSpec, ScheduledMachineStatus, Subject},
    schedule::Schedule,
};

/// What is known of an object besides its spec.
#[derive(Clone, Copy, Debug)]
pub struct Observed<'a> {
    /// `metadata.generation`, which grows with every change of the spec.
    pub generation: Option<i64>,
    /// The status that is there.
    pub status: Option<&'a ScheduledMachineStatus>,
    /// Whether the object is being deleted.
    pub is_deleting: bool,
}

/// What to do now, and when to look again without a change.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Plan {
    /// In this order; empty when everything is as it should be.
    pub steps: Vec<Step>,
    /// The next instant at which the answer will be another one; `None` when only a change can bring it about.
    pub look_again: Option<Timestamp>,
}

/// One thing to do.
///
/// A status that a crash left unwritten is written after planning again. A change of phase that a crash left
/// unannounced stays so: the status that it is recognised by is written before.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Write the status.
    WriteStatus(Box<ScheduledMachineStatus>),
    /// Tell people that the phase changed.
    Announce(Announcement),
}

/// A change of phase, for an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// The phase before.
    pub from: Phase,
    /// The phase now.
    pub to: Phase,
    /// Why, in one word.
    pub reason: &'static str,
    /// Why, in words.
    pub message: String,
    /// Whether somebody should do something about it.
    pub is_warning: bool,
}

impl<'a> Observed<'a> {
    /// What `object` says of itself.
    pub fn of(object: &'a ScheduledMachine) -> Self {
        Self {
            generation: object.metadata.generation,
            status: object.status.as_ref(),
            is_deleting: object.metadata.deletion_timestamp.is_some(),
        }
    }
}

/// Decides what to do about an object with `spec` at `now`.
pub fn plan(observed: &Observed<'_>, spec: &ScheduledMachineSpec, now: Timestamp) -> Plan {
    if observed.is_deleting {
        // Nothing of ours has to be cleaned up, and a status that nobody will read is not written.
        return Plan::default();
    }
    let window = Window::of(spec, now);
    let look_again = window.look_again;
    let findings = status::Findings {
        window,
        references: spec.check(Subject::References),
        timeouts: spec.check(Subject::Timeouts),
        kill_switch: spec.kill_switch,
    };
    let verdict = findings.verdict();
    let wanted = status::wanted(observed, &findings, &verdict, now);
    let steps = match observed.status {
        Some(present) if status::is_settled(present, &wanted) => Vec::new(),
        _ => {
            let from = observed
                .status
                .and_then(|status| status.phase)
                .unwrap_or_default();
            let announcement =
                (from != verdict.phase).then(|| Step::Announce(verdict.announce(from)));
            std::iter::once(Step::WriteStatus(Box::new(wanted)))
                .chain(announcement)
                .collect()
        }
    };
    Plan { steps, look_again }
}

/// What the schedule says at one instant.
#[derive(Clone, Debug)]
struct Window {
    state: WindowState,
    look_again: Option<Timestamp>,
}

#[derive(Clone, Debug)]
enum WindowState {
    /// The schedule can't be read.
    Invalid(String),
    /// The schedule is not in force.
    Disabled,
    /// Open until the instant; for ever without one.
    Open {
        shuts: Option<Timestamp>,
        opens_again: Option<Timestamp>,
    },
    /// Shut until the instant; for ever without one.
    Shut {
        opens: Option<Timestamp>,
        shuts_again: Option<Timestamp>,
    },
}

impl Window {
    fn of(spec: &ScheduledMachineSpec, now: Timestamp) -> Self {
        let texts = &spec.schedule;
        let schedule =
            match Schedule::parse(&texts.days_of_week, &texts.hours_of_day, &texts.timezone) {
                Ok(schedule) => schedule,
                Err(error) => {
                    return Self {
                        state: WindowState::Invalid(error.to_string()),
                        look_again: None,
                    };
                }
            };
        if !texts.enabled {
            return Self {
                state: WindowState::Disabled,
                look_again: None,
            };
        }
        let next = schedule.next_boundary(now);
        let after = next.and_then(|next| schedule.next_boundary(next));
        let state = if schedule.is_active(now) {
            WindowState::Open {
                shuts: next,
                opens_again: after,
            }
        } else {
            WindowState::Shut {
                opens: next,
                shuts_again: after,
            }
        };
        Self {
            state,
            look_again: next,
        }
    }
}

#[cfg(test)]
mod tests;

//! What the schedule says at one instant.

use jiff::Timestamp;

use super::status::Finding;
use crate::{
    api::{ScheduledMachineSpec, condition},
    schedule::Schedule,
};

/// What the schedule says, and until when.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) state: WindowState,
    pub(super) look_again: Option<Timestamp>,
}

#[derive(Clone, Debug)]
pub(super) enum WindowState {
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
    pub(super) fn of(spec: &ScheduledMachineSpec, now: Timestamp) -> Self {
        let texts = &spec.schedule;
        let without_end = |state| Self {
            state,
            look_again: None,
        };
        let schedule =
            match Schedule::parse(&texts.days_of_week, &texts.hours_of_day, &texts.timezone) {
                Ok(schedule) => schedule,
                Err(error) => return without_end(WindowState::Invalid(error.to_string())),
            };
        if !texts.enabled {
            return without_end(WindowState::Disabled);
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

    /// The condition `Scheduled`.
    pub(super) fn scheduled(&self) -> Finding {
        match &self.state {
            WindowState::Invalid(error) => {
                Finding::no(condition::SCHEDULED, "InvalidSchedule", error)
            }
            WindowState::Disabled => Finding::no(
                condition::SCHEDULED,
                "ScheduleDisabled",
                "the schedule is not enabled",
            ),
            WindowState::Open { shuts, .. } => Finding::yes(
                condition::SCHEDULED,
                "ScheduleActive",
                until("the window is open", *shuts),
            ),
            WindowState::Shut { opens, .. } => Finding::no(
                condition::SCHEDULED,
                "ScheduleInactive",
                until("the window is shut", *opens),
            ),
        }
    }
}

fn until(state: &str, end: Option<Timestamp>) -> String {
    match end {
        Some(end) => format!("{state} until {end}"),
        None => format!("{state} for good"),
    }
}

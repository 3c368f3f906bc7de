//! What the schedule says at one instant.

use jiff::Timestamp;

use crate::{api::ScheduledMachineSpec, schedule::Schedule};

/// The window, and when it changes.
#[derive(Clone, Debug)]
pub(super) struct Window {
    pub(super) state: WindowState,
    pub(super) requeue_at: Option<Timestamp>,
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
        let schedule =
            match Schedule::parse(&texts.days_of_week, &texts.hours_of_day, &texts.timezone) {
                Ok(schedule) => schedule,
                Err(error) => {
                    return Self {
                        state: WindowState::Invalid(error.to_string()),
                        requeue_at: None,
                    };
                }
            };
        if !texts.enabled {
            return Self {
                state: WindowState::Disabled,
                requeue_at: None,
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
            requeue_at: next,
        }
    }
}

//! What to do about an object: a pure function of what is observed, what is wanted and the time.
//!
//! # Phases
//! | phase | when |
//! |---|---|
//! | `Terminated` | `killSwitch` is on, whatever else is true; it ends with the switch |
//! | `EmergencyRemove` | the machine's owner wants it back; it ends when the machine is gone |
//! | `ShuttingDown` | the machine is on its way out, or the object is being deleted |
//! | `Error` | the spec breaks a rule that the schema could not enforce, or the API server refuses what it asks for |
//! | `Disabled` | `schedule.enabled` is false, and the machine is gone |
//! | `Active` | the window is open, and the machine's objects are there |
//! | `Inactive` | the window is shut, and the machine is gone |
//! | `Pending` | the window is open, and the machine's objects are not all there; also read from an object without a phase |
//!
//! # How it stays right when the leader dies
//! A plan is at most one status, and then at most one [`Action`]. What an action needs to be known by whoever comes next
//! (the kinds that are about to be created, when a shutdown began) is in the status before the action is taken; and
//! everything else is found by looking. So a plan made after any crash goes on where the one before was cut.
//!
//! A spec that can't be acted on leaves a machine as it is: a slip of the pen is no reason to take it away.

mod action;
mod decide;
mod decision;
mod findings;
mod leaving;
mod observed;
mod status;
mod step;
mod window;

use jiff::Timestamp;

use crate::api::Subject;
use window::Window;

pub(super) use action::{Action, NodeKey};
pub(super) use observed::{
    CHANGE_REFUSED, CREATION_REFUSED, DELETION_REFUSED, DRAIN_FAILED, DrainProgress, FailedAction,
    NAME_TAKEN, Observed, PartState,
};
pub(super) use status::left_over;
pub(super) use step::{Announcement, Step};

/// What to do now, and when to look again without a change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// In this order; empty when everything is as it should be.
    pub(super) steps: Vec<Step>,
    /// The next instant at which the answer will be another one; `None` when only a change can bring it about.
    pub(super) requeue_at: Option<Timestamp>,
}

/// Decides what to do at `now`.
pub(super) fn plan(observed: &Observed<'_>, now: Timestamp) -> Plan {
    if observed.deleted_at().is_some() && !observed.has_finalizer() {
        // Nothing of ours has to be cleaned up, and a status that nobody will read is not written.
        return Plan::default();
    }
    let spec = &observed.object.spec;
    let window = Window::of(spec, now);
    let boundary = window.requeue_at;
    let findings = findings::Findings {
        references: spec
            .check(Subject::References)
            .and_then(|()| observed.object.check_name()),
        creation: spec.check(Subject::Creation),
        timeouts: spec.check(Subject::Timeouts),
        window,
    };
    let decision = decide::decide(observed, &findings, now);
    let requeue_at = [boundary, decision.requeue_at].into_iter().flatten().min();
    if decision.is_unknown() {
        // Decided as soon as the watches have begun; the status stays until then.
        return Plan {
            steps: Vec::new(),
            requeue_at,
        };
    }
    let mut steps = status::steps(observed, &findings, &decision, now);
    steps.extend(decision.action.map(Step::Act));
    Plan { steps, requeue_at }
}

#[cfg(test)]
mod tests;

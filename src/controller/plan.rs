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

mod life;
mod status;
mod window;

pub(super) use life::{Action, NodeKey, taken};
pub(super) use status::left_over;

use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;

use super::clusters::NodeSight;
use crate::{
    api::{FINALIZER, Phase, ScheduledMachine, ScheduledMachineStatus, Subject},
    machine::{MachineSight, MachineVersion, Part, Seen},
};
use window::Window;

/// What is known of an object and of all that belongs to it.
#[derive(Clone, Debug)]
pub(super) struct Observed<'a> {
    /// The object itself.
    pub(super) object: &'a ScheduledMachine,
    /// Its bootstrap object, infrastructure object and Machine, in this order.
    pub(super) parts: [PartSeen; 3],
    /// Whether those are of other kinds than the spec asks for by now.
    pub(super) is_of_other_kinds: bool,
    /// The Node that its Machine became.
    pub(super) node: NodeSight,
    /// The version in which Machines are served.
    pub(super) machine_version: Option<MachineVersion>,
    /// What failed, and has not passed since.
    pub(super) troubles: Vec<Trouble>,
    /// When this leader first saw that the object is being deleted.
    pub(super) deletion_seen: Option<Timestamp>,
    /// What the drain in this very look came to.
    pub(super) drain: Option<DrainProgress>,
}

/// One of its three objects, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PartSeen {
    /// Not looked at yet.
    Unknown,
    /// Its kind is not served; in words.
    NotServed(String),
    /// It can't be looked at; in words.
    Failed(String),
    /// There is none.
    Absent,
    /// There is one of its name that belongs to somebody else.
    Foreign,
    /// It is there.
    Present(Arc<Seen>),
}

/// An action that failed. It is tried again, and until then people should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    /// Which.
    pub(super) action: Action,
    /// How often in a row.
    pub(super) times: u32,
    /// Why, in one word.
    pub(super) reason: &'static str,
    /// Why, in words.
    pub(super) message: String,
}

/// The reasons of all troubles, as conditions carry them.
pub(super) const REFUSALS: [&str; 5] = [
    NAME_TAKEN,
    CREATION_REFUSED,
    DELETION_REFUSED,
    CHANGE_REFUSED,
    DRAIN_FAILED,
];

pub(super) const NAME_TAKEN: &str = "NameTaken";
pub(super) const CREATION_REFUSED: &str = "CreationRefused";
pub(super) const DELETION_REFUSED: &str = "DeletionRefused";
pub(super) const CHANGE_REFUSED: &str = "ChangeRefused";
pub(super) const DRAIN_FAILED: &str = "DrainFailed";

/// How far a drain has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct DrainProgress {
    /// Pods that are still on the Node and have to leave it.
    pub(super) left: usize,
    /// Those of them that a disruption budget keeps there for now.
    pub(super) held: usize,
    /// The first of those that are held, else of those that are left, by namespace and name.
    pub(super) first: Option<String>,
    /// What the API server said against an eviction, other than that a budget forbids it.
    pub(super) error: Option<String>,
}

/// What to do now, and when to look again without a change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// In this order; empty when everything is as it should be.
    pub(super) steps: Vec<Step>,
    /// The next instant at which the answer will be another one; `None` when only a change can bring it about.
    pub(super) look_again: Option<Timestamp>,
}

/// One thing to do.
///
/// A status that a crash left unwritten is written after planning again. A change of phase that a crash left
/// unannounced stays so: the status that it is recognised by is written before.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Write the status.
    WriteStatus(Box<ScheduledMachineStatus>),
    /// Tell people what happened.
    Announce(Announcement),
    /// Change something in the cluster, then look again. The last step of a plan, if any.
    Act(Action),
}

/// News for an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Announcement {
    /// What happened, in one word.
    pub(super) reason: &'static str,
    /// What was done.
    pub(super) action: &'static str,
    /// What happened, in words.
    pub(super) note: String,
    /// Whether somebody should do something about it.
    pub(super) is_warning: bool,
}

impl PartSeen {
    /// It, where it is there.
    pub(super) fn seen(&self) -> Option<&Seen> {
        match self {
            Self::Present(seen) => Some(seen),
            _ => None,
        }
    }

    /// What it says of itself, if it is a Machine.
    pub(super) fn machine(&self) -> Option<&MachineSight> {
        self.seen()?.machine.as_ref()
    }
}

impl Observed<'_> {
    fn part(&self, part: Part) -> &PartSeen {
        let [bootstrap, infrastructure, machine] = &self.parts;
        match part {
            Part::Bootstrap => bootstrap,
            Part::Infrastructure => infrastructure,
            Part::Machine => machine,
        }
    }

    fn machine(&self) -> Option<&MachineSight> {
        self.part(Part::Machine).machine()
    }

    fn status(&self) -> Option<&ScheduledMachineStatus> {
        self.object.status.as_ref()
    }

    fn has_finalizer(&self) -> bool {
        self.object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == FINALIZER)
    }

    fn deleted_at(&self) -> Option<Timestamp> {
        self.object
            .metadata
            .deletion_timestamp
            .as_ref()
            .map(|time| time.0)
    }

    fn phase(&self) -> Phase {
        self.status()
            .and_then(|status| status.phase)
            .unwrap_or_default()
    }

    /// Whether anything may have been created: both are written before that.
    fn may_have_parts(&self) -> bool {
        let is_noted = self.status().is_some_and(|status| {
            status.machine_ref.is_some()
                || status.bootstrap_ref.is_some()
                || status.infrastructure_ref.is_some()
        });
        is_noted || self.has_finalizer() || self.parts.iter().any(|part| part.seen().is_some())
    }
}

/// Decides what to do at `now`.
pub(super) fn plan(observed: &Observed<'_>, now: Timestamp) -> Plan {
    if observed.deleted_at().is_some() && !observed.has_finalizer() {
        // Nothing of ours has to be cleaned up, and a status that nobody will read is not written.
        return Plan::default();
    }
    let spec = &observed.object.spec;
    let window = Window::of(spec, now);
    let boundary = window.look_again;
    let findings = status::Findings {
        references: spec
            .check(Subject::References)
            .and_then(|()| observed.object.check_name()),
        creation: spec.check(Subject::Creation),
        timeouts: spec.check(Subject::Timeouts),
        window,
    };
    let life = life::decide(observed, &findings, now);
    let look_again = [boundary, life.look_again].into_iter().flatten().min();
    if life.is_unknown() {
        // Decided as soon as the watches have begun; the status stays until then.
        return Plan {
            steps: Vec::new(),
            look_again,
        };
    }
    let mut steps = status::steps(observed, &findings, &life, now);
    steps.extend(life.action.map(Step::Act));
    Plan { steps, look_again }
}

#[cfg(test)]
mod tests;

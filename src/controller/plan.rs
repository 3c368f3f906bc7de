//! What to do about an object: a pure function of what is observed, what is wanted and the time.
//!
//! # Phases
//! | phase | when |
//! |---|---|
//! | `Terminated` | `killSwitch` is on, whatever else is true; it ends with the switch |
//! | `Error` | the spec breaks a rule that the schema could not enforce, or somebody else's object has a name that is needed |
//! | `EmergencyRemove` | the machine's owner wants it back; it ends when the machine is gone |
//! | `ShuttingDown` | the machine is on its way out |
//! | `Disabled` | `schedule.enabled` is false and the machine is gone |
//! | `Inactive` | the window is shut and the machine is gone |
//! | `Active` | the window is open and the machine's objects are there |
//! | `Pending` | the window is open and they are not; also read from an object without a phase |
//!
//! # The way out
//! The Node is cordoned when the window shuts and left alone for `gracefulShutdownTimeout`; then its pods are evicted for
//! `nodeDrainTimeout` at most, then the Machine is deleted and waited for, then what is left of the rest. A window that
//! opens before the Machine is deleted takes all of it back. `schedule.enabled: false` goes the same way, a deletion of
//! the `ScheduledMachine` without the first wait, an emergency within [`EMERGENCY_DRAIN`], and the kill switch without any.
//!
//! # Crashes
//! What a successor has to know is in the objects: since when the window is shut is the time of the condition
//! `Scheduled`, since when the Node is drained that of `Drained`, and both are written before they are acted on.

mod absent;
mod present;
mod status;
mod window;

use std::{borrow::Cow, time::Duration};

pub(super) use absent::CLEANUP_TIMED_OUT;
pub(super) use status::left_over;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::ResourceExt;

use super::caches::{NodeSight, Sight};
use crate::{
    api::{
        FINALIZER, InvalidField, NodeTaint, Phase, ScheduledMachine, ScheduledMachineStatus,
        Subject, condition, parse_timeout,
    },
    machine::{DrainReport, KindId, NodeView, ObjectView, Ownership, Role},
};
use status::Finding;
use window::{Window, WindowState};

/// How long a Node may be drained that its owner wants back at once.
pub(super) const EMERGENCY_DRAIN: Duration = Duration::from_secs(60);

/// How long a deleted `ScheduledMachine` waits for its objects to go, besides the time for its drain.
pub(super) const CLEANUP: Duration = Duration::from_mins(10);

/// How long to wait before the pods of a Node are looked at again.
const DRAIN_PAUSE: SignedDuration = SignedDuration::from_secs(2);

/// What is known of an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct Observed<'a> {
    /// The object itself.
    pub(super) object: &'a ScheduledMachine,
    /// What it consists of.
    pub(super) sight: &'a Sight,
    /// What came of the steps that were taken in this look.
    pub(super) feedback: &'a Feedback,
}

/// What came of the steps that were taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Feedback {
    /// Steps that have been done and need not be repeated, though the caches may not show it yet.
    pub(super) done: Vec<Step>,
    /// What is left on the Node, or why that can't be said.
    pub(super) drain: Option<Result<DrainReport, String>>,
    /// The step that failed, and ended the look.
    pub(super) failure: Option<Failure>,
}

/// Why a step failed, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// In one word.
    pub(super) reason: &'static str,
    /// In words.
    pub(super) message: String,
    /// Whether somebody has to do something about it.
    pub(super) is_lasting: bool,
}

/// What to do now, and when to look again without a change.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Plan {
    /// In this order; empty when everything is as it should be.
    pub(super) steps: Vec<Step>,
    /// The next instant at which the answer will be another one; `None` when only a change can bring it about.
    pub(super) look_again: Option<Timestamp>,
}

/// One thing to do. All but the writing of the status are planned again after a crash, until they show.
///
/// A change that a crash left unannounced stays so: the status that it is recognised by is written before.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Step {
    /// Have the object stay until what it consists of is gone.
    AddFinalizer,
    /// Let the object go.
    RemoveFinalizer,
    /// Create the object of this role, if nothing of its name is there.
    Create(Role),
    /// Make an object ours that carries our label.
    Adopt(Role, ObjectView),
    /// Delete this very object.
    Delete(Role, ObjectView),
    /// Tell Cluster API whether it has to drain the Node of this Machine.
    SkipDrain(ObjectView, bool),
    /// Cordon the Node, or take that back.
    Cordon(NodeView, bool),
    /// Ask the pods of the Node to leave.
    Drain(NodeView),
    /// Give the Node these taints of ours, and no others of ours.
    Taint(NodeView, Vec<NodeTaint>),
    /// Set `schedule.enabled` to false.
    DisableSchedule,
    /// Write the status.
    WriteStatus(Box<ScheduledMachineStatus>),
    /// Tell people.
    Announce(Announcement),
}

/// Something that people should hear of, for an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Announcement {
    /// What was done, in one word.
    pub(super) action: &'static str,
    /// Why, in one word.
    pub(super) reason: String,
    /// Why, in words.
    pub(super) note: String,
    /// Whether somebody should do something about it.
    pub(super) is_warning: bool,
}

/// The objects of ours.
#[derive(Debug, Default)]
struct Parts<'a> {
    bootstrap: Option<&'a ObjectView>,
    infrastructure: Option<&'a ObjectView>,
    machine: Option<&'a ObjectView>,
    /// Of kinds that the spec names no more.
    leftovers: Vec<&'a ObjectView>,
}

/// Where things go, and what that looks like from outside.
#[derive(Debug)]
struct Course {
    phase: Phase,
    reason: Cow<'static, str>,
    message: String,
    is_ready: bool,
    machine_ready: Finding,
    drained: Finding,
    tainted: Option<Finding>,
    cleanup: Option<Timestamp>,
    /// Whether the status has to be written before the steps are taken.
    status_first: bool,
    steps: Vec<Step>,
    look_again: Option<Timestamp>,
}

/// What a spec says that does not depend on the time.
#[derive(Debug)]
struct Checks {
    references: Result<(), InvalidField>,
    timeouts: Result<(), InvalidField>,
}

/// Decides what to do at `now`.
pub(super) fn plan(observed: &Observed<'_>, now: Timestamp) -> Plan {
    let object = observed.object;
    let is_deleting = object.metadata.deletion_timestamp.is_some();
    if is_deleting && !has_finalizer(object) {
        // Nothing of ours has to be cleaned up, and a status that nobody will read is not written.
        return Plan::default();
    }
    let window = Window::of(&object.spec, now);
    let checks = Checks {
        references: object.spec.check(Subject::References),
        timeouts: object.spec.check(Subject::Timeouts),
    };
    let sight = observed.sight;
    let are_kinds_known = !sight.machine.is_pending()
        && (checks.references.is_err()
            || !sight.bootstrap.is_pending() && !sight.infrastructure.is_pending());
    if !are_kinds_known {
        // In a moment they are, and that is a change.
        return Plan {
            steps: Vec::new(),
            look_again: window.look_again,
        };
    }
    let mut course = course(observed, &window, &checks, now);
    if let Some(failure) = &observed.feedback.failure {
        course.failed(failure);
    }
    course
        .steps
        .retain(|step| !observed.feedback.done.contains(step));
    let wanted = status::wanted(observed, &window, &checks, &course, now);
    let present = object.status.as_ref();
    let mut written = Vec::new();
    if !present.is_some_and(|present| status::is_settled(present, &wanted)) {
        let announcements = status::announcements(present, &wanted, &course);
        written.push(Step::WriteStatus(Box::new(wanted)));
        written.extend(announcements.into_iter().map(Step::Announce));
    }
    let has_failed = observed.feedback.failure.is_some();
    let steps = if has_failed || course.steps.is_empty() {
        written
    } else if course.status_first {
        written.into_iter().chain(course.steps).collect()
    } else {
        // The status follows when it shows what came of them.
        course.steps
    };
    let look_again = [window.look_again, course.look_again]
        .into_iter()
        .flatten()
        .min();
    Plan { steps, look_again }
}

fn course(observed: &Observed<'_>, window: &Window, checks: &Checks, now: Timestamp) -> Course {
    let object = observed.object;
    let way = |manner, phase| absent::Way { manner, phase };
    let out = |way, scheduled: Finding| absent::course(observed, way, scheduled, now);
    let scheduled = window.scheduled();
    if object.metadata.deletion_timestamp.is_some() {
        let manner = if object.spec.kill_switch {
            absent::Manner::AtOnce
        } else {
            absent::Manner::Deletion
        };
        let why = Finding::no(
            condition::READY,
            "Deleted",
            "the ScheduledMachine is being deleted",
        );
        return out(way(manner, Phase::ShuttingDown), why);
    }
    if object.spec.kill_switch {
        let message = "the kill switch is on; the machine stays out until it is off";
        let why = Finding::no(condition::READY, "KillSwitchActivated", message);
        return out(way(absent::Manner::AtOnce, Phase::Terminated), why);
    }
    if let WindowState::Invalid(error) = &window.state {
        return Course::stuck(observed, "InvalidSchedule", error.clone());
    }
    if let Err(error) = &checks.references {
        return Course::stuck(observed, "InvalidReference", error.to_string());
    }
    if let Err(error) = &checks.timeouts {
        return Course::stuck(observed, "InvalidTimeout", error.to_string());
    }
    if let Some(reason) = observed.reclaimed() {
        let message = format!("the machine's owner wants it back{reason}");
        let why = Finding::no(condition::READY, "EmergencyReclaim", message);
        return out(way(absent::Manner::Emergency, Phase::EmergencyRemove), why);
    }
    match window.state {
        WindowState::Open { .. } => present::course(observed, scheduled),
        WindowState::Disabled => out(way(absent::Manner::Graceful, Phase::Disabled), scheduled),
        WindowState::Shut { .. } | WindowState::Invalid(_) => {
            out(way(absent::Manner::Graceful, Phase::Inactive), scheduled)
        }
    }
}

impl<'a> Observed<'a> {
    fn parts(&self) -> Parts<'a> {
        let (object, sight) = (self.object, self.sight);
        let mut parts = Parts::default();
        let [bootstrap, infrastructure] = [
            &object.spec.bootstrap_spec,
            &object.spec.infrastructure_spec,
        ]
        .map(KindId::from);
        for view in &sight.objects {
            if view.ownership(object) == Ownership::Foreign {
                continue;
            }
            let place = match &view.kind.id {
                _ if view.name != object.name_any() => None,
                KindId::Machine => Some(&mut parts.machine),
                id if *id == bootstrap => Some(&mut parts.bootstrap),
                id if *id == infrastructure => Some(&mut parts.infrastructure),
                KindId::Embedded { .. } => None,
            };
            match place {
                Some(place) => *place = Some(view),
                None => parts.leftovers.push(view),
            }
        }
        parts
    }

    fn status(&self) -> Option<&'a ScheduledMachineStatus> {
        self.object.status.as_ref()
    }

    fn phase(&self) -> Phase {
        self.status()
            .and_then(|status| status.phase)
            .unwrap_or_default()
    }

    fn condition(&self, kind: &str) -> Option<&'a Condition> {
        self.status()?
            .conditions
            .iter()
            .find(|condition| condition.type_ == kind)
    }

    /// Whether the machine's owner wants it back, and why as an addition to a sentence. It stays so until the machine
    /// is gone, though the Node goes before it.
    fn reclaimed(&self) -> Option<String> {
        if let NodeSight::Seen(node) = &self.sight.node
            && let Some(reason) = &node.reclaim
        {
            let is_given = !reason.is_empty();
            return Some(if is_given {
                format!(": {reason}")
            } else {
                String::new()
            });
        }
        let is_on_its_way = self.phase() == Phase::EmergencyRemove && !self.parts().is_empty();
        is_on_its_way.then(String::new)
    }

    fn drain_timeout(&self) -> SignedDuration {
        timeout(&self.object.spec.node_drain_timeout)
    }

    fn grace(&self) -> SignedDuration {
        timeout(&self.object.spec.graceful_shutdown_timeout)
    }
}

impl<'a> Parts<'a> {
    fn is_empty(&self) -> bool {
        self.all().next().is_none()
    }

    /// In the order in which they are deleted.
    fn all(&self) -> impl Iterator<Item = (Role, &'a ObjectView)> {
        let known = [
            (Role::Machine, self.machine),
            (Role::Bootstrap, self.bootstrap),
            (Role::Infrastructure, self.infrastructure),
        ];
        let known = known
            .into_iter()
            .filter_map(|(role, object)| Some((role, object?)));
        known.chain(
            self.leftovers
                .iter()
                .map(|object| (Role::Infrastructure, *object)),
        )
    }
}

impl Course {
    /// The machine stays as it is, because it can't be told how it should be.
    fn stuck(observed: &Observed<'_>, reason: &'static str, message: String) -> Self {
        let parts = observed.parts();
        Self {
            phase: Phase::Error,
            reason: reason.into(),
            is_ready: false,
            machine_ready: present::machine_ready(&parts),
            drained: Finding::stored(observed, condition::DRAINED)
                .unwrap_or_else(|| absent::not_draining(&parts)),
            tainted: Finding::stored(observed, condition::NODE_TAINTED),
            cleanup: None,
            status_first: false,
            steps: Vec::new(),
            look_again: None,
            message,
        }
    }

    fn failed(&mut self, failure: &Failure) {
        if failure.is_lasting {
            self.phase = Phase::Error;
        }
        self.is_ready = false;
        self.reason = failure.reason.into();
        self.message.clone_from(&failure.message);
    }
}

fn has_finalizer(object: &ScheduledMachine) -> bool {
    object
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER)
}

/// A timeout that can't be read is what it would be if it were left out: a deletion must not wait for a new spec.
fn timeout(text: &str) -> SignedDuration {
    const DEFAULT: SignedDuration = SignedDuration::from_mins(5);
    parse_timeout(text).map_or(DEFAULT, |timeout| {
        SignedDuration::try_from(timeout).unwrap_or(DEFAULT)
    })
}

#[cfg(test)]
mod tests;

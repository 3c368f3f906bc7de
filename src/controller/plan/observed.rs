//! What a plan is made from.

use std::sync::Arc;

use jiff::Timestamp;
use kube::ResourceExt;

use super::action::Action;
use crate::{
    api::{FINALIZER, Phase, ScheduledMachine, ScheduledMachineStatus},
    controller::clusters::NodeState,
    machine::{MachineState, MachineVersion, Part, Seen},
};

/// What is known of an object and of all that belongs to it.
#[derive(Clone, Debug)]
pub(in crate::controller) struct Observed<'a> {
    pub(in crate::controller) object: &'a ScheduledMachine,
    /// Its bootstrap object, infrastructure object and Machine, in this order.
    pub(in crate::controller) parts: [PartState; 3],
    /// Whether those are of other kinds than the spec asks for by now.
    pub(in crate::controller) is_of_other_kinds: bool,
    /// The Node that its Machine became.
    pub(in crate::controller) node: NodeState,
    /// The version in which Machines are served.
    pub(in crate::controller) machine_version: Option<MachineVersion>,
    /// What failed, and has not passed since.
    pub(in crate::controller) failed_actions: Vec<FailedAction>,
    /// When this leader first saw that the object is being deleted.
    pub(in crate::controller) deletion_seen: Option<Timestamp>,
    /// What the drain in this very look came to.
    pub(in crate::controller) drain: Option<DrainProgress>,
}

/// One of its three objects, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) enum PartState {
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
pub(in crate::controller) struct FailedAction {
    pub(in crate::controller) action: Action,
    /// How often in a row.
    pub(in crate::controller) times: u32,
    /// Why, in one word.
    pub(in crate::controller) reason: &'static str,
    /// Why, in words.
    pub(in crate::controller) message: String,
}

/// The reasons of all troubles, as conditions carry them.
pub(in crate::controller) const REFUSALS: [&str; 5] = [
    NAME_TAKEN,
    CREATION_REFUSED,
    DELETION_REFUSED,
    CHANGE_REFUSED,
    DRAIN_FAILED,
];

pub(in crate::controller) const NAME_TAKEN: &str = "NameTaken";
pub(in crate::controller) const CREATION_REFUSED: &str = "CreationRefused";
pub(in crate::controller) const DELETION_REFUSED: &str = "DeletionRefused";
pub(in crate::controller) const CHANGE_REFUSED: &str = "ChangeRefused";
pub(in crate::controller) const DRAIN_FAILED: &str = "DrainFailed";

/// How far a drain has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::controller) struct DrainProgress {
    /// Pods that are still on the Node and have to leave it.
    pub(in crate::controller) left: usize,
    /// Those of them that a disruption budget keeps there for now.
    pub(in crate::controller) held: usize,
    /// The first of those that are held, else of those that are left, by namespace and name.
    pub(in crate::controller) first: Option<String>,
    /// What the API server said against an eviction, other than that a budget forbids it.
    pub(in crate::controller) error: Option<String>,
}

impl PartState {
    /// It, where it is there.
    pub(in crate::controller) fn seen(&self) -> Option<&Seen> {
        match self {
            Self::Present(seen) => Some(seen),
            _ => None,
        }
    }

    /// What it says of itself, if it is a Machine.
    pub(in crate::controller) fn machine(&self) -> Option<&MachineState> {
        self.seen()?.machine.as_ref()
    }
}

impl Observed<'_> {
    pub(super) fn part(&self, part: Part) -> &PartState {
        let [bootstrap, infrastructure, machine] = &self.parts;
        match part {
            Part::Bootstrap => bootstrap,
            Part::Infrastructure => infrastructure,
            Part::Machine => machine,
        }
    }

    pub(super) fn machine(&self) -> Option<&MachineState> {
        self.part(Part::Machine).machine()
    }

    pub(super) fn status(&self) -> Option<&ScheduledMachineStatus> {
        self.object.status.as_ref()
    }

    pub(super) fn has_finalizer(&self) -> bool {
        self.object
            .finalizers()
            .iter()
            .any(|finalizer| finalizer == FINALIZER)
    }

    pub(super) fn deleted_at(&self) -> Option<Timestamp> {
        self.object
            .metadata
            .deletion_timestamp
            .as_ref()
            .map(|time| time.0)
    }

    pub(super) fn phase(&self) -> Phase {
        self.status()
            .and_then(|status| status.phase)
            .unwrap_or_default()
    }

    /// Whether anything may have been created: both are written before that.
    pub(super) fn may_have_parts(&self) -> bool {
        let is_noted = self.status().is_some_and(|status| {
            status.machine_ref.is_some()
                || status.bootstrap_ref.is_some()
                || status.infrastructure_ref.is_some()
        });
        is_noted || self.has_finalizer() || self.parts.iter().any(|part| part.seen().is_some())
    }
}

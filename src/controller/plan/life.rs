//! The life of a machine: what is to be done next to have it there, or to have it gone.

mod leaving;

use jiff::Timestamp;

use super::{
    DrainProgress, NAME_TAKEN, NodeSight, Observed, PartSeen, status::Findings, window::WindowState,
};
use crate::{
    api::{Shutdown, parse_timeout},
    machine::{MachineSight, NodeSeen, NodeWish, Part, Revision, Waits},
};
use leaving::Leaving;

/// One change of something in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) enum Action {
    /// Have the object wait for us when it is deleted.
    AddFinalizer,
    /// Let the object go; once more it is looked whether there is nothing of it any more, unless that is given up.
    RemoveFinalizer { looks: bool },
    /// Create an object.
    Create(Part),
    /// Delete this object.
    Delete { part: Part, of: Revision },
    /// Keep Cluster API from waiting for these before this Machine goes.
    Exempt { of: Revision, from: Waits },
    /// Take that back.
    EndExemption { of: Revision, from: Waits },
    /// Make a Node what it should be.
    ShapeNode { node: NodeKey, wish: NodeWish },
    /// Evict pods from a Node.
    Drain(NodeKey),
    /// Switch the schedule off, so that a machine that its owner took back is not taken again.
    DisableSchedule,
}

impl Action {
    /// Whether what became of it says more than what became of `other` before.
    pub(in crate::controller) fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Create(part), Self::Create(of))
            | (Self::Delete { part, .. }, Self::Delete { part: of, .. }) => part == of,
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }
}

/// A Node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) struct NodeKey {
    /// Name of its Cluster, in the namespace of the machine.
    pub(in crate::controller) cluster: String,
    /// Its name.
    pub(in crate::controller) name: String,
    /// Its UID, which tells it from a later one of the same name.
    pub(in crate::controller) uid: String,
}

/// What is to become of the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Goal {
    /// It stays as it is.
    Kept,
    /// It is to be there.
    Present,
    /// It is to be gone.
    Gone(Cause),
}

/// Why a machine is to be gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Its window is shut, or its schedule not in force.
    Schedule,
    /// The kill switch is on.
    KillSwitch,
    /// Its owner wants it back.
    Reclaim,
    /// The object is being deleted.
    Deletion,
}

/// How far the machine is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It is not known yet what there is.
    Unknown,
    /// Nothing is done.
    Kept,
    /// Nothing can be done, and this is why.
    Stuck {
        reason: &'static str,
        message: String,
    },
    /// Its objects are being created.
    Creating,
    /// Objects of an earlier machine have to go first.
    Replacing,
    /// Its objects are there.
    There,
    /// Its Node takes no new pods, and those on it have time until then.
    Grace(Timestamp),
    /// Its Node can't be reached; in words, where they are known.
    OutOfReach(Option<String>),
    /// Its Node is being drained.
    Draining(Option<DrainProgress>),
    /// Its objects are being deleted.
    Removing,
    /// Its objects are gone.
    Gone,
    /// Its objects did not go in time; these are left.
    Abandoned(Vec<Part>),
}

/// What there is to say about the drain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DrainNews {
    /// Nothing new.
    Same,
    /// The machine is not on its way out.
    InService,
    /// It is under way, or about to be.
    Pending,
    /// All pods have left.
    Done,
    /// There was no Node.
    NoNode,
    /// It took too long; what was left at last.
    TimedOut(DrainProgress),
    /// The Node could not be reached in all that time.
    OutOfReach(String),
    /// It was not asked for.
    Skipped(&'static str),
}

/// The decision.
#[derive(Clone, Debug)]
pub(super) struct Life {
    pub(super) goal: Goal,
    pub(super) stage: Stage,
    pub(super) drain: DrainNews,
    pub(super) action: Option<Action>,
    pub(super) look_again: Option<Timestamp>,
    pub(super) shutdown: Option<Shutdown>,
    /// When the machine is removed at the latest.
    pub(super) latest: Option<Timestamp>,
}

impl Life {
    fn at(goal: Goal, stage: Stage, drain: DrainNews) -> Self {
        Self {
            goal,
            stage,
            drain,
            action: None,
            look_again: None,
            shutdown: None,
            latest: None,
        }
    }

    fn then(mut self, action: Option<Action>) -> Self {
        self.action = action;
        self
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.stage == Stage::Unknown
    }
}

/// What is to be done next.
pub(super) fn decide(observed: &Observed<'_>, findings: &Findings, now: Timestamp) -> Life {
    match goal(observed, findings) {
        Goal::Kept => {
            let shutdown = observed.status().and_then(|status| status.shutdown.clone());
            Life {
                shutdown,
                ..Life::at(Goal::Kept, Stage::Kept, DrainNews::Same)
            }
        }
        Goal::Present => present(observed, findings),
        Goal::Gone(cause) => Leaving::new(observed, cause, now).decide(),
    }
}

fn goal(observed: &Observed<'_>, findings: &Findings) -> Goal {
    let spec = &observed.object.spec;
    if spec.kill_switch {
        return Goal::Gone(Cause::KillSwitch);
    }
    if observed.deleted_at().is_some() {
        return Goal::Gone(Cause::Deletion);
    }
    let is_being_reclaimed = observed
        .status()
        .and_then(|status| status.shutdown.as_ref())
        .is_some_and(|shutdown| shutdown.reclaimed);
    let is_reclaimed = matches!(&observed.node, NodeSight::Present(node) if node.is_reclaimed);
    if is_being_reclaimed || is_reclaimed {
        return Goal::Gone(Cause::Reclaim);
    }
    if !findings.is_valid() {
        return Goal::Kept;
    }
    match findings.window.state {
        WindowState::Open { .. } => Goal::Present,
        WindowState::Shut { .. } | WindowState::Disabled | WindowState::Invalid(_) => {
            Goal::Gone(Cause::Schedule)
        }
    }
}

fn present(observed: &Observed<'_>, findings: &Findings) -> Life {
    let life = |stage| Life::at(Goal::Present, stage, DrainNews::InService);
    if let Some(stage) = obstacle(observed) {
        return life(stage);
    }
    let is_missing = |part: &Part| observed.part(*part).seen().is_none();
    if let Err(error) = &findings.creation
        && Part::ALL.iter().any(is_missing)
    {
        let (reason, message) = ("InvalidReference", error.to_string());
        return life(Stage::Stuck { reason, message });
    }
    if observed.is_of_other_kinds && Part::ALL.iter().any(is_missing) {
        // A machine of two minds is none. Once all of it is gone, the status forgets the old kinds.
        let mut others = Part::ALL.into_iter().rev();
        return life(Stage::Replacing).then(others.find_map(|part| delete(observed, part)));
    }
    let seen = || {
        Part::ALL
            .into_iter()
            .filter_map(|part| observed.part(part).seen())
    };
    if seen().any(|seen| seen.is_deleting) {
        return life(Stage::Replacing);
    }
    let machine_uid = observed
        .part(Part::Machine)
        .seen()
        .map(|machine| &machine.uid);
    let is_left_over = |part: &Part| {
        let of = observed
            .part(*part)
            .seen()
            .and_then(|seen| seen.machine_uid.as_ref());
        of.is_some() && of != machine_uid
    };
    if let Some(part) = Part::ALL.into_iter().find(is_left_over) {
        // Cluster API will delete what belonged to a Machine that is gone; the new one must not be built on it.
        return life(Stage::Replacing).then(delete(observed, part));
    }
    if !observed.has_finalizer() {
        return life(Stage::Creating).then(Some(Action::AddFinalizer));
    }
    if let Some(part) = Part::ALL.into_iter().find(is_missing) {
        return life(Stage::Creating).then(Some(Action::Create(part)));
    }
    life(Stage::There).then(upkeep(observed))
}

/// What keeps anything from being created.
fn obstacle(observed: &Observed<'_>) -> Option<Stage> {
    let stuck = |reason, message| Some(Stage::Stuck { reason, message });
    if observed.parts.contains(&PartSeen::Unknown) {
        return Some(Stage::Unknown);
    }
    Part::ALL
        .into_iter()
        .find_map(|part| match observed.part(part) {
            PartSeen::NotServed(message) => stuck("KindNotServed", message.clone()),
            PartSeen::Failed(message) => stuck("KindNotReadable", message.clone()),
            PartSeen::Foreign => stuck(NAME_TAKEN, taken(part.word())),
            PartSeen::Unknown | PartSeen::Absent | PartSeen::Present(_) => None,
        })
}

/// There is an object of the name that is somebody else's.
pub(in crate::controller) fn taken(part: &str) -> String {
    format!("another {part} of this name belongs to somebody else; it is left alone")
}

/// What a machine in its window may need.
fn upkeep(observed: &Observed<'_>) -> Option<Action> {
    let spec = &observed.object.spec;
    let seen = observed.part(Part::Machine).seen()?;
    let machine = seen.machine.as_ref()?;
    let drains = parse_timeout(&spec.node_drain_timeout).is_ok_and(|limit| !limit.is_zero());
    let ours = machine.exempted_by_us();
    // To Cluster API a timeout of zero is no limit, so then its drain is never wanted.
    let from = Waits {
        drain: ours.drain && drains,
        ..ours
    };
    if from.any() {
        let of = seen.revision();
        return Some(Action::EndExemption { of, from });
    }
    let NodeSight::Present(node) = &observed.node else {
        return None;
    };
    let wish = NodeWish {
        cordoned: false,
        taints: node.is_ready.then(|| spec.node_taints.clone()),
        clear_reclaim: false,
    };
    let node_key = NodeKey::of(machine, node);
    (!node.is_as(&wish)).then_some(Action::ShapeNode {
        node: node_key,
        wish,
    })
}

impl NodeKey {
    fn of(machine: &MachineSight, node: &NodeSeen) -> Self {
        Self {
            cluster: machine.cluster.clone(),
            name: machine.node.clone().unwrap_or_default(),
            uid: node.uid.clone(),
        }
    }
}

fn delete(observed: &Observed<'_>, part: Part) -> Option<Action> {
    let seen = observed
        .part(part)
        .seen()
        .filter(|seen| !seen.is_deleting)?;
    Some(Action::Delete {
        part,
        of: seen.revision(),
    })
}

/// What a status carries: an API server keeps no fractions in some places and all digits in others.
pub(super) fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

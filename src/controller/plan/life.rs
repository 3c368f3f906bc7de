//! The life of a machine: what is to be done next to have it there, or to have it gone.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::{DrainProgress, NodeSight, Observed, PartSeen, status::Findings, window::WindowState};
use crate::{
    api::{Shutdown, parse_timeout},
    machine::{MachineSight, NodeSeen, NodeWish, Part, Seen},
};

/// How long the objects of a machine may take to go after the drain before a `ScheduledMachine` that is being deleted
/// does not wait for them any more.
pub(in crate::controller) const CLEANUP_TIMEOUT: Duration = Duration::from_mins(10);

/// The longest drain of a machine that its owner wants back.
const RECLAIM_DRAIN: Duration = Duration::from_mins(1);

/// How often a Node that is being drained is looked at.
const DRAIN_PACE: SignedDuration = SignedDuration::from_secs(2);

/// What a timeout is that breaks the rules, on the way out.
const DEFAULT_TIMEOUT: Duration = Duration::from_mins(5);

/// One change of something in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) enum Action {
    /// Have the object wait for us when it is deleted.
    AddFinalizer,
    /// Let the object go.
    RemoveFinalizer,
    /// Create an object.
    Create(Part),
    /// Delete the object of this UID.
    Delete { part: Part, uid: String },
    /// Keep Cluster API from draining the Node of the Machine of this UID once more, or from waiting for its volumes.
    Exempt { uid: String, from_detach: bool },
    /// Take that back.
    EndExemption { uid: String },
    /// Make a Node what it should be.
    ShapeNode { node: NodeKey, wish: NodeWish },
    /// Evict pods from a Node.
    Drain(NodeKey),
    /// Switch the schedule off, so that a machine that its owner took back is not taken again.
    DisableSchedule,
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
        Goal::Present => present(observed),
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

fn present(observed: &Observed<'_>) -> Life {
    let life = |stage| Life::at(Goal::Present, stage, DrainNews::InService);
    if let Some(stage) = obstacle(observed) {
        return life(stage);
    }
    let is_missing = |part: &Part| observed.part(*part).seen().is_none();
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
            PartSeen::Foreign => stuck("NameTaken", taken(part.word())),
            PartSeen::Unknown | PartSeen::Absent | PartSeen::Present(_) => None,
        })
}

/// There is an object of the name that is somebody else's.
pub(in crate::controller) fn taken(part: &str) -> String {
    format!("there is a {part} of this name that belongs to somebody else; it is left alone")
}

/// What a machine in its window may need.
fn upkeep(observed: &Observed<'_>) -> Option<Action> {
    let spec = &observed.object.spec;
    let seen = observed.part(Part::Machine).seen()?;
    let machine = seen.machine.as_ref()?;
    let drains = parse_timeout(&spec.node_drain_timeout).is_ok_and(|limit| !limit.is_zero());
    if machine.is_exempt_by_us && drains {
        return Some(Action::EndExemption {
            uid: seen.uid.clone(),
        });
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
        uid: seen.uid.clone(),
    })
}

/// A machine on its way out.
struct Leaving<'a> {
    observed: &'a Observed<'a>,
    cause: Cause,
    now: Timestamp,
    shutdown: Shutdown,
    grace: Duration,
    drain: Duration,
}

impl<'a> Leaving<'a> {
    fn new(observed: &'a Observed<'a>, cause: Cause, now: Timestamp) -> Self {
        let spec = &observed.object.spec;
        let timeout = |text: &str| parse_timeout(text).unwrap_or(DEFAULT_TIMEOUT);
        let drain = timeout(&spec.node_drain_timeout);
        let begun = observed.status().and_then(|status| status.shutdown.clone());
        let shutdown = begun.unwrap_or_else(|| Shutdown {
            since: Time(whole_seconds(now)),
            draining_since: None,
            reclaimed: false,
        });
        Self {
            observed,
            cause,
            now,
            shutdown: Shutdown {
                reclaimed: cause == Cause::Reclaim || shutdown.reclaimed,
                ..shutdown
            },
            grace: match cause {
                Cause::Schedule => timeout(&spec.graceful_shutdown_timeout),
                Cause::KillSwitch | Cause::Reclaim | Cause::Deletion => Duration::ZERO,
            },
            drain: match cause {
                Cause::Reclaim => drain.min(RECLAIM_DRAIN),
                Cause::Schedule | Cause::KillSwitch | Cause::Deletion => drain,
            },
        }
    }

    fn decide(self) -> Life {
        let observed = self.observed;
        let goal = Goal::Gone(self.cause);
        let is_deletion = observed.deleted_at().is_some();
        let release = || is_deletion.then_some(Action::RemoveFinalizer);
        if !observed.may_have_parts() {
            return Life::at(goal, Stage::Gone, DrainNews::Same);
        }
        let limit = observed
            .deleted_at()
            .map(|at| later(later(at, self.drain), CLEANUP_TIMEOUT));
        if limit.is_some_and(|limit| limit <= self.now) {
            let is_left =
                |part: &Part| !matches!(observed.part(*part), PartSeen::Absent | PartSeen::Foreign);
            let left = Part::ALL.into_iter().filter(is_left).collect();
            return Life::at(goal, Stage::Abandoned(left), DrainNews::Same).then(release());
        }
        let mut life = self.on_the_way();
        if life.stage == Stage::Gone {
            return life.then(release());
        }
        life.look_again = [life.look_again, limit].into_iter().flatten().min();
        life
    }

    fn on_the_way(self) -> Life {
        let observed = self.observed;
        let goal = Goal::Gone(self.cause);
        for part in &observed.parts {
            match part {
                PartSeen::Unknown => return Life::at(goal, Stage::Unknown, DrainNews::Same),
                PartSeen::Failed(message) => {
                    let (reason, message) = ("KindNotReadable", message.clone());
                    return self.life(Stage::Stuck { reason, message }, DrainNews::Same);
                }
                // There may be objects again as soon as it is served again, and nobody would know of them any more.
                PartSeen::NotServed(message) => {
                    let (reason, message) = ("KindNotServed", message.clone());
                    return self.life(Stage::Stuck { reason, message }, DrainNews::Same);
                }
                PartSeen::Absent | PartSeen::Foreign | PartSeen::Present(_) => {}
            }
        }
        if observed.parts.iter().all(|part| part.seen().is_none()) {
            return Life::at(goal, Stage::Gone, DrainNews::Same);
        }
        match observed.part(Part::Machine).seen() {
            Some(seen) if self.cause == Cause::KillSwitch => self.kill(seen),
            Some(seen) if seen.is_deleting => self.life(Stage::Removing, DrainNews::Same),
            Some(seen) => self.leave(seen),
            None => {
                // Cluster API deletes both along with the Machine, if it got so far as to know them.
                let others = [Part::Infrastructure, Part::Bootstrap];
                let action = others.into_iter().find_map(|part| delete(observed, part));
                self.life(Stage::Removing, DrainNews::Same).then(action)
            }
        }
    }

    /// Everything at once.
    fn kill(self, seen: &Seen) -> Life {
        let machine = seen.machine.clone().unwrap_or_default();
        let waits = !machine.is_exempt_from_drain || !machine.is_exempt_from_detach;
        let action = if machine.node.is_some() && waits {
            Some(Action::Exempt {
                uid: seen.uid.clone(),
                from_detach: true,
            })
        } else {
            let observed = self.observed;
            Part::ALL
                .into_iter()
                .rev()
                .find_map(|part| delete(observed, part))
        };
        self.life(Stage::Removing, DrainNews::Skipped("the kill switch is on"))
            .then(action)
    }

    /// Cordon, give time, drain, delete.
    fn leave(mut self, seen: &Seen) -> Life {
        let machine = seen.machine.clone().unwrap_or_default();
        if self.cause == Cause::Reclaim && self.observed.object.spec.schedule.enabled {
            // Not before it is in the status that the machine is to go: whoever reads the schedule next must know why.
            return self
                .life(Stage::Draining(None), DrainNews::Pending)
                .then(Some(Action::DisableSchedule));
        }
        let grace_ends = later(self.shutdown.since.0, self.grace);
        let latest = later(grace_ends, self.drain);
        let node = match &self.observed.node {
            NodeSight::None | NodeSight::Gone => return self.remove(seen, DrainNews::NoNode),
            NodeSight::Unreachable(error) if latest <= self.now => {
                let news = DrainNews::OutOfReach(error.clone());
                return self.remove(seen, news);
            }
            NodeSight::Unknown if latest <= self.now => {
                let news = DrainNews::OutOfReach("its cluster does not answer".to_owned());
                return self.remove(seen, news);
            }
            NodeSight::Unreachable(error) => {
                let stage = Stage::OutOfReach(Some(error.clone()));
                return self.until(latest, latest, stage);
            }
            NodeSight::Unknown => return self.until(latest, latest, Stage::OutOfReach(None)),
            NodeSight::Present(node) => node,
        };
        let wish = NodeWish {
            cordoned: true,
            taints: None,
            clear_reclaim: self.cause == Cause::Reclaim,
        };
        let node_key = NodeKey::of(&machine, node);
        let cordon = (!node.is_as(&wish)).then(|| Action::ShapeNode {
            node: node_key.clone(),
            wish,
        });
        if self.now < grace_ends {
            return self
                .until(grace_ends, latest, Stage::Grace(grace_ends))
                .then(cordon);
        }
        if self.drain.is_zero() {
            let news = DrainNews::Skipped("nodeDrainTimeout is 0");
            return match cordon {
                Some(cordon) => self.life(Stage::Removing, news).then(Some(cordon)),
                None => self.remove(seen, news),
            };
        }
        let since = self
            .shutdown
            .draining_since
            .get_or_insert(Time(whole_seconds(self.now)))
            .0;
        let deadline = later(since, self.drain);
        let progress = self.observed.drain.clone();
        let stage = Stage::Draining(progress.clone());
        if cordon.is_some() {
            return self.until(deadline, deadline, stage).then(cordon);
        }
        match progress {
            Some(progress) if progress.left == 0 => self.remove(seen, DrainNews::Done),
            Some(progress) if deadline <= self.now => {
                self.remove(seen, DrainNews::TimedOut(progress))
            }
            Some(_) => {
                let soon = self.now.checked_add(DRAIN_PACE).unwrap_or(deadline);
                self.until(soon.min(deadline), deadline, stage)
            }
            // Even when nobody led in all that time, every pod is asked once.
            None => self
                .until(deadline, deadline, stage)
                .then(Some(Action::Drain(node_key))),
        }
    }

    /// Deletes the Machine, and with it the others.
    fn remove(self, seen: &Seen, news: DrainNews) -> Life {
        let machine = seen.machine.as_ref();
        let would_drain =
            machine.is_some_and(|machine| machine.node.is_some() && !machine.is_exempt_from_drain);
        let uid = seen.uid.clone();
        let action = if would_drain {
            let from_detach = false;
            Action::Exempt { uid, from_detach }
        } else {
            let part = Part::Machine;
            Action::Delete { part, uid }
        };
        self.life(Stage::Removing, news).then(Some(action))
    }

    fn until(self, look_again: Timestamp, latest: Timestamp, stage: Stage) -> Life {
        Life {
            look_again: Some(look_again),
            latest: Some(latest),
            ..self.life(stage, DrainNews::Pending)
        }
    }

    fn life(self, stage: Stage, drain: DrainNews) -> Life {
        Life {
            shutdown: Some(self.shutdown),
            ..Life::at(Goal::Gone(self.cause), stage, drain)
        }
    }
}

/// What a status carries: an API server keeps no fractions in some places and all digits in others.
pub(super) fn whole_seconds(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}

/// Timeouts are at most a day, so this leaves the range of timestamps only at the end of time.
fn later(at: Timestamp, by: Duration) -> Timestamp {
    at.checked_add(by).unwrap_or(Timestamp::MAX)
}

//! The decision about a machine: what is to become of it, and how far it is.

use jiff::Timestamp;

use super::{
    action::Action,
    observed::{DrainProgress, Observed},
};
use crate::{api::Shutdown, machine::Part};

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

#[derive(Clone, Debug)]
pub(super) struct Decision {
    pub(super) goal: Goal,
    pub(super) stage: Stage,
    pub(super) drain: DrainNews,
    pub(super) action: Option<Action>,
    pub(super) requeue_at: Option<Timestamp>,
    pub(super) shutdown: Option<Shutdown>,
    /// When the machine is removed at the latest.
    pub(super) latest: Option<Timestamp>,
}

impl Decision {
    pub(super) fn at(goal: Goal, stage: Stage, drain: DrainNews) -> Self {
        Self {
            goal,
            stage,
            drain,
            action: None,
            requeue_at: None,
            shutdown: None,
            latest: None,
        }
    }

    pub(super) fn then(mut self, action: Option<Action>) -> Self {
        self.action = action;
        self
    }

    pub(super) fn is_unknown(&self) -> bool {
        self.stage == Stage::Unknown
    }
}

/// Deletes an object that is there, unless that is under way.
pub(super) fn delete(observed: &Observed<'_>, part: Part) -> Option<Action> {
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

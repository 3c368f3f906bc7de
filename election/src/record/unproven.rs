//! Until when earlier leaders may still write where nothing is fenced, because their end is not proven.
//!
//! A take on a hint is safe in the operator's own cluster, where the fence refuses the process that led before. Other
//! clusters have no fence, so writes to them wait until that one's record has run out on the clock of this replica, or its
//! death is proven.
//!
//! What is left of the wait is in the Lease, in whole seconds, and a renewal states it anew. So whoever takes over from
//! such a term goes on with the wait, for whatever reason it takes over: that this term was released, or that its process
//! is dead, says nothing about the leader before it.

use std::time::Duration;

use super::{observed::Observed, reason::Reason};
use crate::clock::Moment;

/// The waits of a term.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Unproven {
    /// Until the record of the predecessor has run out.
    predecessor: Option<Moment>,
    /// Until the wait is over that the predecessor's record states: for leaders before it.
    earlier: Option<Moment>,
}

impl Unproven {
    /// What has to be waited for by a replica that takes the Lease for `reason` from what it observed.
    ///
    /// Not for [`Reason::Own`]: a process that holds the Lease already keeps the waits that it has.
    pub(crate) fn after(observed: &Observed, reason: Reason) -> Self {
        Self {
            predecessor: observed.runs_out_at().filter(|_| reason == Reason::Hint),
            earlier: observed.unproven_until(),
        }
    }

    /// The predecessor's death is proven. Of those before it that says nothing.
    pub(crate) fn prove(&mut self) {
        self.predecessor = None;
    }

    /// Until when writes to other clusters have to wait.
    pub(crate) fn until(self) -> Option<Moment> {
        self.predecessor.max(self.earlier)
    }

    /// How much of that is left at `now`.
    pub(crate) fn left(self, now: Moment) -> Duration {
        self.until()
            .map_or(Duration::ZERO, |until| until.since(now))
    }
}

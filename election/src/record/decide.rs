//! What follows from what is known of the Lease. It is the one place where leadership is decided.
//!
//! Nothing here does I/O or reads a clock: [`decide`] is a function of what was observed, of who asks, and of the moment.

use std::time::Duration;

use super::{observed::Observed, reason::Reason};
use crate::{
    clock::Moment,
    identity::{Identity, Incarnation},
    mutation::{self, IMPATIENT_AFTER, Mutation},
};

/// What is known of the holder beside what the Lease says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Evidence {
    /// The process that is proven to be dead.
    pub(crate) dead: Option<Incarnation>,
    /// The process that seems to be gone, while the fence was in force: a hint, good enough to act on because of
    /// the fence.
    pub(crate) gone: Option<Incarnation>,
    /// The record is of this very process, which heard of that write too late to lead on it: writing on and on would
    /// only keep others out, so the Lease is left to them for a while.
    pub(crate) unheard: bool,
}

/// What to do about the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Write this replica into it.
    Take(Reason),
    /// Another replica leads, at the longest until the given moment unless it renews.
    Wait {
        /// When the Lease expires if nothing is heard.
        until: Moment,
    },
}

/// Decides what `me` does about the Lease at `now`.
pub(crate) fn decide(
    observed: &Observed,
    me: &Identity,
    evidence: &Evidence,
    now: Moment,
) -> Verdict {
    let Some(record) = &observed.record else {
        // There may be a leader whose Lease was deleted a moment ago, and which finds out when it next renews.
        return from(
            observed.vacant_since + observed.waits.retry_period * 2,
            Reason::Released,
            now,
        );
    };
    let Some(holder) = record.holder() else {
        // Whoever was named goes first; nobody waits for it longer than one retry period.
        let patience = match record.successor() {
            Some(successor) if successor != me.pod_name => observed.waits.retry_period,
            _ => Duration::ZERO,
        };
        return from(observed.vacant_since + patience, Reason::Released, now);
    };
    if mutation::is(Mutation::ReclaimsByName) && holder == me.pod_name {
        return Verdict::Take(Reason::Reclaimed);
    }
    if let Some(incarnation) = record.incarnation() {
        if holder == me.pod_name && incarnation == me.incarnation {
            let left = if evidence.unheard && !mutation::is(Mutation::NeverLeavesTheLease) {
                observed.waits.leave
            } else {
                Duration::ZERO
            };
            return from(observed.changed_at + left, Reason::Own, now);
        }
        if holder == me.pod_name && incarnation.is_another_life_of(&me.incarnation) {
            return Verdict::Take(Reason::Reclaimed);
        }
        if evidence.dead.as_ref() == Some(&incarnation) {
            return Verdict::Take(Reason::Proof);
        }
        if evidence.gone.as_ref() == Some(&incarnation) {
            return Verdict::Take(Reason::Hint);
        }
    }
    if mutation::is(Mutation::Impatient) {
        return from(observed.changed_at + IMPATIENT_AFTER, Reason::Expired, now);
    }
    // A deleted Lease does not free it either: the holder may not know yet, so its last record is waited out.
    let patience = observed.waits.patience(record).duration();
    from(observed.changed_at + patience, Reason::Expired, now)
}

/// Take it from `start` on, for `reason`.
fn from(start: Moment, reason: Reason, now: Moment) -> Verdict {
    if now >= start {
        Verdict::Take(reason)
    } else {
        Verdict::Wait { until: start }
    }
}

//! What a replica shows of the election to others: whether it leads, for metrics, and that its loop goes on, for probes.

use std::{
    sync::{PoisonError, RwLock},
    time::Duration,
};

use jiff::Timestamp;

use crate::clock::{Moment, SharedClock};

/// How the election looks from this replica.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum LeadershipStatus {
    /// It sees no live leader.
    #[default]
    Leaderless,
    /// It leads.
    Leading {
        /// When it took the Lease, by its own wall clock.
        since: Timestamp,
    },
    /// Another replica leads.
    StandingBy {
        /// That replica's name.
        leader: String,
        /// When that one took the Lease, by its wall clock, where the record says so.
        since: Option<Timestamp>,
    },
}

/// Says when the election loop last went round, for the liveness probe.
#[derive(Debug)]
pub struct Pulse {
    clock: SharedClock,
    limit: Duration,
    last: RwLock<Moment>,
}

impl Pulse {
    /// A loop that is silent for longer than `limit` counts as stalled.
    pub fn new(clock: SharedClock, limit: Duration) -> Self {
        let last = RwLock::new(clock.now());
        Self { clock, limit, last }
    }

    /// The loop went round.
    pub fn beat(&self) {
        *self.last.write().unwrap_or_else(PoisonError::into_inner) = self.clock.now();
    }

    /// How long the loop has been silent beyond what is normal; `None` while all is well.
    pub fn stalled_for(&self) -> Option<Duration> {
        let silence = self
            .clock
            .now()
            .since(*self.last.read().unwrap_or_else(PoisonError::into_inner));
        (silence > self.limit).then_some(silence)
    }
}

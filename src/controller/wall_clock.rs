//! The wall clock, which schedules are about, and the steps that it takes.

use std::{fmt::Debug, sync::Arc, time::Duration};

use jiff::Timestamp;
use tokio::time::{Instant, MissedTickBehavior};

/// Tells the time of day.
pub(crate) trait WallClock: Debug + Send + Sync {
    fn now(&self) -> Timestamp;
}

/// The system's clock.
#[derive(Debug)]
pub(super) struct SystemClock;

/// Compares the wall clock with the monotonic one.
///
/// Both are slewed alike by a time daemon, so they drift apart only when the wall clock is stepped or the machine is
/// suspended.
#[derive(Debug)]
pub(super) struct Steps {
    clock: Arc<dyn WallClock>,
    tick: tokio::time::Interval,
    wall: Timestamp,
    monotonic: Instant,
}

const TICK: Duration = Duration::from_secs(1);

/// Below this a boundary is met in time anyway.
const SMALLEST_STEP: Duration = Duration::from_millis(250);

impl WallClock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

impl Steps {
    pub(super) fn new(clock: Arc<dyn WallClock>) -> Self {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let wall = clock.now();
        Self {
            clock,
            tick,
            wall,
            monotonic: Instant::now(),
        }
    }

    /// Resolves after the wall clock has been stepped. May be dropped and called again.
    pub(super) async fn next(&mut self) {
        loop {
            self.tick.tick().await;
            let (wall, monotonic) = (self.clock.now(), Instant::now());
            let expected = monotonic.duration_since(self.monotonic);
            let passed = wall.duration_since(self.wall);
            let expected =
                jiff::SignedDuration::try_from(expected).unwrap_or(jiff::SignedDuration::MAX);
            if passed.saturating_sub(expected).unsigned_abs() >= SMALLEST_STEP {
                (self.wall, self.monotonic) = (wall, monotonic);
                return;
            }
        }
    }
}

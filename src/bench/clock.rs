//! A wall clock that goes like the system's and can be set.

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::controller::WallClock;

#[derive(Debug)]
pub(super) struct BenchClock(Mutex<(Timestamp, Instant)>);

impl BenchClock {
    pub(super) fn at(time: &str) -> Self {
        Self(Mutex::new((time.parse().unwrap(), Instant::now())))
    }

    pub(super) fn set(&self, time: &str) {
        *self.0.lock() = (time.parse().unwrap(), Instant::now());
    }
}

impl WallClock for BenchClock {
    fn now(&self) -> Timestamp {
        let (time, set) = *self.0.lock();
        time + SignedDuration::try_from(set.elapsed()).unwrap_or_default()
    }
}

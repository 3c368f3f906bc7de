//! The clock by which every deadline is judged.
//!
//! Production uses `CLOCK_BOOTTIME`: unlike `CLOCK_MONOTONIC` it also runs while the machine is suspended, so a
//! leader that wakes up after an hour finds its term over. Tests use tokio's clock, which they can pause. Wall time
//! is written into objects and never compared.

use std::{
    fmt::Debug,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// A point on a [`Clock`], counted from that clock's own arbitrary start.
///
/// Moments of different clocks can't be compared with meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(Duration);

/// A wait, which may be part of a future that others require to be `Sync`, such as of a shutdown.
pub type Sleep = Pin<Box<dyn Future<Output = ()> + Send + Sync>>;

/// A clock that never goes back.
pub trait Clock: Debug + Send + Sync {
    /// The present moment.
    fn now(&self) -> Moment;

    /// Waits for `duration` as this clock counts it. The timers of a process run at the rate of its clock.
    fn sleep(&self, duration: Duration) -> Sleep {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A shared clock: every part of a replica holds the same one.
pub type SharedClock = Arc<dyn Clock>;

/// `CLOCK_BOOTTIME` of the kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct BootClock;

/// tokio's clock, which a test can pause and advance.
#[derive(Clone, Debug)]
pub struct PausedClock {
    start: tokio::time::Instant,
    slept: Arc<Mutex<Duration>>,
}

/// The longest single sleep of [`sleep_until`].
///
/// tokio's timers stand still while the machine is suspended. Sleeping in slices bounds how late a deadline on the
/// boot clock is noticed after a resume; no write depends on it, because writes check the clock themselves.
const LONGEST_SLEEP: Duration = Duration::from_secs(1);

impl Moment {
    /// The moment that lies `since_start` after the clock's start.
    pub const fn from_start(since_start: Duration) -> Self {
        Self(since_start)
    }

    /// The time from `earlier` to this moment; zero when `earlier` is in fact later.
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

impl std::ops::Add<Duration> for Moment {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(duration))
    }
}

impl Clock for BootClock {
    fn now(&self) -> Moment {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        // Both fields of a clock reading are never negative; a kernel that said otherwise would be read as its start.
        let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
        let nanos = u32::try_from(now.tv_nsec).unwrap_or_default();
        Moment(Duration::new(seconds, nanos))
    }
}

impl PausedClock {
    /// A clock that starts now.
    pub fn start() -> Self {
        let start = tokio::time::Instant::now();
        Self {
            start,
            slept: Arc::default(),
        }
    }

    /// The machine was suspended for this long: the clock ran on, and no timer did.
    pub fn suspend(&self, duration: Duration) {
        *self.slept() += duration;
    }

    fn slept(&self) -> MutexGuard<'_, Duration> {
        self.slept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for PausedClock {
    fn now(&self) -> Moment {
        Moment(self.start.elapsed() + *self.slept())
    }
}

/// Waits until `clock` has reached `moment`.
pub async fn sleep_until(clock: &dyn Clock, moment: Moment) {
    loop {
        let left = moment.since(clock.now());
        if left.is_zero() {
            return;
        }
        clock.sleep(left.min(LONGEST_SLEEP)).await;
    }
}

/// Waits for `future`, but no longer than `limit`; `None` when time was up.
pub async fn within<T>(
    clock: &dyn Clock,
    limit: Duration,
    future: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        biased;
        output = future => Some(output),
        () = clock.sleep(limit) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boot_clock_runs() {
        let before = BootClock.now();
        std::thread::sleep(Duration::from_millis(2));
        assert!(BootClock.now().since(before) >= Duration::from_millis(2));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_suspend_sleep_until_ends_within_a_second() {
        let clock = PausedClock::start();
        let begun = tokio::time::Instant::now();
        let moment = clock.now() + Duration::from_secs(60);
        tokio::join!(sleep_until(&clock, moment), async {
            tokio::time::sleep(Duration::from_millis(100)).await;
            clock.suspend(Duration::from_secs(3600));
        });
        assert!(begun.elapsed() <= LONGEST_SLEEP);
    }

    #[tokio::test(start_paused = true)]
    async fn sleep_until_ends_at_the_moment_and_not_before() {
        let clock = PausedClock::start();
        let moment = clock.now() + Duration::from_millis(3500);
        sleep_until(&clock, moment).await;
        assert!(clock.now() >= moment);
        assert!(clock.now().since(moment) < Duration::from_millis(5));
    }
}

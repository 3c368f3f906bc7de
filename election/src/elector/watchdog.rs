//! Whether the work of a term makes progress: a leader that renews and does nothing would keep everybody else out.

use std::time::Duration;

use crate::clock::Moment;

/// How often the election looks. What is longer between two looks counts for no more: then the election was held up as
/// well, by a machine that was suspended or a processor that was busy, and the work has had no chance either.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Counts for how long the work has given no sign of progress.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watchdog {
    limit: Duration,
    signs: u64,
    looked: Moment,
    silence: Duration,
}

impl Watchdog {
    pub(super) fn new(limit: Duration, now: Moment) -> Self {
        Self {
            limit,
            signs: 0,
            looked: now,
            silence: Duration::ZERO,
        }
    }

    /// Whether the work is stuck, which has given this many signs of progress so far.
    pub(super) fn is_stuck(&mut self, signs: u64, now: Moment) -> bool {
        let since = now.since(self.looked).min(LOOK_EVERY);
        self.silence = if signs == self.signs {
            self.silence + since
        } else {
            Duration::ZERO
        };
        (self.signs, self.looked) = (signs, now);
        self.silence >= self.limit
    }

    /// When to look again.
    pub(super) fn next_look(&self) -> Moment {
        self.looked + LOOK_EVERY.min(self.limit.saturating_sub(self.silence))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> Moment {
        Moment::from_start(Duration::from_secs(seconds))
    }

    #[test]
    fn silence_counts_from_the_last_sign() {
        let mut watchdog = Watchdog::new(LIMIT, at(0));
        for second in 1..=100 {
            assert!(!watchdog.is_stuck(second, at(second)));
        }
        for second in 101..160 {
            assert!(!watchdog.is_stuck(100, at(second)), "{second}");
        }
        assert_eq!(watchdog.next_look(), at(160));
        assert!(watchdog.is_stuck(100, at(160)));
    }

    #[test]
    fn a_pause_of_the_whole_process_is_not_the_works_silence() {
        let mut watchdog = Watchdog::new(LIMIT, at(0));
        assert!(!watchdog.is_stuck(1, at(1)));
        assert!(!watchdog.is_stuck(1, at(3601)));
        for second in 0..50 {
            assert!(!watchdog.is_stuck(1, at(3602 + second)));
        }
        assert!(watchdog.is_stuck(1, at(3660)));
    }
}

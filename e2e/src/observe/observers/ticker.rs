//! Whether the harness itself runs when it is ready to: a clock that ticks, and sees how late.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};

use super::error::ObserverError;
use crate::observe::observations::Observations;
use failover_judging::{clock::duration_millis, observed::Stall};

/// Time between two ticks.
const PERIOD: Duration = Duration::from_millis(20);

/// A tick that is later than this is recorded. Timers and schedulers are a few milliseconds late by nature.
const NOTABLE: Duration = Duration::from_millis(50);

/// Ticks, and records every tick that came late. Never returns.
pub(super) async fn tick(observations: Arc<Observations>) -> ObserverError {
    loop {
        let due = Instant::now() + PERIOD;
        sleep_until(due).await;
        let late = Instant::now().saturating_duration_since(due);
        if late > NOTABLE {
            observations.stalled(Stall {
                at: observations.now(),
                lasted_ms: duration_millis(late),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::observe::run_clock::RunClock;

    #[tokio::test(start_paused = true)]
    async fn a_tick_that_comes_late_is_recorded_with_how_late() {
        let observations = Arc::new(Observations::new(RunClock::start()));
        let watched = async {
            tokio::task::yield_now().await;
            // Nobody ran for 800 ms, 780 of them after the tick was due.
            advance(Duration::from_millis(800)).await;
            tokio::task::yield_now().await;
        };
        tokio::select! {
            _ = tick(Arc::clone(&observations)) => {}
            () = watched => {}
        }
        let stalls = observations.read(|seen| seen.stalls.clone());
        assert_eq!(stalls.len(), 1, "{stalls:?}");
        assert!((779.0..=781.0).contains(&stalls[0].lasted_ms), "{stalls:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn ticks_in_time_are_not_worth_a_word() {
        let observations = Arc::new(Observations::new(RunClock::start()));
        let ticks = tokio::time::timeout(Duration::from_secs(2), tick(Arc::clone(&observations)));
        assert!(ticks.await.is_err());
        observations.read(|seen| assert_eq!(seen.stalls, []));
    }
}

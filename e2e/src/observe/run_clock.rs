//! The clock that everything seen is stamped with.

use tokio::time::Instant;

use failover_judging::clock::Stamp;

/// The clock of one run.
#[derive(Clone, Copy, Debug)]
pub struct RunClock(Instant);

impl RunClock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self(Instant::now())
    }

    /// The present moment.
    pub fn now(&self) -> Stamp {
        let micros = self.0.elapsed().as_micros();
        Stamp::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_clock_counts_from_the_start_of_the_run() {
        let clock = RunClock::start();
        tokio::time::sleep(Duration::from_millis(1500)).await;
        assert_eq!(clock.now(), Stamp::from_micros(1_500_000));
    }
}

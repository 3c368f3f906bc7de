//! The clocks of the nodes.

use std::time::Duration;

use tokio::time::Instant;

use super::settings::PPM;
use crate::clock::{Clock, Moment, Sleep};

/// A node's clock: it started anywhere and runs at a rate of its own.
#[derive(Clone, Debug)]
pub(super) struct SkewedClock {
    pub(super) world_start: Instant,
    pub(super) shown_at_start: Duration,
    pub(super) rate: u64,
}

impl Clock for SkewedClock {
    fn now(&self) -> Moment {
        let passed =
            self.world_start.elapsed().as_nanos() * u128::from(self.rate) / u128::from(PPM);
        let passed = Duration::from_nanos(u64::try_from(passed).unwrap_or(u64::MAX));
        Moment::from_start(self.shown_at_start + passed)
    }

    fn sleep(&self, duration: Duration) -> Sleep {
        let nanos = duration.as_nanos() * u128::from(PPM) / u128::from(self.rate);
        // Rounded up, so that a timer never fires before its time.
        let real = Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX).saturating_add(1));
        Box::pin(tokio::time::sleep(real))
    }
}

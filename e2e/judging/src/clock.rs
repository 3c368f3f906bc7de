//! The one clock of a run: `CLOCK_MONOTONIC` of the machine the harness runs on.
//!
//! Everything that the harness sees is stamped on arrival. Times that others wrote (the Lease, the audit log) come from
//! other clocks and are brought onto this one with a measured error, see [`crate::observed::ClockMap`].

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A length of time in milliseconds.
pub type Millis = f64;

/// A moment on the run's clock: milliseconds since the run began, with microsecond precision.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(from = "f64", into = "f64")]
#[schemars(with = "f64")]
pub struct Stamp(i64);

impl Stamp {
    /// The moment `micros` microseconds after the start of the run.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Microseconds since the start of the run.
    pub const fn micros(self) -> i64 {
        self.0
    }

    /// Milliseconds from `earlier` to this moment; negative when `earlier` is in fact later.
    pub fn since(self, earlier: Self) -> Millis {
        millis(self.0 - earlier.0)
    }
}

impl std::ops::Add<Duration> for Stamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self(
            self.0
                .saturating_add(i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)),
        )
    }
}

impl From<f64> for Stamp {
    fn from(milliseconds: f64) -> Self {
        // A float beyond the range of an integer is cut to it, which only a damaged file can hold.
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a run is shorter than 2^53 microseconds"
        )]
        Self((milliseconds * 1000.0).round() as i64)
    }
}

impl From<Stamp> for f64 {
    fn from(stamp: Stamp) -> Self {
        millis(stamp.0)
    }
}

/// Milliseconds of a count of microseconds.
#[expect(
    clippy::cast_precision_loss,
    reason = "wall microseconds of this century fit into 2^53"
)]
pub fn millis(micros: i64) -> Millis {
    micros as f64 / 1000.0
}

/// Milliseconds of a [`Duration`].
pub fn duration_millis(duration: Duration) -> Millis {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_survives_the_way_through_json() {
        let stamp = Stamp::from_micros(1_234_567);
        let text = serde_json::to_string(&stamp).unwrap();
        assert_eq!(text, "1234.567");
        assert_eq!(serde_json::from_str::<Stamp>(&text).unwrap(), stamp);
    }
}

//! The election settings that a run is judged by.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The election settings found in the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct LeaseSettings {
    /// `LEASE_DURATION_SECONDS`: how long a silent holder is left alone.
    pub duration_seconds: u32,
    /// `LEASE_RENEW_DEADLINE_SECONDS`: when a leader that can't renew gives up.
    pub renew_deadline_seconds: u32,
    /// `LEASE_RETRY_PERIOD_SECONDS`: time between renewals, and between the looks of a standby.
    pub retry_period_seconds: u32,
}

impl LeaseSettings {
    /// D.
    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.duration_seconds.into())
    }

    /// RD.
    pub fn renew_deadline(&self) -> Duration {
        Duration::from_secs(self.renew_deadline_seconds.into())
    }

    /// RP.
    pub fn retry_period(&self) -> Duration {
        Duration::from_secs(self.retry_period_seconds.into())
    }

    /// How long a gray failure lasts: longer than the longest time without a leader that it may cause, and three lease
    /// durations at least.
    pub fn beyond_a_gray_takeover(&self) -> Duration {
        let takeover = self.renew_deadline() + self.duration() + self.retry_period() * 4;
        takeover.max(self.duration() * 3)
    }
}

//! What the lease configuration promises: for each fault the longest and the shortest takeover it allows, and why.
//!
//! With D = `LEASE_DURATION_SECONDS`, RD = `LEASE_RENEW_DEADLINE_SECONDS`, RP = `LEASE_RETRY_PERIOD_SECONDS`: a released
//! Lease is taken within RP even by a standby whose watch is dead; a Lease whose holder fell silent is taken when D has
//! passed since its last renewal, never before. The fault comes after that renewal, so D bounds it as well; a standby
//! counts D from when it saw that renewal and then still has to take the Lease, for which it gets
//! [`OBSERVATION_ALLOWANCE`].

use std::time::Duration;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::{Millis, duration_millis};

/// How much later than D a standby may take an expired Lease: it sees the last renewal a moment after it was made, and
/// when D has passed it reads the Lease once more and writes it.
pub const OBSERVATION_ALLOWANCE: Duration = Duration::from_millis(100);

/// What is done to the leader.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    ValueEnum,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The leader's pod is deleted; it may release the Lease.
    Graceful,
    /// The leader's process gets SIGKILL; kubelet restarts it in the same pod.
    Crash,
    /// The leader's process gets SIGKILL and its pod can't run it again.
    CrashLoop,
}

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

/// The longest time that a phase may take, with its reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bound {
    /// The limit in milliseconds, without the measuring error.
    pub limit_ms: Millis,
    /// Why it is this long, naming the settings it follows from.
    pub reason: String,
}

impl FaultKind {
    /// The name as it is typed and printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Graceful => "graceful",
            Self::Crash => "crash",
            Self::CrashLoop => "crash-loop",
        }
    }

    /// By how much a limit for a takeover after this fault is extended because a standby only observes the renewals.
    ///
    /// A release is seen by a standby as well, but its bound leaves room for that: it is a whole retry period.
    pub fn observation_allowance(self) -> Duration {
        match self {
            Self::Graceful => Duration::ZERO,
            Self::Crash | Self::CrashLoop => OBSERVATION_ALLOWANCE,
        }
    }
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

impl LeaseSettings {
    /// D.
    pub fn duration(&self) -> Duration {
        Duration::from_secs(self.duration_seconds.into())
    }

    /// RP.
    pub fn retry_period(&self) -> Duration {
        Duration::from_secs(self.retry_period_seconds.into())
    }

    /// The longest time from the fault until the Lease names another holder or another process life.
    pub fn lease_bound(&self, fault: FaultKind) -> Bound {
        match fault {
            FaultKind::Graceful => Bound {
                limit_ms: duration_millis(self.retry_period()),
                reason: format!(
                    "a leader that is asked to stop releases the Lease, and a standby looks at least every \
                     LEASE_RETRY_PERIOD_SECONDS={}",
                    self.retry_period_seconds
                ),
            },
            FaultKind::Crash => Bound {
                limit_ms: duration_millis(self.duration()),
                reason: format!(
                    "the restarted pod reclaims its own Lease, or a standby takes it LEASE_DURATION_SECONDS={} after \
                     it saw the last renewal",
                    self.duration_seconds
                ),
            },
            FaultKind::CrashLoop => Bound {
                limit_ms: duration_millis(self.duration()),
                reason: format!(
                    "a standby takes the Lease LEASE_DURATION_SECONDS={} after it saw the last renewal, which came \
                     before the fault",
                    self.duration_seconds
                ),
            },
        }
    }

    /// The longest time from taking the Lease to the first accepted write.
    ///
    /// Not a figure of the lease configuration but the harness's own: a leader that has been given work to do and does
    /// none for a whole retry period leads in name only.
    pub fn work_bound(&self) -> Bound {
        Bound {
            limit_ms: duration_millis(self.retry_period()),
            reason: format!(
                "a leader with work waiting writes within one LEASE_RETRY_PERIOD_SECONDS={} of taking the Lease",
                self.retry_period_seconds
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: LeaseSettings = LeaseSettings {
        duration_seconds: 15,
        renew_deadline_seconds: 10,
        retry_period_seconds: 2,
    };

    #[rstest::rstest]
    #[case(FaultKind::Graceful, 2_000.0, "LEASE_RETRY_PERIOD_SECONDS=2")]
    #[case(FaultKind::Crash, 15_000.0, "LEASE_DURATION_SECONDS=15")]
    #[case(FaultKind::CrashLoop, 15_000.0, "LEASE_DURATION_SECONDS=15")]
    fn each_bound_follows_from_a_named_setting(
        #[case] fault: FaultKind,
        #[case] limit: f64,
        #[case] named: &str,
    ) {
        let bound = SETTINGS.lease_bound(fault);
        assert_eq!(bound.limit_ms, limit);
        assert!(bound.reason.contains(named), "{}", bound.reason);
    }

    #[test]
    fn only_an_expiry_is_allowed_the_time_to_observe_it() {
        let allowed = |fault: FaultKind| duration_millis(fault.observation_allowance());
        assert_eq!(allowed(FaultKind::Graceful), 0.0);
        assert_eq!(allowed(FaultKind::Crash), 100.0);
        assert_eq!(allowed(FaultKind::CrashLoop), 100.0);
    }

    #[test]
    fn the_name_printed_is_the_name_typed() {
        for fault in FaultKind::value_variants() {
            assert_eq!(fault.to_possible_value().unwrap().get_name(), fault.name());
            assert_eq!(serde_json::to_value(fault).unwrap(), fault.name());
        }
    }
}

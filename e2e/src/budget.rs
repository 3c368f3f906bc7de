//! What the lease configuration promises: for each fault the longest takeover it allows, and why.
//!
//! With D = `LEASE_DURATION_SECONDS`, RD = `LEASE_RENEW_DEADLINE_SECONDS`, RP = `LEASE_RETRY_PERIOD_SECONDS`: a released
//! Lease is taken within RP even by a standby whose watch is dead; a Lease whose holder fell silent is taken when D has
//! passed since its last renewal, never before. The fault comes after that renewal, so D bounds it as well; a standby
//! counts D from when it saw that renewal and then still has to take the Lease, for which it gets
//! [`OBSERVATION_ALLOWANCE`]. A death that can be proven needs no silence: it is followed within [`PROOF_LIMIT`]. Where calls
//! take place slowly or without an answer, the holder is not silent: somebody leads within D + 2 RP of the end of the last
//! term, which ends RD after its last renewal that was acknowledged.

mod fault_kind;

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::{Millis, duration_millis};

pub use fault_kind::{FaultKind, Onset};

/// How much later than D a standby may take an expired Lease: it sees the last renewal a moment after it was made, and
/// when D has passed it reads the Lease once more and writes it.
pub const OBSERVATION_ALLOWANCE: Duration = Duration::from_millis(100);

/// How long a death that can be proven may go without a new leader at work. Not of the lease configuration: kubelet looks
/// at its containers once a second and then reports the one that ended, and after that the take and the first write are
/// a matter of milliseconds. A second more is for a busy node.
pub const PROOF_LIMIT: Duration = Duration::from_secs(2);

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

/// Everything that a takeover is held against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Budget {
    /// From the fault until the Lease names its next holder.
    pub lease: Bound,
    /// From there until the first accepted write.
    pub work: Bound,
    /// From the fault to the first accepted write, where that has a limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Bound>,
}

impl Budget {
    /// The longest time from the fault to the first accepted write.
    pub fn work_limit_ms(&self) -> Millis {
        self.total
            .as_ref()
            .map_or(self.lease.limit_ms + self.work.limit_ms, |total| {
                total.limit_ms
            })
    }
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

    /// What a takeover after `fault` is held against. `provable` says whether the elector is one that can prove a death.
    pub fn budget(&self, fault: FaultKind, provable: bool) -> Budget {
        let proven = provable && matches!(fault, FaultKind::Crash | FaultKind::CrashLoop);
        Budget {
            lease: if proven {
                self.proof_bound()
            } else {
                self.lease_bound(fault)
            },
            work: self.work_bound(),
            total: proven.then(|| self.proof_bound()),
        }
    }

    fn proof_bound(&self) -> Bound {
        Bound {
            limit_ms: duration_millis(PROOF_LIMIT.min(self.duration())),
            reason: format!(
                "kubelet tells within about a second that the leader's process has ended, which is proof of death: \
                 nobody waits for LEASE_DURATION_SECONDS={}",
                self.duration_seconds
            ),
        }
    }

    /// The longest time until the Lease names its next holder, where no death is proven.
    fn lease_bound(&self, fault: FaultKind) -> Bound {
        let (limit, reason) = self.silence_or_release(fault);
        Bound {
            limit_ms: duration_millis(limit),
            reason,
        }
    }

    fn silence_or_release(&self, fault: FaultKind) -> (Duration, String) {
        let (d, rp) = (self.duration_seconds, self.retry_period_seconds);
        let released = |asked: &str| {
            let reason = format!(
                "a leader that is asked to stop{asked} releases the Lease, and a standby looks at least every \
                 LEASE_RETRY_PERIOD_SECONDS={rp}"
            );
            (self.retry_period(), reason)
        };
        let silent = |reason: String| (self.duration(), reason);
        match fault {
            FaultKind::Graceful => released(""),
            FaultKind::RollingUpdate | FaultKind::Scale | FaultKind::Drain => {
                released(", which its pod is seen to be,")
            }
            FaultKind::NodeLoss => silent(format!(
                "a lost node says nothing, neither that the leader's process has ended nor that it goes on: a standby \
                 takes the Lease LEASE_DURATION_SECONDS={d} after it saw the last renewal"
            )),
            FaultKind::Crash => silent(format!(
                "the restarted pod reclaims its own Lease, or a standby takes it LEASE_DURATION_SECONDS={d} after it \
                 saw the last renewal"
            )),
            FaultKind::CrashLoop
            | FaultKind::Zombie
            | FaultKind::Partition
            | FaultKind::LateWrite
            | FaultKind::RenewalsDenied => silent(format!(
                "a standby takes the Lease LEASE_DURATION_SECONDS={d} after it saw the last renewal, which came \
                     before the fault"
            )),
            FaultKind::SlowWebhook => (
                self.duration() + self.retry_period() * 2,
                format!(
                    "renewals take place, so the leader keeps the Lease; where its term ends all the same, another replica \
                     leads LEASE_DURATION_SECONDS={d} + 2 x LEASE_RETRY_PERIOD_SECONDS={rp} after it last worked"
                ),
            ),
            FaultKind::LostAnswers => (
                self.renew_deadline() + self.duration() + self.retry_period() * 2,
                format!(
                    "a term ends LEASE_RENEW_DEADLINE_SECONDS={} after its last answer, which came before the fault, and a \
                     standby leads LEASE_DURATION_SECONDS={d} + 2 x LEASE_RETRY_PERIOD_SECONDS={rp} after that, whatever \
                     the old leader wrote without an answer",
                    self.renew_deadline_seconds
                ),
            ),
            FaultKind::PairCrash => silent(format!(
                "whoever runs first takes the Lease, at the latest LEASE_DURATION_SECONDS={d} after the last renewal"
            )),
            FaultKind::LeaseDeleted => silent(format!(
                "the leader makes the Lease anew when it next renews; without it, its last record is waited out, \
                 LEASE_DURATION_SECONDS={d}"
            )),
            FaultKind::HolderOverwritten => silent(format!(
                "the stranger never renews, so its record expires after LEASE_DURATION_SECONDS={d}"
            )),
            FaultKind::ApiStop => silent(format!(
                "counted from the return of the API server: a renewal that was on its way may have been stored then, \
                 and lasts LEASE_DURATION_SECONDS={d}"
            )),
            FaultKind::RbacRevoked => silent(format!(
                "counted from the return of the rights: whoever first asks again takes the Lease, which has been \
                 silent for LEASE_DURATION_SECONDS={d} at the latest then"
            )),
        }
    }

    /// The longest time from taking the Lease to the first accepted write.
    ///
    /// Not a figure of the lease configuration but the harness's own: a leader that has been given work to do and does
    /// none for a whole retry period leads in name only.
    fn work_bound(&self) -> Bound {
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
    #[case(FaultKind::RollingUpdate, 2_000.0, "LEASE_RETRY_PERIOD_SECONDS=2")]
    #[case(FaultKind::Scale, 2_000.0, "LEASE_RETRY_PERIOD_SECONDS=2")]
    #[case(FaultKind::Drain, 2_000.0, "LEASE_RETRY_PERIOD_SECONDS=2")]
    #[case(FaultKind::NodeLoss, 15_000.0, "a lost node says nothing")]
    #[case(FaultKind::Crash, 15_000.0, "LEASE_DURATION_SECONDS=15")]
    #[case(FaultKind::CrashLoop, 15_000.0, "LEASE_DURATION_SECONDS=15")]
    #[case(FaultKind::PairCrash, 15_000.0, "LEASE_DURATION_SECONDS=15")]
    #[case(FaultKind::Zombie, 15_000.0, "LEASE_DURATION_SECONDS=15")]
    #[case(FaultKind::LateWrite, 15_000.0, "LEASE_DURATION_SECONDS=15")]
    #[case(FaultKind::Partition, 15_000.0, "LEASE_DURATION_SECONDS=15")]
    #[case(FaultKind::RenewalsDenied, 15_000.0, "LEASE_DURATION_SECONDS=15")]
    #[case(FaultKind::LeaseDeleted, 15_000.0, "LEASE_DURATION_SECONDS=15")]
    #[case(FaultKind::HolderOverwritten, 15_000.0, "LEASE_DURATION_SECONDS=15")]
    #[case(FaultKind::ApiStop, 15_000.0, "the return of the API server")]
    #[case(FaultKind::RbacRevoked, 15_000.0, "the return of the rights")]
    #[case(FaultKind::SlowWebhook, 19_000.0, "2 x LEASE_RETRY_PERIOD_SECONDS=2")]
    #[case(FaultKind::LostAnswers, 29_000.0, "LEASE_RENEW_DEADLINE_SECONDS=10")]
    fn each_bound_follows_from_a_named_setting(
        #[case] fault: FaultKind,
        #[case] limit: f64,
        #[case] named: &str,
    ) {
        let bound = SETTINGS.budget(fault, false).lease;
        assert_eq!(bound.limit_ms, limit);
        assert!(bound.reason.contains(named), "{}", bound.reason);
    }

    #[rstest::rstest]
    #[case(FaultKind::Crash, 2_000.0)]
    #[case(FaultKind::CrashLoop, 2_000.0)]
    fn a_death_that_can_be_proven_bounds_the_work_as_well(
        #[case] fault: FaultKind,
        #[case] limit: f64,
    ) {
        let budget = SETTINGS.budget(fault, true);
        assert_eq!(
            (budget.lease.limit_ms, budget.work_limit_ms()),
            (limit, limit)
        );
        assert!(budget.lease.reason.contains("proof of death"));
        assert_eq!(SETTINGS.budget(fault, false).work_limit_ms(), 17_000.0);
    }

    #[test]
    fn a_leader_that_lives_or_falls_silent_can_not_be_proven_dead() {
        for fault in [
            FaultKind::Zombie,
            FaultKind::Partition,
            FaultKind::Graceful,
            FaultKind::NodeLoss,
        ] {
            assert_eq!(SETTINGS.budget(fault, true), SETTINGS.budget(fault, false));
        }
    }

    #[test]
    fn a_proof_is_not_waited_for_longer_than_the_lease_lasts() {
        let short = LeaseSettings {
            duration_seconds: 1,
            ..SETTINGS
        };
        assert_eq!(short.budget(FaultKind::Crash, true).lease.limit_ms, 1_000.0);
    }
}

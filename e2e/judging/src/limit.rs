//! What the lease configuration promises: the longest time that a takeover may take, and why.
//!
//! With D = `LEASE_DURATION_SECONDS`, RD = `LEASE_RENEW_DEADLINE_SECONDS`, RP = `LEASE_RETRY_PERIOD_SECONDS`: a released
//! Lease is taken within RP even by a standby whose watch is dead; a Lease whose holder fell silent is taken when D has
//! passed since its last renewal, never before. The fault comes after that renewal, so D bounds it as well; a standby
//! counts D from when it saw that renewal and then still has to take the Lease, for which it gets
//! [`OBSERVATION_ALLOWANCE`]. A death that can be proven needs no silence: it is followed within [`PROOF_LIMIT`]. Where calls
//! take place slowly or without an answer, the holder is not silent: somebody leads within D + 2 RP of the end of the last
//! term, which ends RD after its last renewal that was acknowledged.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clock::{Millis, duration_millis},
    settings::LeaseSettings,
};

/// How much later than D a standby may take an expired Lease: it sees the last renewal a moment after it was made, and
/// when D has passed it reads the Lease once more and writes it.
pub const OBSERVATION_ALLOWANCE: Duration = Duration::from_millis(100);

/// How long a death that can be proven may go without a new leader at work. Not of the lease configuration: kubelet looks
/// at its containers once a second and then reports the one that ended, and after that the take and the first write are
/// a matter of milliseconds. A second more is for a busy node.
pub const PROOF_LIMIT: Duration = Duration::from_secs(2);

/// The longest time that a phase may take, with its reason.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Bound")]
pub struct Limit {
    /// The limit in milliseconds, without the measuring error.
    pub limit_ms: Millis,
    /// Why it is this long, naming the settings it follows from.
    pub reason: String,
}

/// Everything that a takeover is held against.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Budget")]
pub struct TakeoverLimits {
    /// From the fault until the Lease names its next holder.
    pub lease: Limit,
    /// From there until the first accepted write.
    pub work: Limit,
    /// From the fault to the first accepted write, where that has a limit of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub total: Option<Limit>,
}

impl TakeoverLimits {
    /// The longest time from the fault to the first accepted write.
    pub fn work_limit_ms(&self) -> Millis {
        self.total
            .as_ref()
            .map_or(self.lease.limit_ms + self.work.limit_ms, |total| {
                total.limit_ms
            })
    }
}

impl Limit {
    /// A limit of this length.
    pub fn new(limit: Duration, reason: String) -> Self {
        Self {
            limit_ms: duration_millis(limit),
            reason,
        }
    }

    /// The longest time until a Lease that was released is taken; `asked` says how its leader knew that it had to stop.
    pub(crate) fn of_release(settings: &LeaseSettings, asked: &str) -> Self {
        let reason = format!(
            "a leader that is asked to stop{asked} releases the Lease, and a standby looks at least every \
             LEASE_RETRY_PERIOD_SECONDS={}",
            settings.retry_period_seconds
        );
        Self::new(settings.retry_period(), reason)
    }

    /// The longest time until the Lease of a silent holder is taken; what follows from the lease duration is said by
    /// `reason`, which gets it in seconds.
    pub(crate) fn of_silence(settings: &LeaseSettings, reason: impl FnOnce(u32) -> String) -> Self {
        Self::new(settings.duration(), reason(settings.duration_seconds))
    }

    /// The longest time until a leader whose death can be proven is followed, and until its successor works.
    pub(crate) fn of_proof(settings: &LeaseSettings) -> Self {
        let reason = format!(
            "kubelet tells within about a second that the leader's process has ended, which is proof of death: \
             nobody waits for LEASE_DURATION_SECONDS={}",
            settings.duration_seconds
        );
        Self::new(PROOF_LIMIT.min(settings.duration()), reason)
    }

    /// The longest time from taking the Lease to the first accepted write.
    ///
    /// Not a figure of the lease configuration but the harness's own: a leader that has been given work to do and does
    /// none for a whole retry period leads in name only.
    pub(crate) fn of_work(settings: &LeaseSettings) -> Self {
        let reason = format!(
            "a leader with work waiting writes within one LEASE_RETRY_PERIOD_SECONDS={} of taking the Lease",
            settings.retry_period_seconds
        );
        Self::new(settings.retry_period(), reason)
    }
}

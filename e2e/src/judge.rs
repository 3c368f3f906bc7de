//! Judges a trial: pure, from what was seen to phases and checks.
//!
//! A timing that was missed while the rig itself was slow is INCONCLUSIVE; a timing that was met is met, for a slow rig
//! only makes numbers larger. Writes by a replica without the Lease are a FAIL on any rig: the order of writes does not
//! depend on how fast the harness looks. Evidence that is missing never passes.

mod checks;
mod measure;

pub use measure::{CANARY, CanaryCount, MeasuringError, Phases};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    audit::{ApiCall, ClockMap},
    budget::FaultKind,
    clock::Millis,
    exclusion::{self, Exclusion},
    lease::{self, LeaseSeen},
    takeover::{Reason, Takeover, takeovers},
    trial::{TrialData, TrialId},
    verdict::{Check, Verdict},
};

/// A request of the harness itself that took longer than this shows a rig too slow to be trusted with a missed timing.
pub const LATENCY_LIMIT_MS: Millis = 1000.0;

/// What a trial is judged by, beside its own data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Promise {
    /// Every takeover must be within this, in milliseconds.
    pub within_ms: Millis,
}

/// A judged trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TrialResult {
    /// Which trial.
    pub id: TrialId,
    /// How it came out.
    pub verdict: Verdict,
    /// Why the Lease changed hands, if it did.
    pub reason: Option<Reason>,
    /// The leader before.
    pub old_leader: String,
    /// The leader after, if there is one.
    pub new_leader: Option<String>,
    /// When each phase was reached.
    pub phases: Phases,
    /// By how much these may be wrong.
    pub error: MeasuringError,
    /// What became of the canary's changes.
    pub canary: CanaryCount,
    /// Who wrote without a right to.
    pub exclusion: Exclusion,
    /// Everything that was checked.
    pub checks: Vec<Check>,
}

/// A trial's data with what follows from it.
#[derive(Debug)]
struct Reading<'a> {
    data: &'a TrialData,
    map: Option<ClockMap>,
    error: MeasuringError,
    takeovers: Vec<Takeover>,
    first_write: Option<&'a ApiCall>,
    exclusion: Exclusion,
    canary: CanaryCount,
    phases: Phases,
}

/// Judges one trial.
pub fn judge(data: &TrialData, promise: Promise) -> TrialResult {
    let reading = Reading::of(data);
    let checks = checks::all(&reading, promise);
    let takeover = reading.takeover();
    TrialResult {
        id: data.id,
        verdict: Verdict::of(checks.iter().map(|check| check.verdict)),
        reason: takeover.map(|takeover| takeover.reason),
        old_leader: data.before.holder.clone(),
        new_leader: takeover.map(|takeover| takeover.to.holder.clone()),
        phases: reading.phases,
        error: reading.error,
        canary: reading.canary,
        exclusion: reading.exclusion,
        checks,
    }
}

impl<'a> Reading<'a> {
    fn of(data: &'a TrialData) -> Self {
        let map = ClockMap::measure(&data.own, &data.calls);
        let history = merged_history(data, map.as_ref());
        let error = measure::error(data, &history, map.as_ref());
        let takeovers = takeovers(&history, &data.before, error.total_ms);
        let takeover = principal(data, &takeovers);
        let tenures = exclusion::tenures(&history, &data.calls, map.as_ref());
        let writes: Vec<&ApiCall> = data
            .calls
            .iter()
            .filter(|call| call.user == data.operator && call.accepted() && call.is_work_write())
            .collect();
        let exclusion = exclusion::examine(&writes, takeover, &tenures);
        let first_write =
            takeover.and_then(|takeover| exclusion::first_write(&writes, takeover, &tenures));
        let canary = measure::canary(&data.own, &writes, map.as_ref());
        let phases = measure::phases(data, takeover, first_write, map.as_ref());
        Self {
            data,
            map,
            error,
            takeovers,
            first_write,
            exclusion,
            canary,
            phases,
        }
    }

    /// The takeover that the trial is about.
    fn takeover(&self) -> Option<&Takeover> {
        principal(self.data, &self.takeovers)
    }
}

/// The takeover that the trial is about: the first one, or where the pod is kept down the first one by another pod.
fn principal<'a>(data: &TrialData, takeovers: &'a [Takeover]) -> Option<&'a Takeover> {
    let by_other = || {
        takeovers
            .iter()
            .find(|takeover| takeover.to.holder != data.before.holder)
    };
    match data.id.fault {
        FaultKind::CrashLoop => by_other(),
        FaultKind::Graceful | FaultKind::Crash => takeovers.first(),
    }
}

/// The Lease as watched and as audited, each state at the earlier of the two moments.
///
/// The watch may be late by as much as a busy machine delays it; the audit log names the moment at which the API server
/// had answered the writer. What only one of them saw is part of the history as well.
fn merged_history(data: &TrialData, map: Option<&ClockMap>) -> Vec<LeaseSeen> {
    let mut history = data.leases.clone();
    let Some(map) = map.filter(|map| !map.stepped) else {
        return history;
    };
    for call in data
        .calls
        .iter()
        .filter(|call| call.is_lease() && call.is_write() && call.accepted())
    {
        // Older states belong to the trial before.
        let Some(record) = call
            .lease
            .as_ref()
            .filter(|record| record.resource_version >= data.before.resource_version)
        else {
            continue;
        };
        let at = map.stamp(call.completed);
        lease::insert(
            &mut history,
            LeaseSeen {
                at,
                record: record.clone(),
                deleted: call.verb == "delete",
            },
        );
    }
    history
}

#[cfg(test)]
pub(crate) mod tests;

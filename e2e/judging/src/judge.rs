//! Judges a trial: pure, from what was seen to phases and checks.
//!
//! A timing that was missed while the rig itself was slow is INCONCLUSIVE; a timing that was met is met, for a slow rig
//! only makes numbers larger. Writes by a replica without the Lease are a FAIL on any rig: the order of writes does not
//! depend on how fast the harness looks. Evidence that is missing never passes.

mod checks;
pub mod disruption;
pub mod exclusion;
pub mod idle;
mod measure;
mod reading;
mod result;
pub mod takeover;

pub use exclusion::{Boundary, Exclusion, StrayWrite, Take, Tenure};
pub use takeover::{Evidence, Reason, Takeover};

use reading::Reading;

use crate::{observed::TrialData, verdict::Verdict};

pub use measure::{CanaryCount, MeasuringError, Phases};
pub use reading::merged_history;
pub use result::{LATENCY_LIMIT_MS, Promise, STALL_LIMIT_MS, TrialResult};

/// Judges one trial.
pub fn judge(data: &TrialData, promise: Promise) -> TrialResult {
    let reading = Reading::of(data);
    let checks = checks::all(&reading, promise);
    let takeover = reading.takeover.as_ref();
    TrialResult {
        id: data.id,
        verdict: Verdict::of(checks.iter().map(|check| check.verdict)),
        warm_up: data.warm_up,
        reason: takeover.map(|takeover| takeover.reason),
        old_leader: data.before.holder.clone(),
        new_leader: takeover.map(|takeover| takeover.to.holder.clone()),
        limits: reading.limits,
        phases: reading.phases,
        error: reading.error,
        canary: reading.canary,
        exclusion: reading.exclusion,
        checks,
    }
}

#[cfg(test)]
mod tests;

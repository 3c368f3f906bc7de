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
pub mod takeover;

pub use measure::{CanaryCount, MeasuringError, Phases};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Millis,
    judge::{exclusion::Exclusion, takeover::Reason},
    limit::TakeoverLimits,
    observed::trial::{TrialData, TrialId},
    verdict::{Check, Verdict},
};

pub use reading::merged_history;

use reading::Reading;

/// A request of the harness itself that took longer than this shows a rig too slow to be trusted with a missed timing.
pub const LATENCY_LIMIT_MS: Millis = 1000.0;

/// A harness that waited longer than this for a processor has no timing to be trusted with: as long as a watch may be
/// away.
pub const STALL_LIMIT_MS: Millis = 250.0;

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
    /// Whether it warmed up the cluster: what it took is held against no limit and is part of no figure.
    #[serde(default)]
    pub warm_up: bool,
    /// Why the Lease changed hands, if it did.
    pub reason: Option<Reason>,
    /// The leader before.
    pub old_leader: String,
    /// The leader after, if there is one.
    pub new_leader: Option<String>,
    /// What it is held against.
    #[serde(rename = "budget")]
    pub limits: TakeoverLimits,
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

impl TrialResult {
    /// Whether its times are part of the figures: a trial that warmed up says nothing about the operator's, and one on a
    /// troubled rig says more about the rig.
    pub fn counts(&self) -> bool {
        !self.warm_up && self.verdict != Verdict::Inconclusive
    }
}

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

//! A judged trial.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    exclusion::Exclusion,
    measure::{CanaryCount, MeasuringError, Phases},
    takeover::Reason,
};
use crate::{
    clock::Millis,
    limit::TakeoverLimits,
    observed::TrialId,
    verdict::{Check, Verdict},
};

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

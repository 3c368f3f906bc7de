//! What the parts are told from.

use failover_judging::{
    clock::{Millis, Stamp},
    judge::TrialResult,
    observed::{ClockMap, TrialData},
};

use crate::page::words::Names;

/// What the parts of a view are made from.
pub(super) struct Source<'a> {
    pub(super) data: &'a TrialData,
    pub(super) result: &'a TrialResult,
    pub(super) map: Option<ClockMap>,
    pub(super) names: Names,
}

impl Source<'_> {
    /// Milliseconds from the fault.
    pub(super) fn after(&self, at: Stamp) -> Millis {
        at.since(self.data.strike.issued)
    }

    /// A phase, which counts from the onset, in milliseconds from the fault.
    pub(super) fn phase(&self, phase: Option<Millis>) -> Option<Millis> {
        phase.map(|phase| phase + self.result.phases.onset_ms)
    }
}

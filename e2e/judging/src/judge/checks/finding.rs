//! What the checks have in common: how a finding becomes a check, and when the rig may be to blame for it.

use crate::{
    clock::Millis,
    judge::{
        reading::Reading,
        result::{LATENCY_LIMIT_MS, STALL_LIMIT_MS},
    },
    observed::{OwnCall, RigFault, Unobserved},
    verdict::{Check, CheckId, Verdict},
};

impl Reading<'_> {
    /// Whether there is an audit log to see it by.
    pub(super) fn is_audited(&self) -> bool {
        self.data.observes(Unobserved::Audit)
    }

    fn check(&self, id: CheckId, verdict: Verdict, detail: impl Into<String>) -> Check {
        Check {
            id,
            scope: self.data.id.to_string(),
            verdict,
            detail: detail.into(),
        }
    }

    pub(super) fn pass(&self, id: CheckId, detail: impl Into<String>) -> Check {
        self.check(id, Verdict::Pass, detail)
    }

    pub(super) fn fail(&self, id: CheckId, detail: impl Into<String>) -> Check {
        self.check(id, Verdict::Fail, detail)
    }

    pub(super) fn inconclusive(&self, id: CheckId, detail: impl Into<String>) -> Check {
        self.check(id, Verdict::Inconclusive, detail)
    }

    pub(super) fn slowest_own_call_ms(&self) -> Millis {
        self.data
            .own
            .iter()
            .filter(|own| !self.is_by_fault(own))
            .map(OwnCall::latency_ms)
            .fold(0.0, f64::max)
    }

    pub(super) fn longest_stall_ms(&self) -> Millis {
        let stalls = self.data.stalls.iter();
        stalls.map(|stall| stall.lasted_ms).fold(0.0, f64::max)
    }

    /// Whether a request of the harness met the API server while the fault had stopped it.
    pub(super) fn is_by_fault(&self, own: &OwnCall) -> bool {
        self.data.was_stopped_between(own.sent, own.answered)
    }

    /// What went wrong with the rig, without what the fault did to it.
    pub(super) fn rig_faults(&self) -> impl Iterator<Item = &RigFault> {
        let stops_api = self.data.id.fault.entry().stops_api;
        self.data
            .rig
            .iter()
            .filter(move |fault| !(stops_api && matches!(fault, RigFault::WatchGap { .. })))
    }

    /// Why a missed timing may be the rig's fault.
    pub(super) fn rig_trouble(&self) -> Option<String> {
        let slowest = self.slowest_own_call_ms();
        if slowest > LATENCY_LIMIT_MS {
            return Some(format!(
                "a request of the harness itself took {slowest:.0} ms (limit {LATENCY_LIMIT_MS:.0} ms)"
            ));
        }
        let stalled = self.longest_stall_ms();
        if stalled > STALL_LIMIT_MS {
            return Some(format!(
                "the harness itself waited {stalled:.0} ms for a processor (limit {STALL_LIMIT_MS:.0} ms)"
            ));
        }
        if self.is_audited() && self.map.is_none_or(|map| map.stepped) {
            return Some("the API server's wall clock could not be followed".to_owned());
        }
        self.rig_faults().next().map(ToString::to_string)
    }

    /// A timing: missed is a FAIL on a sound rig and INCONCLUSIVE on a troubled one.
    pub(super) fn timing(&self, id: CheckId, kept: bool, detail: impl Into<String>) -> Check {
        match self.rig_trouble() {
            _ if kept => self.pass(id, detail),
            None => self.fail(id, detail),
            Some(trouble) => self.inconclusive(id, format!("{}; but {trouble}", detail.into())),
        }
    }

    /// From the last blow that the old leader got to the takeover; endless when there is none.
    pub(super) fn lease_failover_ms(&self) -> Millis {
        self.phases
            .lease_since_last_blow_ms
            .unwrap_or(f64::INFINITY)
    }
}

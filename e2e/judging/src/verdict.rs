//! Checks and the verdict that follows from them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::named::named;

named! {
    "UPPERCASE",
    /// How a run, or one of its checks, came out.
    pub enum Verdict {
        /// What was promised was seen.
        Pass,
        /// The rig was at fault: nothing can be said about the operator.
        Inconclusive,
        /// The operator broke a promise.
        Fail,
    }
}

named! {
    "kebab-case",
    /// What is checked. The names are part of the report's format.
    pub enum CheckId {
        /// There is a standby that could take over.
        Standby,
        /// The worst case that the lease configuration allows is within what was promised.
        WorstCase,
        /// The Lease has the duration that the Deployment is configured with.
        LeaseDuration,
        /// The system settles: replicas ready, one leader, work flowing.
        SteadyState,
        /// When nothing changes, the leader renews and nobody writes.
        Idle,
        /// The disruption budget lets the right evictions pass and refuses the rest.
        DisruptionBudget,
        /// Another term began after the fault, exactly once.
        Takeover,
        /// The Lease changed hands for a reason.
        Reason,
        /// The Lease changed hands within the bound of the fault.
        LeaseFailover,
        /// The new leader's first write came within its bound.
        WorkFailover,
        /// The takeover was within what was promised.
        Within,
        /// The old leader did not write after the new one.
        Overlap,
        /// Only the holder of the Lease wrote.
        OnlyHolderWrites,
        /// A leader that could not renew stopped working by its renew deadline.
        SteppedDown,
        /// Somebody led all the while, but for the time that one takeover may take.
        Led,
        /// The old leader lived through a fault that gave it no reason to end.
        Survived,
        /// The disruption budget let every replica of the drained node go.
        Drained,
        /// A limit that the user gave is kept.
        Gate,
        /// A figure is known as well as the user asked.
        Precision,
        /// It is no slower than the run that the user compares with.
        Regression,
        /// Lease and metrics agree on one leader.
        OneLeader,
        /// No change of the canary was lost.
        Canary,
        /// Replicas and disruption budget were restored.
        Restored,
        /// The rig saw what it needs to see.
        Evidence,
    }
}

/// One thing that was checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Check {
    /// What.
    pub id: CheckId,
    /// Where: the trial or the part of the run.
    pub scope: String,
    /// How it came out.
    pub verdict: Verdict,
    /// What was seen, against what, and why that is the limit.
    pub detail: String,
}

impl Verdict {
    /// The verdict of many: a broken promise outweighs a broken rig, which outweighs success.
    ///
    /// Nothing checked is nothing shown.
    pub fn of(checks: impl IntoIterator<Item = Self>) -> Self {
        checks.into_iter().max().unwrap_or(Self::Inconclusive)
    }

    /// The process's exit code.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Pass => 0,
            Self::Fail => 1,
            Self::Inconclusive => 3,
        }
    }
}

impl Check {
    /// A promise that was kept.
    pub fn pass(id: CheckId, scope: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            id,
            scope: scope.into(),
            verdict: Verdict::Pass,
            detail: detail.into(),
        }
    }

    /// A promise that was broken.
    pub fn fail(id: CheckId, scope: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            id,
            scope: scope.into(),
            verdict: Verdict::Fail,
            detail: detail.into(),
        }
    }

    /// A promise that could not be looked at.
    pub fn inconclusive(id: CheckId, scope: impl Into<String>, detail: impl Into<String>) -> Self {
        Self {
            id,
            scope: scope.into(),
            verdict: Verdict::Inconclusive,
            detail: detail.into(),
        }
    }

    /// Passes or fails by `kept`.
    pub fn of(
        id: CheckId,
        scope: impl Into<String>,
        kept: bool,
        detail: impl Into<String>,
    ) -> Self {
        if kept {
            Self::pass(id, scope, detail)
        } else {
            Self::fail(id, scope, detail)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_promise_outweighs_a_broken_rig() {
        assert_eq!(
            Verdict::of([Verdict::Pass, Verdict::Inconclusive, Verdict::Fail]),
            Verdict::Fail
        );
        assert_eq!(
            Verdict::of([Verdict::Pass, Verdict::Inconclusive]),
            Verdict::Inconclusive
        );
        assert_eq!(Verdict::of([Verdict::Pass]), Verdict::Pass);
    }

    #[test]
    fn nothing_checked_is_no_pass() {
        assert_eq!(Verdict::of([]), Verdict::Inconclusive);
    }

    #[test]
    fn a_check_prints_the_name_that_the_report_holds() {
        for id in [
            CheckId::Standby,
            CheckId::OnlyHolderWrites,
            CheckId::LeaseFailover,
            CheckId::Evidence,
        ] {
            assert_eq!(serde_json::to_value(id).unwrap(), id.to_string());
        }
    }
}

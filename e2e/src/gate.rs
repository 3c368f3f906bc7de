//! Limits that the user gives: `--fail-if 'crash.work.p50>1s'`.
//!
//! A gate names a fault, a phase, a percentile over all trials of that fault, and what must not be. It reads as a
//! sentence: fail if the median work failover of a crash is more than a second. Gates look at results only, so a report
//! can be gated again without a cluster.

use std::{str::FromStr, time::Duration};

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    budget::FaultKind,
    clock::{Millis, duration_millis},
    judge::TrialResult,
    percentile::Summary,
    verdict::{Check, CheckId},
};

/// From this many trials on the p95 is another than the maximum.
const ENOUGH_FOR_P95: usize = 20;

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    text: String,
    fault: FaultKind,
    phase: Phase,
    statistic: Statistic,
    relation: Relation,
    limit: Duration,
}

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize, Deserialize, JsonSchema)]
enum Phase {
    /// Lease failover.
    Lease,
    /// Work failover.
    Work,
    /// Release to the next holder.
    Release,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Statistic {
    P50,
    P95,
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Relation {
    Above,
    AtLeast,
    Below,
    AtMost,
}

/// Why a text is no gate.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GateError {
    /// It does not have the parts.
    #[error(
        "must be FAULT.PHASE.STATISTIC, one of > >= < <=, and a time, such as crash.work.p95>2s"
    )]
    Shape,
    /// A part is none of the words for it.
    #[error("{found:?} is no {part}: it is one of {known}")]
    Word {
        /// Which part.
        part: &'static str,
        /// What stands there.
        found: String,
        /// What may stand there.
        known: String,
    },
    /// The time can't be read.
    #[error("{found:?} is no time, such as 500ms or 2s: {why}")]
    Time {
        /// What stands there.
        found: String,
        /// Why not.
        why: String,
    },
}

impl FromStr for Gate {
    type Err = GateError;

    fn from_str(text: &str) -> Result<Self, GateError> {
        let at = text.find(['<', '>']).ok_or(GateError::Shape)?;
        let (name, rest) = text.split_at(at);
        let relations = [
            (">=", Relation::AtLeast),
            ("<=", Relation::AtMost),
            (">", Relation::Above),
            ("<", Relation::Below),
        ];
        let (relation, time) = relations
            .into_iter()
            .find_map(|(sign, relation)| Some((relation, rest.strip_prefix(sign)?)))
            .ok_or(GateError::Shape)?;
        let parts: Vec<&str> = name.split('.').map(str::trim).collect();
        let [fault, phase, statistic] = parts.as_slice() else {
            return Err(GateError::Shape);
        };
        Ok(Self {
            text: text.to_owned(),
            fault: word("fault", fault)?,
            phase: word("phase", phase)?,
            statistic: word("statistic", statistic)?,
            relation,
            limit: humantime::parse_duration(time.trim()).map_err(|why| GateError::Time {
                found: time.trim().to_owned(),
                why: why.to_string(),
            })?,
        })
    }
}

fn word<T: ValueEnum>(part: &'static str, found: &str) -> Result<T, GateError> {
    T::from_str(found, false).map_err(|_| {
        let known = T::value_variants().iter().filter_map(T::to_possible_value);
        let known: Vec<String> = known.map(|value| value.get_name().to_owned()).collect();
        GateError::Word {
            part,
            found: found.to_owned(),
            known: known.join(", "),
        }
    })
}

impl Gate {
    /// The fault that it is about.
    pub fn fault(&self) -> FaultKind {
        self.fault
    }

    /// Whether `trials` keep it. Without a value there is nothing to say.
    pub fn check(&self, trials: &[TrialResult]) -> Check {
        let scope = format!("--fail-if {}", self.text);
        let values = trials
            .iter()
            .filter(|trial| trial.id.fault == self.fault)
            .filter_map(|trial| self.phase.of(trial));
        let Some(summary) = Summary::of(values) else {
            let detail = format!("no trial of {} has a value for it", self.fault);
            return Check::inconclusive(CheckId::Gate, scope, detail);
        };
        let value = self.statistic.of(&summary);
        let broken = self.relation.holds(value, duration_millis(self.limit));
        let few = match self.statistic {
            Statistic::P95 if summary.n < ENOUGH_FOR_P95 => " (with so few the p95 is the maximum)",
            _ => "",
        };
        let detail = format!("it is {value:.1} ms, of {} trials{few}", summary.n);
        Check::of(CheckId::Gate, scope, !broken, detail)
    }
}

impl std::fmt::Display for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.text)
    }
}

impl Phase {
    fn of(self, trial: &TrialResult) -> Option<Millis> {
        match self {
            Self::Lease => trial.phases.lease_ms,
            Self::Work => trial.phases.work_ms,
            Self::Release => trial.phases.release_to_holder_ms,
        }
    }
}

impl Statistic {
    fn of(self, summary: &Summary) -> Millis {
        match self {
            Self::P50 => summary.p50_ms,
            Self::P95 => summary.p95_ms,
            Self::Max => summary.max_ms,
        }
    }
}

impl Relation {
    fn holds(self, value: Millis, limit: Millis) -> bool {
        match self {
            Self::Above => value > limit,
            Self::AtLeast => value >= limit,
            Self::Below => value < limit,
            Self::AtMost => value <= limit,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{report::tests::report, verdict::Verdict};

    fn verdict(gate: &str) -> Verdict {
        gate.parse::<Gate>()
            .unwrap()
            .check(&report().trials)
            .verdict
    }

    #[rstest::rstest]
    #[case("graceful.lease.max>200ms", Verdict::Pass)]
    #[case("graceful.lease.max>100ms", Verdict::Fail)]
    #[case("graceful.lease.p50<1s", Verdict::Fail)]
    #[case("crash-loop.lease.max<=14.2s", Verdict::Fail)]
    #[case("crash-loop.lease.max<14200ms", Verdict::Pass)]
    #[case("zombie.lease.p50>1s", Verdict::Inconclusive)]
    fn a_gate_fails_if_what_it_says_is_so(#[case] gate: &str, #[case] expected: Verdict) {
        assert_eq!(verdict(gate), expected);
    }

    #[test]
    fn a_p95_of_few_trials_says_what_it_is() {
        let gate: Gate = "graceful.lease.p95>1s".parse().unwrap();
        assert!(
            gate.check(&report().trials)
                .detail
                .contains("the p95 is the maximum")
        );
    }

    #[rstest::rstest]
    #[case("crash.work.p50", "crash.work.p95>2s")]
    #[case("crash.p50>1s", "FAULT.PHASE.STATISTIC")]
    #[case("crash.work.p50=1s", "one of > >= < <=")]
    #[case("meteor.work.p50>1s", "\"meteor\" is no fault")]
    #[case("crash.sleep.p50>1s", "lease, work, release")]
    #[case("crash.work.p51>1s", "p50, p95, max")]
    #[case("crash.work.p50>soon", "\"soon\" is no time")]
    fn what_is_wrong_is_named(#[case] text: &str, #[case] named: &str) {
        let error = text.parse::<Gate>().unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

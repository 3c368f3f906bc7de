//! Limits that the user gives: `--fail-if 'crash.work.p50>1s'`.
//!
//! A gate names a fault, a phase, a percentile over all trials of that fault, and what must not be. It reads as a
//! sentence: fail if the median work failover of a crash is more than a second. Gates look at results only, so a report
//! can be gated again without a cluster.

use std::{str::FromStr, time::Duration};

use crate::{
    clock::{Millis, duration_millis},
    fault::FaultKind,
    judge::TrialResult,
    statistics::{Figure, FigureError, Summary, figure},
    verdict::{Check, CheckId},
};

/// One limit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    text: String,
    figure: Figure,
    relation: Relation,
    limit: Duration,
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
    /// A part can't be read.
    #[error(transparent)]
    Part(#[from] FigureError),
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
        Ok(Self {
            text: text.to_owned(),
            figure: name.parse()?,
            relation,
            limit: figure::time(time)?,
        })
    }
}

impl Gate {
    /// The fault that it is about.
    pub fn fault(&self) -> FaultKind {
        self.figure.fault
    }

    /// Whether `trials` keep it. Without a value there is nothing to say.
    pub fn check(&self, trials: &[TrialResult]) -> Check {
        let scope = format!("--fail-if {}", self.text);
        let Figure {
            fault,
            phase,
            statistic,
        } = self.figure;
        let values = trials
            .iter()
            .filter(|trial| trial.id.fault == fault && trial.counts())
            .filter_map(|trial| phase.of(trial));
        let Some(summary) = Summary::of(values) else {
            let detail = format!("no trial of {fault} has a value for it");
            return Check::inconclusive(CheckId::Gate, scope, detail);
        };
        let value = statistic.of(&summary);
        let broken = self.relation.holds(value, duration_millis(self.limit));
        let precision = match (statistic.interval(&summary), statistic.too_few(summary.n)) {
            (Some(interval), _) => format!(" (interval {interval})"),
            (None, Some(few)) => format!(" ({few})"),
            (None, None) => String::new(),
        };
        let detail = format!("it is {value:.1} ms, of {} trials{precision}", summary.n);
        Check::of(CheckId::Gate, scope, !broken, detail)
    }
}

impl std::fmt::Display for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.text)
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
    use crate::{samples::report, verdict::Verdict};

    fn check(gate: &str, trials: &[TrialResult]) -> Check {
        gate.parse::<Gate>().unwrap().check(trials)
    }

    #[rstest::rstest]
    #[case("graceful.lease.max>200ms", Verdict::Pass)]
    #[case("graceful.lease.max>100ms", Verdict::Fail)]
    #[case("graceful.lease.p50<1s", Verdict::Fail)]
    #[case("crash-loop.lease.max<=14.2s", Verdict::Fail)]
    #[case("crash-loop.lease.max<14200ms", Verdict::Pass)]
    #[case("zombie.lease.p50>1s", Verdict::Inconclusive)]
    fn a_gate_fails_if_what_it_says_is_so(#[case] gate: &str, #[case] expected: Verdict) {
        assert_eq!(check(gate, &report().trials).verdict, expected);
    }

    #[test]
    fn a_p95_of_few_trials_says_what_it_is() {
        let check = check("graceful.lease.p95>1s", &report().trials);
        assert!(check.detail.contains("the p95 is the maximum"), "{check:?}");
    }

    #[test]
    fn a_warm_up_and_a_trial_on_a_troubled_rig_do_not_count() {
        let mut trials = report().trials;
        trials[0].warm_up = true;
        let detail = check("graceful.lease.max>1s", &trials).detail;
        assert!(detail.contains("180.0 ms, of 1 trials"), "{detail}");
        trials[1].verdict = Verdict::Inconclusive;
        let verdict = check("graceful.lease.max>1s", &trials).verdict;
        assert_eq!(verdict, Verdict::Inconclusive);
    }

    #[rstest::rstest]
    #[case("crash.work.p50", "crash.work.p95>2s")]
    #[case("crash.p50>1s", "FAULT.PHASE.STATISTIC")]
    #[case("crash.work.p50=1s", "one of > >= < <=")]
    #[case("meteor.work.p50>1s", "\"meteor\" is no fault")]
    #[case("crash.work.p50>soon", "\"soon\" is no time")]
    fn what_is_wrong_is_named(#[case] text: &str, #[case] named: &str) {
        let error = text.parse::<Gate>().unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

//! How many trials of a fault are made: as many as are asked for, and more until a figure is known well enough.
//!
//! `--until-confident 'crash.work.p50<=50ms'` goes on until the confidence interval of the median work failover after a
//! crash is at most 50 ms to either side, with each number of replicas by itself. To look at the values before deciding
//! to go on makes an interval a little too sure of itself; `--max-trials` ends it either way, and then the report says
//! that it is not known well enough.

use std::{str::FromStr, time::Duration};

use crate::{
    clock::{Millis, duration_millis},
    fault::FaultKind,
    judge::TrialResult,
    statistics::{Figure, FigureError, Summary, figure, percentile},
    verdict::{Check, CheckId},
};

/// How many trials are made at most, unless the user says otherwise: what the p95 takes, and as much again.
pub const MAX_TRIALS: u32 = 120;

/// A figure, and how well it is to be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Goal {
    text: String,
    figure: Figure,
    half_width: Duration,
}

/// How many trials are made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Precision {
    /// Trials of each fault that are left out of the figures, before those that count.
    pub warm_up: u32,
    /// Trials of each fault that count, at least.
    pub trials: u32,
    /// Trials of each fault that count, at most.
    pub max_trials: u32,
    /// How well figures are to be known.
    pub goals: Vec<Goal>,
}

/// Why a text is no goal.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum GoalError {
    /// It does not have the parts.
    #[error(
        "must be FAULT.PHASE.STATISTIC, <= and half of the interval's length, such as crash.work.p50<=50ms"
    )]
    Shape,
    /// The maximum has no interval.
    #[error("the maximum has no confidence interval: ask for p50 or p95")]
    Maximum,
    /// A part can't be read.
    #[error(transparent)]
    Part(#[from] FigureError),
}

/// Why a goal can't be reached.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message names each field")]
pub enum Unreachable {
    #[error("--until-confident {goal}: the fault {fault} is not among --faults", fault = .goal.fault())]
    NotTried { goal: Goal },
    #[error(
        "--until-confident {goal}: an interval takes {needed} trials, more than --max-trials {max_trials}"
    )]
    TooFew {
        goal: Goal,
        needed: usize,
        max_trials: u32,
    },
    #[error("--max-trials {max_trials}: is less than --trials {trials}")]
    Bounds { trials: u32, max_trials: u32 },
}

impl FromStr for Goal {
    type Err = GoalError;

    fn from_str(text: &str) -> Result<Self, GoalError> {
        let (name, time) = text.split_once("<=").ok_or(GoalError::Shape)?;
        let figure: Figure = name.parse()?;
        if figure.statistic.percent().is_none() {
            return Err(GoalError::Maximum);
        }
        Ok(Self {
            text: text.to_owned(),
            figure,
            half_width: figure::time(time)?,
        })
    }
}

impl Goal {
    /// The fault that it is about.
    pub fn fault(&self) -> FaultKind {
        self.figure.fault
    }

    /// Whether the figure is known well enough from `trials`, with this number of replicas.
    pub fn is_met(&self, trials: &[TrialResult], replicas: u32) -> bool {
        let interval = self
            .summary(trials, replicas)
            .and_then(|summary| self.figure.statistic.interval(&summary));
        interval.is_some_and(|interval| interval.half_width_ms() <= self.limit_ms())
    }

    /// Whether it was met, with the interval. What is not known well enough is no fault of the operator.
    pub fn check(&self, trials: &[TrialResult], replicas: u32) -> Check {
        let scope = format!("--until-confident {}, {replicas} replicas", self.text);
        let Some(summary) = self.summary(trials, replicas) else {
            let detail = format!("no trial of {} has a value for it", self.fault());
            return Check::inconclusive(CheckId::Precision, scope, detail);
        };
        let Some(interval) = self.figure.statistic.interval(&summary) else {
            let few = self.figure.statistic.too_few(summary.n).unwrap_or_default();
            return Check::inconclusive(CheckId::Precision, scope, few);
        };
        let detail = format!(
            "{} is {:.1} ms, interval {interval}, ±{:.1} ms from n={}",
            self.figure,
            self.figure.statistic.of(&summary),
            interval.half_width_ms(),
            summary.n
        );
        if interval.half_width_ms() <= self.limit_ms() {
            Check::pass(CheckId::Precision, scope, detail)
        } else {
            let detail = format!("{detail}: not known well enough");
            Check::inconclusive(CheckId::Precision, scope, detail)
        }
    }

    fn limit_ms(&self) -> Millis {
        duration_millis(self.half_width)
    }

    fn summary(&self, trials: &[TrialResult], replicas: u32) -> Option<Summary> {
        let own = trials.iter().filter(|trial| {
            trial.counts() && trial.id.replicas == replicas && trial.id.fault == self.fault()
        });
        Summary::of(own.filter_map(|trial| self.figure.phase.of(trial)))
    }
}

impl Precision {
    /// Refuses goals that can't be reached.
    pub fn require(&self, faults: &[FaultKind]) -> Result<(), Unreachable> {
        let max_trials = self.max_trials;
        if max_trials < self.trials {
            return Err(Unreachable::Bounds {
                trials: self.trials,
                max_trials,
            });
        }
        for goal in &self.goals {
            if !faults.contains(&goal.fault()) {
                return Err(Unreachable::NotTried { goal: goal.clone() });
            }
            let needed = goal
                .figure
                .statistic
                .percent()
                .map_or(0, percentile::enough);
            if usize::try_from(max_trials).is_ok_and(|max_trials| max_trials < needed) {
                return Err(Unreachable::TooFew {
                    goal: goal.clone(),
                    needed,
                    max_trials,
                });
            }
        }
        Ok(())
    }

    /// Whether one more trial is due after `done` that count.
    pub fn wants_another(
        &self,
        replicas: u32,
        fault: FaultKind,
        done: u32,
        trials: &[TrialResult],
    ) -> bool {
        let mut goals = self.goals.iter().filter(|goal| goal.fault() == fault);
        done < self.trials
            || (done < self.max_trials && goals.any(|goal| !goal.is_met(trials, replicas)))
    }
}

impl std::fmt::Display for Goal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{judge::Reason, samples::trial, verdict::Verdict};

    /// Trials whose lease failovers lie `step` ms apart.
    fn trials(n: u32, step: f64) -> Vec<TrialResult> {
        let at = |number| {
            let lease_ms = 100.0 + step * f64::from(number);
            trial(2, FaultKind::Crash, number, lease_ms, Reason::Proof)
        };
        (1..=n).map(at).collect()
    }

    fn goal(text: &str) -> Goal {
        text.parse().unwrap()
    }

    fn precision(goals: &[&str], trials: u32, max_trials: u32) -> Precision {
        Precision {
            warm_up: 0,
            trials,
            max_trials,
            goals: goals.iter().map(|text| goal(text)).collect(),
        }
    }

    #[rstest::rstest]
    #[case(5, 1.0, false)]
    #[case(6, 1.0, true)]
    #[case(6, 5.0, false)]
    #[case(40, 1.0, true)]
    fn trials_go_on_until_the_interval_is_narrow_enough(
        #[case] n: u32,
        #[case] step: f64,
        #[case] met: bool,
    ) {
        let trials = trials(n, step);
        let precision = precision(&["crash.lease.p50<=10ms"], 3, 50);
        assert_eq!(precision.goals[0].is_met(&trials, 2), met);
        assert_eq!(
            precision.wants_another(2, FaultKind::Crash, n, &trials),
            !met
        );
        assert!(
            precision.wants_another(3, FaultKind::Crash, n, &trials),
            "each by itself"
        );
        assert!(!precision.wants_another(2, FaultKind::Graceful, n, &trials));
    }

    #[test]
    fn the_trials_asked_for_are_always_made_and_never_more_than_allowed() {
        let narrow = trials(10, 0.0);
        let wide = trials(10, 100.0);
        let precision = precision(&["crash.lease.p50<=10ms"], 10, 12);
        let wants = |done, trials: &[_]| precision.wants_another(2, FaultKind::Crash, done, trials);
        assert!(wants(9, &narrow) && !wants(10, &narrow));
        assert!(wants(11, &wide) && !wants(12, &wide));
    }

    #[test]
    fn what_is_not_known_well_enough_is_inconclusive_and_says_how_well_it_is_known() {
        let goal = goal("crash.lease.p50<=10ms");
        let check = goal.check(&trials(6, 5.0), 2);
        assert_eq!(check.verdict, Verdict::Inconclusive);
        assert!(check.detail.contains("±12.5 ms from n=6"), "{check:?}");
        let few = goal.check(&trials(5, 5.0), 2);
        assert!(few.detail.contains("takes 6 trials"), "{few:?}");
        assert_eq!(goal.check(&trials(6, 1.0), 2).verdict, Verdict::Pass);
        assert_eq!(goal.check(&[], 2).verdict, Verdict::Inconclusive);
    }

    #[rstest::rstest]
    #[case("crash.work.p50<50ms", "such as crash.work.p50<=50ms")]
    #[case("crash.work.max<=50ms", "ask for p50 or p95")]
    #[case("meteor.work.p50<=50ms", "\"meteor\" is no fault")]
    #[case("crash.work.p50<=soon", "\"soon\" is no time")]
    fn what_is_wrong_is_named(#[case] text: &str, #[case] named: &str) {
        let error = text.parse::<Goal>().unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }

    #[rstest::rstest]
    #[case(&["crash.work.p50<=1s"], 3, 2, "--max-trials 2")]
    #[case(&["graceful.work.p50<=1s"], 3, 60, "graceful is not among --faults")]
    #[case(&["crash.work.p95<=1s"], 3, 58, "takes 59 trials")]
    fn a_goal_that_can_not_be_reached_is_refused(
        #[case] goals: &[&str],
        #[case] trials: u32,
        #[case] max_trials: u32,
        #[case] named: &str,
    ) {
        let refused = precision(goals, trials, max_trials).require(&[FaultKind::Crash]);
        let error = refused.unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
        assert_eq!(
            precision(&["crash.work.p95<=1s"], 3, 59).require(&[FaultKind::Crash]),
            Ok(())
        );
    }
}

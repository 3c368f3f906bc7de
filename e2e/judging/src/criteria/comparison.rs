//! Two runs side by side: for each number of replicas, fault and phase the two samples, and whether they differ by more
//! than noise.
//!
//! Differing is judged by the ranks of the raw values ([`crate::statistics::rank_test`]) and not by the medians alone, which
//! two runs of the very same operator never have in common. Every pair of samples is one more chance of a false alarm, so
//! the probabilities are corrected for how many there are.

use crate::{
    clock::Millis,
    fault::FaultKind,
    judge::TrialResult,
    report::Report,
    statistics::{
        Phase, Summary,
        rank_test::{attainable, corrected, larger},
    },
};

/// The chance, at most, of one false alarm among all comparisons of two runs of equal operators.
pub const ALPHA: f64 = 0.05;

/// All comparisons of two runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparisons {
    /// Each pair of samples that both runs have.
    pub pairs: Vec<Pair>,
    /// What only one run has.
    pub unmatched: Vec<Unmatched>,
}

/// One phase after one fault that only one run has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unmatched {
    /// How many replicas.
    pub replicas: u32,
    /// Which fault.
    pub fault: FaultKind,
    /// What is timed.
    pub phase: Phase,
    /// Whether it is the later run that has it.
    pub is_new: bool,
}

/// One phase after one fault in two runs.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// How many replicas.
    pub replicas: u32,
    /// Which fault.
    pub fault: FaultKind,
    /// What is timed.
    pub phase: Phase,
    /// In the earlier run.
    pub before: Sample,
    /// In the later run.
    pub after: Sample,
    /// The probability of ranks this high in the later run if nothing had changed, corrected for all comparisons.
    pub slower: f64,
    /// The same of ranks this low.
    pub faster: f64,
    /// Whether there are enough trials that a difference could have shown.
    pub can_tell: bool,
}

/// What a run has for one phase after one fault.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Every value, in milliseconds.
    pub values: Vec<Millis>,
    /// Their summary.
    pub summary: Summary,
    /// The largest measuring error of these trials.
    pub error_ms: Millis,
}

/// What can be said of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, strum::Display)]
#[strum(serialize_all = "lowercase")]
pub enum Difference {
    /// The later run is slower.
    Slower,
    /// The later run is faster.
    Faster,
    /// There is none that noise would not explain.
    Noise,
    /// There are too few trials to say.
    #[strum(to_string = "too few")]
    TooFew,
}

impl Comparisons {
    /// Compares each sample of `after` with its like in `before`.
    pub fn of(before: &Report, after: &Report) -> Self {
        let mut pairs: Vec<Pair> = Vec::new();
        let mut unmatched = Vec::new();
        for (replicas, fault) in groups(&before.trials, &after.trials) {
            for phase in [Phase::Lease, Phase::Work, Phase::Release] {
                let sample = |report: &Report| Sample::of(&report.trials, replicas, fault, phase);
                match (sample(before), sample(after)) {
                    (Some(before), Some(after)) => {
                        pairs.push(Pair::new(replicas, fault, phase, before, after));
                    }
                    (None, None) => {}
                    // A release before a kill is chance: now one run has it, now the other.
                    _ if phase == Phase::Release && fault.entry().kills() => {}
                    (earlier, _) => unmatched.push(Unmatched {
                        replicas,
                        fault,
                        phase,
                        is_new: earlier.is_none(),
                    }),
                }
            }
        }
        let correct = |probability: &dyn Fn(&Pair) -> f64| {
            corrected(&pairs.iter().map(probability).collect::<Vec<_>>())
        };
        let slower = correct(&|pair| pair.slower);
        let faster = correct(&|pair| pair.faster);
        let many = pairs.len();
        for (pair, (slower, faster)) in pairs.iter_mut().zip(slower.into_iter().zip(faster)) {
            pair.can_tell = can_tell(pair.after.summary.n, pair.before.summary.n, many);
            (pair.slower, pair.faster) = (slower, faster);
        }
        Self { pairs, unmatched }
    }

    /// How many trials in each of two runs it takes that a difference can show.
    pub fn trials_needed(&self) -> usize {
        let many = self.pairs.len();
        // So many are enough for more comparisons than a machine can hold.
        let enough = 64;
        let needed = (1..enough).find(|trials| can_tell(*trials, *trials, many));
        needed.unwrap_or(enough)
    }
}

/// Whether a difference as clear as these numbers of trials allow would count, among so many comparisons.
fn can_tell(after: usize, before: usize, many: usize) -> bool {
    let many = u32::try_from(many).map_or(f64::INFINITY, f64::from);
    // The last digit of a fraction decides nothing.
    attainable(after, before) * many <= ALPHA * (1.0 + 1e-9)
}

/// The groups of two runs, in order of first appearance.
fn groups(before: &[TrialResult], after: &[TrialResult]) -> Vec<(u32, FaultKind)> {
    let mut groups = Vec::new();
    for trial in after.iter().chain(before) {
        let key = (trial.id.replicas, trial.id.fault);
        if !groups.contains(&key) {
            groups.push(key);
        }
    }
    groups
}

impl Sample {
    fn of(trials: &[TrialResult], replicas: u32, fault: FaultKind, phase: Phase) -> Option<Self> {
        let own: Vec<&TrialResult> = trials
            .iter()
            .filter(|trial| {
                trial.counts() && trial.id.replicas == replicas && trial.id.fault == fault
            })
            .collect();
        let values: Vec<Millis> = own.iter().filter_map(|trial| phase.of(trial)).collect();
        let errors = own.iter().map(|trial| trial.error.total_ms);
        Some(Self {
            summary: Summary::of(values.iter().copied())?,
            values,
            error_ms: errors.fold(0.0, f64::max),
        })
    }
}

impl Pair {
    fn new(replicas: u32, fault: FaultKind, phase: Phase, before: Sample, after: Sample) -> Self {
        Self {
            replicas,
            fault,
            phase,
            // Neither sample is empty.
            slower: larger(&after.values, &before.values).unwrap_or(1.0),
            faster: larger(&before.values, &after.values).unwrap_or(1.0),
            can_tell: false,
            before,
            after,
        }
    }

    /// By how much the median became larger, in milliseconds.
    pub fn shift_ms(&self) -> Millis {
        self.after.summary.p50_ms - self.before.summary.p50_ms
    }

    /// The ratio of the medians; `None` where the earlier one is not above 0.
    pub fn ratio(&self) -> Option<f64> {
        let before = self.before.summary.p50_ms;
        (before > 0.0).then(|| self.after.summary.p50_ms / before)
    }

    /// By how much the medians may differ by measuring alone.
    pub fn error_ms(&self) -> Millis {
        self.before.error_ms + self.after.error_ms
    }

    /// What can be said, looking for a difference to either side.
    pub fn difference(&self) -> Difference {
        if self.slower * 2.0 <= ALPHA {
            Difference::Slower
        } else if self.faster * 2.0 <= ALPHA {
            Difference::Faster
        } else if self.can_tell {
            Difference::Noise
        } else {
            Difference::TooFew
        }
    }
}

impl std::fmt::Display for Unmatched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} replicas, {}, {}: only the {} run has it",
            self.replicas,
            self.fault,
            self.phase,
            if self.is_new { "later" } else { "earlier" }
        )
    }
}

/// In what two runs differ beside their times: what may explain a difference without a change of the operator.
pub fn differences(before: &Report, after: &Report) -> Vec<String> {
    let mut found = Vec::new();
    let mut compare = |what: &str, before: String, after: String| {
        if before != after {
            found.push(format!("{what}: {before} before, {after} after"));
        }
    };
    let settings = |report: &Report| {
        report.settings.map_or_else(
            || "unknown".to_owned(),
            |settings| {
                format!(
                    "{}/{}/{} s",
                    settings.duration_seconds,
                    settings.renew_deadline_seconds,
                    settings.retry_period_seconds
                )
            },
        )
    };
    let on = |fence: bool| if fence { "deployed" } else { "none" };
    let hint = |hint: Option<bool>| match hint {
        Some(true) => "on",
        Some(false) => "off",
        None => "as deployed",
    };
    let env = |report: &Report| {
        let env = report.run.set_env.iter();
        let env: Vec<String> = env.map(|(name, value)| format!("{name}={value}")).collect();
        if env.is_empty() {
            "none".to_owned()
        } else {
            env.join(" ")
        }
    };
    compare(
        "lease duration/renew deadline/retry period",
        settings(before),
        settings(after),
    );
    let (a, b) = (&before.run, &after.run);
    compare("provider", a.provider.to_string(), b.provider.to_string());
    compare(
        "Kubernetes",
        a.kubernetes_version.clone(),
        b.kubernetes_version.clone(),
    );
    compare("fence", on(a.fence).to_owned(), on(b.fence).to_owned());
    compare("hint", hint(a.hint).to_owned(), hint(b.hint).to_owned());
    compare("--set-env", env(before), env(after));
    compare(
        "failover",
        a.harness_version.clone(),
        b.harness_version.clone(),
    );
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{samples::crashes, verdict::Verdict};

    fn even(n: u32, from: f64) -> Vec<f64> {
        (0..n).map(|step| from + f64::from(step)).collect()
    }

    fn difference(before: &[f64], after: &[f64]) -> Difference {
        Comparisons::of(&crashes(before), &crashes(after)).pairs[0].difference()
    }

    #[test]
    fn a_clear_difference_is_told_from_noise_and_has_a_side() {
        let (low, high) = (even(10, 100.0), even(10, 200.0));
        assert_eq!(difference(&low, &high), Difference::Slower);
        assert_eq!(difference(&high, &low), Difference::Faster);
        assert_eq!(difference(&low, &even(10, 101.0)), Difference::Noise);
        assert_eq!(difference(&low, &low), Difference::Noise);
    }

    #[test]
    fn too_few_trials_are_not_called_noise() {
        assert_eq!(
            difference(&even(3, 100.0), &even(3, 900.0)),
            Difference::TooFew
        );
        let comparisons = Comparisons::of(&crashes(&even(3, 100.0)), &crashes(&even(3, 900.0)));
        assert_eq!(comparisons.pairs.len(), 2, "lease and work");
        assert_eq!(comparisons.trials_needed(), 4);
        assert!(!comparisons.pairs[0].can_tell);
    }

    #[test]
    fn every_further_comparison_asks_for_a_clearer_difference() {
        let (before, after) = (crashes(&even(5, 100.0)), crashes(&even(5, 103.0)));
        let few = Comparisons::of(&before, &after);
        let more = |mut report: Report| {
            let others = report.trials.clone().into_iter().map(|mut trial| {
                trial.id.fault = FaultKind::PairCrash;
                trial.phases.lease_ms = Some(1.0);
                trial.phases.work_ms = Some(1.0);
                trial
            });
            report.trials.extend(others.collect::<Vec<_>>());
            report
        };
        let many = Comparisons::of(&more(before), &more(after));
        assert!(few.pairs[0].slower < many.pairs[0].slower);
    }

    #[test]
    fn what_only_one_run_has_is_told() {
        let mut after = crashes(&even(3, 100.0));
        for trial in &mut after.trials {
            trial.phases.work_ms = None;
        }
        let comparisons = Comparisons::of(&crashes(&even(3, 100.0)), &after);
        assert_eq!(comparisons.pairs.len(), 1);
        assert_eq!(
            comparisons
                .unmatched
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>(),
            ["2 replicas, crash, work failover: only the earlier run has it"]
        );
    }

    #[test]
    fn trials_that_do_not_count_are_not_compared() {
        let mut before = crashes(&[100.0, 101.0]);
        before.trials[0].warm_up = true;
        before.trials[1].verdict = Verdict::Inconclusive;
        let comparisons = Comparisons::of(&before, &crashes(&[100.0]));
        assert_eq!(comparisons.pairs, []);
        assert_eq!(comparisons.unmatched.len(), 2);
    }

    #[test]
    fn what_else_differs_between_two_runs_is_named() {
        let before = crashes(&[1.0]);
        let mut after = before.clone();
        assert_eq!(differences(&before, &after), Vec::<String>::new());
        after.run.fence = false;
        after.run.kubernetes_version = "v9".to_owned();
        let found = differences(&before, &after).join("; ");
        assert!(
            found.contains("fence: deployed before, none after") && found.contains("v9 after"),
            "{found}"
        );
    }
}

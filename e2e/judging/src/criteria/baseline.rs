//! `--baseline report.json --regression 20%`: whether a run is slower than an earlier one, noise aside.
//!
//! A phase after a fault has regressed when all of these hold:
//!
//! - its median grew by more than the given percentage,
//! - and by more than the measuring errors of both runs together,
//! - and the values of this run rank higher than chance explains: one-sided Mann-Whitney U test on the raw values of the
//!   trials, corrected (Holm) for the number of comparisons, at most 5 % for one false alarm in the whole run.
//!
//! Where the median grew that much and there are too few trials to tell it from noise, the verdict is INCONCLUSIVE: it is
//! neither passed nor held against the operator. So it is where the baseline has nothing to compare with.

use std::{path::PathBuf, str::FromStr};

use crate::{
    criteria::comparison::{ALPHA, Comparisons, Pair, Unmatched, differences},
    report::Report,
    verdict::{Check, CheckId},
};

/// An earlier run, and how much slower than it is too slow.
#[derive(Clone, Debug, PartialEq)]
pub struct Baseline {
    /// Where its report is.
    pub place: PathBuf,
    /// Its report.
    pub report: Report,
    /// How much slower is too slow.
    pub regression: Percent,
}

/// A percentage above 0.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Percent(f64);

/// Why a text is no percentage.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a percentage above 0, such as 20%")]
pub struct NoPercentage;

impl Percent {
    /// It as a fraction.
    pub fn fraction(self) -> f64 {
        self.0 / 100.0
    }
}

impl Default for Percent {
    fn default() -> Self {
        Self(20.0)
    }
}

impl FromStr for Percent {
    type Err = NoPercentage;

    fn from_str(text: &str) -> Result<Self, NoPercentage> {
        let number = text.trim().strip_suffix('%').ok_or(NoPercentage)?;
        let number: f64 = number.trim().parse().map_err(|_| NoPercentage)?;
        if number.is_finite() && number > 0.0 {
            Ok(Self(number))
        } else {
            Err(NoPercentage)
        }
    }
}

impl std::fmt::Display for Percent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}%", self.0)
    }
}

impl Baseline {
    /// Whether `report` has regressed, phase by phase.
    pub fn checks(&self, report: &Report) -> Vec<Check> {
        let comparisons = Comparisons::of(&self.report, report);
        let mut checks: Vec<Check> = comparisons
            .pairs
            .iter()
            .map(|pair| self.check(pair, &comparisons))
            .collect();
        let unmatched = comparisons.unmatched.iter().copied();
        let open = unmatched.filter(|what| what.is_new || is_asked_for(*what, report));
        checks.extend(
            open.map(|what| {
                Check::inconclusive(CheckId::Regression, self.scope(), what.to_string())
            }),
        );
        if checks.is_empty() {
            let detail = "neither run has a trial to compare".to_owned();
            checks.push(Check::inconclusive(
                CheckId::Regression,
                self.scope(),
                detail,
            ));
        }
        checks
    }

    /// What differs between the runs beside their times, and what of the baseline this run did not try.
    pub fn warnings(&self, report: &Report) -> Vec<String> {
        let comparisons = Comparisons::of(&self.report, report);
        let unmatched = comparisons.unmatched.iter().copied();
        let untried = unmatched.filter(|what| !what.is_new && !is_asked_for(*what, report));
        let different = differences(&self.report, report).into_iter();
        different
            .map(|what| format!("the baseline was measured differently: {what}"))
            .chain(untried.map(|what| format!("not compared with the baseline: {what}")))
            .collect()
    }

    fn scope(&self) -> String {
        format!("--baseline {}", self.place.display())
    }

    fn check(&self, pair: &Pair, comparisons: &Comparisons) -> Check {
        let scope = format!(
            "{}, {} replicas, {}, {}",
            self.scope(),
            pair.replicas,
            pair.fault,
            pair.phase
        );
        let (before, after) = (pair.before.summary, pair.after.summary);
        let change = pair.ratio().map_or_else(
            || format!("{:+.1} ms", pair.shift_ms()),
            |ratio| format!("{:+.1} %", (ratio - 1.0) * 100.0),
        );
        let seen = format!(
            "the median is {:.1} ms (n={}), was {:.1} ms (n={}), {change}",
            after.p50_ms, after.n, before.p50_ms, before.n
        );
        let allowed = self.regression;
        if pair.shift_ms() <= allowed.fraction() * before.p50_ms.max(0.0) {
            let detail = format!("{seen}, within the allowed +{allowed}");
            return Check::pass(CheckId::Regression, scope, detail);
        }
        let seen = format!("{seen}, more than the allowed +{allowed}");
        if pair.shift_ms() <= pair.error_ms() {
            let detail = format!(
                "{seen}, but not more than the {:.1} ms that both may be measured wrong by",
                pair.error_ms()
            );
            return Check::pass(CheckId::Regression, scope, detail);
        }
        let many = comparisons.pairs.len();
        let p = if pair.slower < 0.0001 {
            "p<0.0001".to_owned()
        } else {
            format!("p={:.4}", pair.slower)
        };
        let odds = format!("Mann-Whitney U, Holm for {many} comparisons: {p}");
        if pair.slower <= ALPHA {
            let detail = format!("{seen}, and more than noise ({odds})");
            Check::fail(CheckId::Regression, scope, detail)
        } else if pair.can_tell {
            let detail = format!("{seen}, but not more than noise ({odds})");
            Check::pass(CheckId::Regression, scope, detail)
        } else {
            let detail = format!(
                "{seen}; too few trials to tell it from noise, which takes {} in each run ({odds})",
                comparisons.trials_needed()
            );
            Check::inconclusive(CheckId::Regression, scope, detail)
        }
    }
}

/// Whether the run was to try what it has no value for.
fn is_asked_for(what: Unmatched, report: &Report) -> bool {
    report.run.faults.contains(&what.fault) && report.run.replicas.contains(&what.replicas)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        samples::{crashes, says},
        verdict::Verdict,
    };

    fn baseline(lease_ms: &[f64]) -> Baseline {
        Baseline {
            place: PathBuf::from("main.json"),
            report: crashes(lease_ms),
            regression: "20%".parse().unwrap(),
        }
    }

    /// n values, 1 % of the first apart.
    fn around(n: u32, first: f64) -> Vec<f64> {
        (0..n)
            .map(|step| first * (1.0 + f64::from(step) / 100.0))
            .collect()
    }

    fn check(before: &[f64], after: &[f64]) -> Check {
        let checks = baseline(before).checks(&crashes(after));
        assert_eq!(checks.len(), 2, "lease and work");
        checks[0].clone()
    }

    #[rstest::rstest]
    #[case::much_slower(10, 1000.0, 1500.0, Verdict::Fail, "more than noise")]
    #[case::a_little_slower(10, 1000.0, 1150.0, Verdict::Pass, "within the allowed +20%")]
    #[case::faster(10, 1000.0, 500.0, Verdict::Pass, "within the allowed")]
    #[case::the_same(10, 1000.0, 1000.0, Verdict::Pass, "+0.0 %")]
    #[case::too_few(3, 1000.0, 1500.0, Verdict::Inconclusive, "takes 4 in each run")]
    #[case::too_few_and_not_slower(3, 1000.0, 1000.0, Verdict::Pass, "within the allowed")]
    #[case::less_than_the_measuring_error(10, 10.0, 14.0, Verdict::Pass, "measured wrong by")]
    fn a_regression_has_size_and_is_more_than_noise(
        #[case] n: u32,
        #[case] before: f64,
        #[case] after: f64,
        #[case] verdict: Verdict,
        #[case] named: &str,
    ) {
        let check = check(&around(n, before), &around(n, after));
        assert_eq!(check.verdict, verdict, "{check:?}");
        assert!(check.detail.contains(named), "{check:?}");
        says(
            &check.scope,
            &["main.json, 2 replicas, crash, lease failover"],
        );
    }

    #[test]
    fn a_median_that_noise_moved_is_no_regression() {
        // The medians differ by half, the samples overlap from end to end.
        let before = [100.0, 100.0, 1000.0, 1000.0, 2000.0, 2000.0, 2000.0];
        let after = [100.0, 100.0, 100.0, 1500.0, 2000.0, 2000.0, 2000.0];
        let check = check(&before, &after);
        assert_eq!(check.verdict, Verdict::Pass);
        says(&check.detail, &["not more than noise"]);
    }

    #[test]
    fn what_the_baseline_does_not_have_is_inconclusive() {
        let checks = baseline(&[]).checks(&crashes(&around(3, 100.0)));
        assert_eq!(
            Verdict::of(checks.iter().map(|check| check.verdict)),
            Verdict::Inconclusive
        );
        says(&checks[0].detail, &["only the later run has it"]);
        let checks = baseline(&[]).checks(&crashes(&[]));
        assert_eq!(checks[0].verdict, Verdict::Inconclusive);
    }

    #[test]
    fn what_was_to_be_measured_and_was_not_is_inconclusive_and_the_rest_is_warned_of() {
        let baseline = baseline(&around(3, 100.0));
        let mut report = crashes(&[]);
        assert_eq!(baseline.warnings(&report).len(), 2, "lease and work");
        report.run.faults = vec![crate::fault::FaultKind::Crash];
        assert_eq!(baseline.warnings(&report), Vec::<String>::new());
        let checks = baseline.checks(&report);
        assert_eq!(checks.len(), 2);
        says(&checks[0].detail, &["only the earlier run has it"]);
    }

    #[test]
    fn a_baseline_of_other_settings_is_warned_of() {
        let mut report = crashes(&[1.0]);
        assert_eq!(baseline(&[1.0]).warnings(&report), Vec::<String>::new());
        report.settings = None;
        let warnings = baseline(&[1.0]).warnings(&report);
        says(&warnings[0], &["15/10/2 s before, unknown after"]);
    }

    #[rstest::rstest]
    #[case("20")]
    #[case("-5%")]
    #[case("0%")]
    #[case("much%")]
    #[case("inf%")]
    fn what_is_no_percentage_is_refused(#[case] text: &str) {
        assert_eq!(text.parse::<Percent>(), Err(NoPercentage));
    }

    #[test]
    fn a_percentage_prints_as_it_is_typed() {
        assert_eq!("12.5%".parse::<Percent>().unwrap().to_string(), "12.5%");
    }
}

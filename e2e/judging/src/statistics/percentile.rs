//! Percentiles of a handful of trials, by nearest rank: the smallest value that at least p percent do not exceed.
//!
//! Every percentile is thus a value that was really measured. With n < 20 the p95 *is* the maximum, so n is printed
//! beside it. How far it may be from the percentile of all trials that could be made is told by a confidence interval
//! from order statistics: whatever the distribution, the number of trials at or below its p-th percentile is binomial
//! with n and p, so the percentile lies between two of the measured values with a probability that n alone decides.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, DiscreteCDF};

use crate::clock::Millis;

/// The probability, at least, with which an interval holds what it is for.
pub const CONFIDENCE: f64 = 0.95;

/// What a set of trials took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// How many trials gave a value.
    pub n: usize,
    /// How the percentiles are taken.
    #[serde(default)]
    pub method: Method,
    /// The median.
    pub p50_ms: Millis,
    /// Where the median of all possible trials is; absent when n is too small to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_interval: Option<Interval>,
    /// The 95th percentile.
    pub p95_ms: Millis,
    /// Where the 95th percentile of all possible trials is; absent when n is too small to tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p95_interval: Option<Interval>,
    /// The largest value.
    pub max_ms: Millis,
}

/// How percentiles are taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// The smallest value that at least p percent of the trials do not exceed.
    #[default]
    NearestRank,
}

/// A confidence interval of a percentile, in milliseconds. Both ends are measured values.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Interval {
    /// How it is found.
    #[serde(default)]
    pub method: IntervalMethod,
    /// The lower end.
    pub low_ms: Millis,
    /// The upper end.
    pub high_ms: Millis,
    /// The probability with which such an interval holds the percentile: at least 0.95, and what n makes of it.
    pub confidence: f64,
}

/// How a confidence interval is found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IntervalMethod {
    /// Between two order statistics, by the binomial distribution of their ranks; it assumes no distribution of the
    /// values.
    #[default]
    OrderStatistics,
}

impl Summary {
    /// The summary of `values`; `None` when there are none.
    pub fn of(values: impl IntoIterator<Item = Millis>) -> Option<Self> {
        let mut sorted: Vec<Millis> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            n: sorted.len(),
            method: Method::NearestRank,
            p50_ms: nearest_rank(&sorted, 50)?,
            p50_interval: Interval::of(&sorted, 50),
            p95_ms: nearest_rank(&sorted, 95)?,
            p95_interval: Interval::of(&sorted, 95),
            max_ms: *sorted.last()?,
        })
    }
}

impl Interval {
    /// Half of its length.
    pub fn half_width_ms(&self) -> Millis {
        (self.high_ms - self.low_ms) / 2.0
    }

    /// The interval of the `percent`-th percentile of values in ascending order.
    fn of(sorted: &[Millis], percent: u32) -> Option<Self> {
        let (low, high, confidence) = ranks(sorted.len(), percent)?;
        Some(Self {
            method: IntervalMethod::OrderStatistics,
            low_ms: *sorted.get(low)?,
            high_ms: *sorted.get(high)?,
            confidence,
        })
    }
}

impl std::fmt::Display for Interval {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{:.1} to {:.1} ms at {:.1} % confidence",
            self.low_ms,
            self.high_ms,
            self.confidence * 100.0
        )
    }
}

/// The `percent`-th percentile of values in ascending order: the one at rank ⌈percent/100 · n⌉.
fn nearest_rank(sorted: &[Millis], percent: usize) -> Option<Millis> {
    let rank = (percent * sorted.len()).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// The two of n values in ascending order, counted from 0, that have the percentile between them with enough
/// confidence: those with the fewest ranks between them, and of these the surest and slowest. `None` when not even the smallest and
/// the largest are enough.
///
/// The choice depends on n and the percentile alone, never on the values, so the confidence is what it says.
fn ranks(n: usize, percent: u32) -> Option<(usize, usize, f64)> {
    let trials = u64::try_from(n).ok()?;
    let below = Binomial::new(f64::from(percent) / 100.0, trials).ok()?;
    // At most this many values are below the percentile.
    let at_most: Vec<f64> = (0..trials).map(|count| below.cdf(count)).collect();
    let mut best: Option<(usize, usize, f64)> = None;
    for (low, less) in at_most.iter().enumerate() {
        // The value at rank `high` is above it when at most `high` are below.
        let high = at_most.partition_point(|reached| *reached < less + CONFIDENCE);
        let Some(reached) = at_most.get(high) else {
            break;
        };
        let confidence = reached - less;
        let better = best.is_none_or(|(best_low, best_high, most)| {
            let (width, known) = (high - low, best_high - best_low);
            // Of two that are as sure, the later one is on the slow side. The last digit decides nothing.
            width < known || (width == known && confidence > most - 1e-9)
        });
        if better {
            best = Some((low, high, confidence));
        }
    }
    best
}

/// How many trials an interval of the `percent`-th percentile takes: the widest one, from the smallest to the largest
/// value, misses it when all are above or all are below.
pub fn enough(percent: u32) -> usize {
    let p = f64::from(percent) / 100.0;
    let mut trials = 0;
    let (mut all_below, mut all_above) = (1.0, 1.0);
    while 1.0 - all_below - all_above < CONFIDENCE {
        trials += 1;
        all_below *= p;
        all_above *= 1.0 - p;
    }
    trials
}

/// What `n` trials are too few for; `None` when they are enough.
pub fn too_few(percent: u32, n: usize) -> Option<String> {
    let needed = enough(percent);
    if n >= needed {
        return None;
    }
    let rank = usize::try_from(percent).map_or(n, |percent| (percent * n).div_ceil(100));
    let maximum = if percent > 50 && rank == n {
        format!(", and the p{percent} is the maximum")
    } else {
        String::new()
    };
    Some(format!(
        "n={n} is too small for an interval of the p{percent}, which takes {needed} trials{maximum}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::says;

    #[test]
    fn no_values_have_no_summary() {
        assert_eq!(Summary::of([]), None);
    }

    #[rstest::rstest]
    #[case(&[7.0], 7.0, 7.0, 7.0)]
    #[case(&[3.0, 1.0, 2.0], 2.0, 3.0, 3.0)]
    #[case(&[4.0, 3.0, 2.0, 1.0], 2.0, 4.0, 4.0)]
    fn a_percentile_is_a_value_that_was_measured(
        #[case] values: &[f64],
        #[case] p50: f64,
        #[case] p95: f64,
        #[case] max: f64,
    ) {
        let summary = Summary::of(values.iter().copied()).unwrap();
        assert_eq!(
            (summary.p50_ms, summary.p95_ms, summary.max_ms),
            (p50, p95, max)
        );
        assert_eq!(summary.n, values.len());
    }

    fn counted(n: u32) -> Summary {
        Summary::of((1..=n).map(f64::from)).unwrap()
    }

    #[test]
    fn p95_of_twenty_leaves_one_above() {
        let summary = counted(20);
        assert_eq!((summary.p95_ms, summary.max_ms), (19.0, 20.0));
    }

    /// The confidence of each is the binomial probability that published tables have for these ranks.
    #[rstest::rstest]
    #[case(6, 1.0, 6.0, 0.968_75)]
    #[case(8, 2.0, 8.0, 0.960_938)]
    #[case(10, 2.0, 9.0, 0.978_516)]
    #[case(20, 6.0, 15.0, 0.958_611)]
    fn the_median_lies_between_the_ranks_of_the_tables(
        #[case] n: u32,
        #[case] low: f64,
        #[case] high: f64,
        #[case] confidence: f64,
    ) {
        let interval = counted(n).p50_interval.unwrap();
        assert_eq!((interval.low_ms, interval.high_ms), (low, high));
        assert!(
            (interval.confidence - confidence).abs() < 1e-5,
            "{interval:?}"
        );
    }

    #[test]
    fn an_interval_is_given_from_as_many_trials_on_as_is_said_and_not_before() {
        assert_eq!((enough(50), enough(95)), (6, 59));
        assert_eq!(counted(5).p50_interval, None);
        assert!(counted(6).p50_interval.is_some());
        assert_eq!(counted(58).p95_interval, None);
        let interval = counted(59).p95_interval.unwrap();
        assert_eq!(interval.high_ms, 59.0);
        assert!(interval.confidence >= CONFIDENCE);
    }

    /// Drawn again and again, the interval must hold the true median as often as it says.
    #[test]
    fn an_interval_holds_the_true_percentile_as_often_as_it_says() {
        let mut draw = fastrand::Rng::with_seed(7);
        let rounds = 2_000;
        let held = (0..rounds)
            .filter(|_| {
                // A skewed distribution whose median is 1/4.
                let values = (0..15).map(|_| draw.f64().powi(2));
                let interval = Summary::of(values).unwrap().p50_interval.unwrap();
                interval.low_ms <= 0.25 && 0.25 <= interval.high_ms
            })
            .count();
        let share = f64::from(u32::try_from(held).unwrap()) / f64::from(rounds);
        assert!((0.95..0.985).contains(&share), "{share}");
    }

    #[test]
    fn too_few_trials_say_what_they_are_too_few_for() {
        let few = too_few(95, 3).unwrap();
        says(&few, &["n=3", "the p95 is the maximum"]);
        let some = too_few(95, 30).unwrap();
        assert!(!some.contains("maximum"), "{some}");
        says(&some, &["59 trials"]);
        assert_eq!(too_few(95, 59), None);
        assert_eq!(too_few(50, 6), None);
    }
}

//! Percentiles of a handful of trials, by nearest rank: the smallest value that at least p percent do not exceed.
//!
//! Every percentile is thus a value that was really measured. With n < 20 the p95 *is* the maximum, so n is printed
//! beside it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::Millis;

/// What a set of trials took, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// How many trials gave a value.
    pub n: usize,
    /// The median, by nearest rank.
    pub p50_ms: Millis,
    /// The 95th percentile, by nearest rank.
    pub p95_ms: Millis,
    /// The largest value.
    pub max_ms: Millis,
}

impl Summary {
    /// The summary of `values`; `None` when there are none.
    pub fn of(values: impl IntoIterator<Item = Millis>) -> Option<Self> {
        let mut sorted: Vec<Millis> = values.into_iter().collect();
        sorted.sort_by(f64::total_cmp);
        Some(Self {
            n: sorted.len(),
            p50_ms: nearest_rank(&sorted, 50)?,
            p95_ms: nearest_rank(&sorted, 95)?,
            max_ms: *sorted.last()?,
        })
    }
}

/// The `percent`-th percentile of values in ascending order: the one at rank ⌈percent/100 · n⌉.
fn nearest_rank(sorted: &[Millis], percent: usize) -> Option<Millis> {
    let rank = (percent * sorted.len()).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn p95_of_twenty_leaves_one_above() {
        let summary = Summary::of((1..=20).map(f64::from)).unwrap();
        assert_eq!((summary.p95_ms, summary.max_ms), (19.0, 20.0));
    }
}

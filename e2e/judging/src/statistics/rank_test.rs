//! The Mann-Whitney U test (Wilcoxon's rank sum): whether one handful of times tends to be larger than another.
//!
//! It looks at the order of the values alone, so neither an outlier nor the shape of the distribution misleads it. Small
//! samples are counted out exactly, with ties sharing their ranks; only where that would take long is the normal
//! approximation used, corrected for ties and continuity.

use statrs::distribution::{ContinuousCDF, Normal};

use crate::clock::Millis;

/// How many steps the exact count may take.
const EXACT_STEPS: usize = 20_000_000;

/// The probability of ranks at least as high as those of `later`, if both samples were drawn alike. `None` when either
/// is empty.
pub fn larger(later: &[Millis], earlier: &[Millis]) -> Option<f64> {
    if later.is_empty() || earlier.is_empty() {
        return None;
    }
    let ranks = Ranks::of(later, earlier);
    let few = later.len().min(earlier.len());
    let all = later.len() + earlier.len();
    let steps = all.saturating_mul(few).saturating_mul(2 * all * few);
    if steps <= EXACT_STEPS {
        Some(ranks.exact())
    } else {
        ranks.approximate()
    }
}

/// The smallest probability that samples of these sizes can lead to: that of all later values above all earlier ones.
pub fn attainable(later: usize, earlier: usize) -> f64 {
    let few = later.min(earlier);
    let all = later + earlier;
    (0..few).fold(1.0, |chance, index| {
        chance * float(few - index) / float(all - index)
    })
}

/// Corrects probabilities for being many (Holm): under the result, the chance of even one false alarm among all of them
/// is what is asked of each.
pub fn corrected(probabilities: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..probabilities.len()).collect();
    order.sort_by(|a, b| probabilities[*a].total_cmp(&probabilities[*b]));
    let mut corrected = vec![1.0; probabilities.len()];
    let mut least: f64 = 0.0;
    for (position, index) in order.into_iter().enumerate() {
        let left = float(probabilities.len() - position);
        least = least.max((probabilities[index] * left).min(1.0));
        corrected[index] = least;
    }
    corrected
}

/// The ranks of all values together, doubled so that shared ones are whole numbers.
struct Ranks {
    all: Vec<usize>,
    /// How many are of the later sample.
    later: usize,
    sum: usize,
    /// How many values each tie has.
    ties: Vec<usize>,
}

impl Ranks {
    fn of(later: &[Millis], earlier: &[Millis]) -> Self {
        let mut values: Vec<(Millis, bool)> = later.iter().map(|value| (*value, true)).collect();
        values.extend(earlier.iter().map(|value| (*value, false)));
        values.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut ranks = Self {
            all: Vec::with_capacity(values.len()),
            later: later.len(),
            sum: 0,
            ties: Vec::new(),
        };
        for tie in values.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
            // Ranks first to last, of which each gets the mean.
            let first = ranks.all.len() + 1;
            let doubled = first + first + tie.len() - 1;
            ranks.sum += doubled * tie.iter().filter(|(_, later)| *later).count();
            ranks.all.extend(tie.iter().map(|_| doubled));
            ranks.ties.push(tie.len());
        }
        ranks
    }

    /// Counts, among all ways to choose as many ranks as the later sample has, those with a sum at least as high.
    fn exact(&self) -> f64 {
        let total: usize = self.all.iter().sum();
        // The smaller sample is counted: the later one's sum is high just when the other's is low.
        let (size, low) = if self.later * 2 <= self.all.len() {
            (self.later, false)
        } else {
            (self.all.len() - self.later, true)
        };
        let mut ways = vec![vec![0.0; total + 1]; size + 1];
        ways[0][0] = 1.0;
        for (seen, rank) in self.all.iter().enumerate() {
            for chosen in (1..=size.min(seen + 1)).rev() {
                let (fewer, more) = ways.split_at_mut(chosen);
                let sums = more[0][*rank..].iter_mut().zip(&fewer[chosen - 1]);
                for (with, without) in sums {
                    *with += without;
                }
            }
        }
        let counted = &ways[size];
        let extreme = if low {
            &counted[..=total - self.sum]
        } else {
            &counted[self.sum..]
        };
        extreme.iter().sum::<f64>() / counted.iter().sum::<f64>()
    }

    fn approximate(&self) -> Option<f64> {
        let (all, later) = (float(self.all.len()), float(self.later));
        let earlier = all - later;
        let tied: f64 = self
            .ties
            .iter()
            .map(|tie| float(*tie).powi(3) - float(*tie))
            .sum();
        let variance = later * earlier / 12.0 * ((all + 1.0) - tied / (all * (all - 1.0)));
        if variance <= 0.0 {
            // All values are the same.
            return Some(1.0);
        }
        let mean = later * (all + 1.0) / 2.0;
        let distance = float(self.sum) / 2.0 - mean - 0.5;
        let normal = Normal::new(0.0, 1.0).ok()?;
        Some(normal.sf(distance / variance.sqrt()))
    }
}

#[expect(
    clippy::cast_precision_loss,
    reason = "counts of trials and their ranks"
)]
fn float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn about(value: f64, truth: f64) -> bool {
        (value - truth).abs() < 1e-6
    }

    /// Values from published examples, and by hand for the smallest.
    #[rstest::rstest]
    #[case::all_above(&[4.0, 5.0, 6.0], &[1.0, 2.0, 3.0], 1.0 / 20.0)]
    #[case::all_below(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0], 1.0)]
    #[case::five_and_five(&[6.0, 7.0, 8.0, 9.0, 10.0], &[1.0, 2.0, 3.0, 4.0, 5.0], 1.0 / 252.0)]
    #[case::five_and_four(&[19.0, 22.0, 16.0, 29.0, 24.0], &[20.0, 11.0, 17.0, 12.0], 0.111_111_111 / 2.0)]
    #[case::four_and_five(&[20.0, 11.0, 17.0, 12.0], &[19.0, 22.0, 16.0, 29.0, 24.0], 0.968_253_968)]
    #[case::all_the_same(&[1.0, 1.0], &[1.0, 1.0, 1.0], 1.0)]
    #[case::a_tie(&[2.0, 3.0], &[1.0, 2.0], 2.0 / 6.0)]
    fn the_exact_probability_is_that_of_the_tables(
        #[case] later: &[f64],
        #[case] earlier: &[f64],
        #[case] expected: f64,
    ) {
        let found = larger(later, earlier).unwrap();
        assert!(about(found, expected), "{found}");
    }

    #[test]
    fn without_values_there_is_no_probability() {
        assert_eq!(larger(&[], &[1.0]), None);
        assert_eq!(larger(&[1.0], &[]), None);
    }

    #[test]
    fn the_approximation_agrees_with_the_exact_count() {
        let mut draw = fastrand::Rng::with_seed(7);
        for shift in [0.0, 0.1, 0.3] {
            // Rounded, so that there are ties.
            let mut sample = |shift: f64| -> Vec<f64> {
                (0..25)
                    .map(|_| ((draw.f64() + shift) * 40.0).round())
                    .collect()
            };
            let ranks = Ranks::of(&sample(shift), &sample(0.0));
            let (exact, approximate) = (ranks.exact(), ranks.approximate().unwrap());
            assert!((exact - approximate).abs() < 0.005, "{exact} {approximate}");
        }
    }

    #[test]
    fn samples_drawn_alike_are_called_larger_as_seldom_as_is_said() {
        let mut draw = fastrand::Rng::with_seed(7);
        let rounds = 2_000;
        let mut sample = || -> Vec<f64> { (0..8).map(|_| draw.f64().powi(3)).collect() };
        let alarms = (0..rounds)
            .filter(|_| larger(&sample(), &sample()).unwrap() <= 0.05)
            .count();
        let share = f64::from(u32::try_from(alarms).unwrap()) / f64::from(rounds);
        assert!((0.03..=0.06).contains(&share), "{share}");
    }

    #[test]
    fn what_can_be_shown_at_all_depends_on_how_many_trials_there_are() {
        assert!(about(attainable(3, 3), 1.0 / 20.0));
        assert!(about(attainable(5, 5), 1.0 / 252.0));
        assert!(about(attainable(1, 9), 1.0 / 10.0));
    }

    #[test]
    fn many_probabilities_are_corrected_for_being_many() {
        let found = corrected(&[0.04, 0.01, 0.03]);
        let expected = [0.06, 0.03, 0.06];
        assert!(
            found
                .iter()
                .zip(expected)
                .all(|(found, expected)| about(*found, expected)),
            "{found:?}"
        );
        assert_eq!(corrected(&[]), Vec::<f64>::new());
        assert_eq!(corrected(&[0.5, 0.9]), [1.0, 1.0]);
    }
}

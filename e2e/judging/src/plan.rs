//! When within the renew period each fault comes.
//!
//! A fault right after a renewal leaves a standby the longest wait, one right before the next the shortest. A fixed
//! pause would always hit the same spot, so the moments are spread over the period: each is the last one plus the golden
//! section of the period, which leaves no gap more than about twice as long as it has to be, however many there are. So
//! the plan has no end, and more trials are the same trials and more. Where it begins is drawn by the seed.

use std::time::Duration;

use crate::fault::FaultKind;

/// The golden section: the fraction of a period that is hardest to come back to.
const GOLDEN: f64 = 0.618_033_988_749_894_9;

/// Which trials a plan is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Those that count.
    Measured,
    /// Those that warm up. They have a plan of their own, so that their number does not change the other.
    WarmUp,
}

/// The moments after a renewal at which faults come, in the order in which they are done.
///
/// The same seed gives the same plan. It has no end.
pub fn moments(
    seed: u64,
    replicas: u32,
    fault: FaultKind,
    part: Part,
    period: Duration,
) -> impl Iterator<Item = Duration> {
    // Each group has its own sequence, so that leaving one out changes no other. By the name of the fault: the list of
    // faults may grow.
    let name = format!("{seed} {replicas} {fault} {part:?}");
    let hash = name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let begin = fastrand::Rng::with_seed(hash).f64();
    (0_u32..).map(move |index| period.mul_f64((begin + GOLDEN * f64::from(index)).fract()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(2);

    fn plan(seed: u64, replicas: u32, part: Part, trials: usize) -> Vec<Duration> {
        moments(seed, replicas, FaultKind::Crash, part, PERIOD)
            .take(trials)
            .collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
        let measured = |seed| plan(seed, 2, Part::Measured, 10);
        assert_eq!(measured(7), measured(7));
        assert_ne!(measured(7), measured(8));
        assert_ne!(measured(7), plan(7, 3, Part::Measured, 10));
        assert_ne!(measured(7), plan(7, 2, Part::WarmUp, 10));
    }

    #[test]
    fn more_trials_are_the_same_trials_and_more() {
        let many = plan(7, 2, Part::Measured, 50);
        assert_eq!(plan(7, 2, Part::Measured, 10), many[..10]);
    }

    #[rstest::rstest]
    fn the_moments_cover_the_whole_period_however_many_there_are(
        #[values(1, 2, 3, 10, 59, 1000)] trials: usize,
        #[values(7, 8)] seed: u64,
    ) {
        let mut moments = plan(seed, 2, Part::Measured, trials);
        moments.sort();
        assert!(moments.iter().all(|moment| *moment < PERIOD));
        let next = moments[1..].iter().copied().chain([moments[0] + PERIOD]);
        let gaps = moments.iter().zip(next);
        let longest = gaps
            .map(|(moment, next)| next.abs_diff(*moment))
            .max()
            .unwrap();
        let even = PERIOD.div_f64(f64::from(u32::try_from(trials).unwrap()));
        assert!(longest <= even * 2, "{longest:?} of {even:?}");
    }
}

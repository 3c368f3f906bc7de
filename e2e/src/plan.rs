//! When within the renew period each fault comes.
//!
//! A fault right after a renewal leaves a standby the longest wait, one right before the next the shortest. A fixed
//! pause would always hit the same spot, so the moments are spread evenly over the period and drawn within it by a seed.

use std::time::Duration;

use crate::budget::FaultKind;

/// The moments after a renewal at which `trials` faults come, in the order in which they are done.
///
/// The same seed gives the same plan.
pub fn moments(
    seed: u64,
    replicas: u32,
    fault: FaultKind,
    trials: u32,
    period: Duration,
) -> Vec<Duration> {
    // Each group has its own sequence, so that leaving one out changes no other.
    let mut draw =
        fastrand::Rng::with_seed(seed ^ (u64::from(replicas) << 32) ^ (fault as u64) << 40);
    let mut moments: Vec<Duration> = (0..trials)
        .map(|slot| period.mul_f64((f64::from(slot) + draw.f64()) / f64::from(trials)))
        .collect();
    draw.shuffle(&mut moments);
    moments
}

#[cfg(test)]
mod tests {
    use super::*;

    const PERIOD: Duration = Duration::from_secs(2);

    #[test]
    fn the_same_seed_gives_the_same_plan_and_another_seed_another() {
        let plan = |seed| moments(seed, 2, FaultKind::Crash, 10, PERIOD);
        assert_eq!(plan(7), plan(7));
        assert_ne!(plan(7), plan(8));
        assert_ne!(plan(7), moments(7, 3, FaultKind::Crash, 10, PERIOD));
    }

    #[test]
    fn the_moments_cover_the_whole_period() {
        let mut moments = moments(7, 2, FaultKind::Crash, 10, PERIOD);
        moments.sort();
        for (slot, moment) in moments.iter().enumerate() {
            let slot = u32::try_from(slot).unwrap();
            assert!(
                *moment >= PERIOD * slot / 10 && *moment <= PERIOD * (slot + 1) / 10,
                "{slot}: {moment:?}"
            );
        }
    }
}

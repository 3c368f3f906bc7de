//! What is drawn from the seed before anything happens: the lease, the clocks, the network, the faults to come.

use super::{
    dice::Dice,
    fault::{Fault, Kind, Target},
    time::Millis,
};
use crate::{elector::SUCCESSOR_LIMIT, settings::SettingNames, timing::Timing};

/// One in a million: what clock rates are counted in.
pub(super) const PPM: u64 = 1_000_000;

/// What the annotations of the Lease begin with.
pub(super) const PREFIX: &str = "example.com";

/// The fixed part of a scenario.
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of its own")]
#[derive(Clone, Debug)]
pub(super) struct Settings {
    pub(super) timing: Timing,
    pub(super) replicas: usize,
    /// The slowest and the fastest clock that a node may have, in millionths of true time.
    pub(super) rates: (u64, u64),
    /// Whether the rates stay within what the lease configuration allows for.
    pub(super) rates_in_bound: bool,
    pub(super) fence: bool,
    pub(super) hints: bool,
    /// How stale the fence's view of the Lease is.
    pub(super) informer_lag: Millis,
    /// A request or answer takes from 1 ms to this.
    pub(super) latency: Millis,
    /// A work write every so many milliseconds.
    pub(super) work_every: Millis,
    pub(super) drain_timeout: Millis,
    /// The faults, in order of time.
    pub(super) faults: Vec<(Millis, Fault)>,
    /// The end of the scenario. Some time before it, nothing new goes wrong, and what was wrong is mended.
    pub(super) end: Millis,
    /// Nothing happens but a rolling update, with clock rates within the bound.
    pub(super) rollout_only: bool,
}

/// Longer than any scenario.
const ALWAYS: Millis = 24 * 3_600_000;

/// Lease duration, renew deadline, retry period.
const LEASES: [(i64, i64, i64); 6] = [
    (15, 10, 2),
    (15, 10, 2),
    (6, 4, 1),
    (10, 9, 2),
    (30, 15, 5),
    (8, 2, 1),
];

impl Settings {
    pub(super) fn draw(dice: &mut Dice) -> Option<Self> {
        let (duration, deadline, retry) = dice.one_of(&LEASES, (15, 10, 2));
        let names = SettingNames::default();
        let timing = Timing::of_seconds(duration, deadline, retry, &names).ok()?;
        let fence = dice.per_mille(500);
        let hints = fence && dice.per_mille(600);
        let bound = PPM * duration.unsigned_abs() / deadline.unsigned_abs();
        let beyond = fence && dice.per_mille(200);
        let spread = match dice.below(4) {
            _ if beyond => bound + dice.below(bound),
            0 => PPM,
            1 => PPM + 1000,
            2 => dice.between(PPM, bound),
            _ => bound,
        };
        let slowest = dice.between(PPM * PPM / spread, PPM);
        // Rounded down, so that the bound itself is never passed.
        let rates = (slowest, slowest * spread / PPM);
        let replicas = dice.one_of(&[2, 2, 3, 3, 3, 4, 5], 3);
        let unit = 1000 * retry.unsigned_abs();
        // A standby whose clock is too fast takes the Lease by itself, rollout or not.
        let rollout_only = dice.per_mille(80) && !beyond;
        let calm_from = 1000 * duration.unsigned_abs() * dice.between(2, 5);
        let fault = |kind, lasts| Fault {
            kind,
            target: Target::Holder,
            lasts,
        };
        let is_alone = !rollout_only && dice.per_mille(60);
        let (faults, calm_from) = if is_alone {
            let at = dice.below(calm_from);
            // Nothing of it is mended before the end, which is some lease durations later.
            (vec![(at, fault(Kind::AllButOne, ALWAYS))], calm_from)
        } else if rollout_only {
            // By then somebody leads, however slow its clock.
            let at = 5000 + 3 * unit * PPM / rates.0 + dice.below(2 * unit);
            (
                vec![(at, fault(Kind::Rollout, 0))],
                at + 8000 * replicas as u64,
            )
        } else {
            (Self::draw_faults(dice, calm_from, unit), calm_from)
        };
        let informer_lag = if fence { dice.between(0, 50) } else { 0 };
        let mut latency = dice.one_of(&[2, 5, 5, 20, 80], 5);
        if rollout_only {
            // A successor is promised where the leader can list the pods in the time that it takes for that, by its own
            // clock: there and back, and some to spare.
            let limit = u64::from(SUCCESSOR_LIMIT.subsec_millis());
            latency = latency.min(limit * PPM / rates.1 / 4);
        }
        // Whatever a fault left behind is waited out.
        let patience = 1000 * (duration + 5 * retry).unsigned_abs() * PPM / rates.0;
        Some(Self {
            timing,
            replicas,
            rates,
            rates_in_bound: !beyond,
            fence,
            hints,
            informer_lag,
            latency,
            work_every: unit / dice.between(1, 6),
            drain_timeout: dice.between(200, 3000),
            faults,
            end: calm_from + patience + 2000,
            rollout_only,
        })
    }

    fn draw_faults(dice: &mut Dice, until: Millis, retry: Millis) -> Vec<(Millis, Fault)> {
        let mut faults = Vec::new();
        // Some worlds know only a few kinds of trouble: what hides behind other faults is found in them.
        let kinds = dice.throw() | dice.throw();
        for _ in 0..dice.between(1, 9) {
            let at = dice.below(until);
            let lasts = match dice.below(3) {
                0 => dice.between(1, 2000),
                1 => dice.between(1, until / 4),
                _ => dice.between(1, until),
            };
            let lasts = lasts.min(until - at);
            let target = if dice.per_mille(650) {
                Target::Holder
            } else {
                Target::Pod(dice.throw())
            };
            let number = dice.below(Kind::COUNT);
            if kinds & (1 << number) != 0 {
                let kind = Kind::draw(number, lasts, retry, dice);
                let fault = Fault {
                    kind,
                    target,
                    lasts,
                };
                faults.push((at, fault));
            }
        }
        faults.sort_by_key(|(at, _)| *at);
        faults
    }

    /// A duration of the lease configuration in milliseconds.
    pub(super) fn lease_millis(&self) -> (Millis, Millis, Millis) {
        let millis = |duration: std::time::Duration| duration.as_secs() * 1000;
        (
            millis(self.timing.duration()),
            millis(self.timing.renew_deadline()),
            millis(self.timing.retry_period()),
        )
    }
}

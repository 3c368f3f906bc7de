//! How the way between a pod and the API server is, and how calls on it fail.

use super::{dice::Dice, time::Millis};

/// How the way between a pod and the API server is at the moment.
#[derive(Default)]
pub(super) struct LineState {
    /// How many partitions keep requests back.
    pub(super) requests_cut: u32,
    /// How many partitions keep answers and watches back.
    answers_cut: u32,
    /// Whether what is kept back is resent when the way is free, as by TCP, or lost.
    pub(super) resends: bool,
    /// What happens to calls besides, and how often in a thousand.
    pub(super) noise: Option<(Noise, u64)>,
    /// What watches take longer.
    pub(super) watch_delay: Millis,
    /// How many slow watches there were of which something may still be under way.
    pub(super) late_watches: u32,
}

/// What can happen to a single call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noise {
    /// Refused for a conflict although there is none.
    Conflict,
    /// An error, and it never took effect.
    ErrorBefore,
    /// An error, and it took effect.
    ErrorAfter,
    /// No answer, and it never took effect.
    Hang,
    /// No answer, and it took effect.
    HangAfter,
    /// The request takes this long.
    SlowRequest(Millis),
    /// The answer takes this long.
    SlowAnswer(Millis),
    /// Writes of the Lease take this long to take effect, and nothing else does.
    SlowWrites(Millis),
    /// Any of them.
    Any,
}

/// The call failed, and this is what the client says.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Lost(pub(super) &'static str);

/// How a call fails.
#[derive(Clone, Copy, Debug)]
pub(super) enum Failure {
    Conflict,
    Lost(Lost),
}

impl LineState {
    pub(super) fn cut(&mut self, requests: bool, answers: bool, resends: bool) {
        self.requests_cut += u32::from(requests);
        self.answers_cut += u32::from(answers);
        self.resends = resends;
    }

    /// Takes a cut back; whether requests go through now.
    pub(super) fn mend(&mut self, requests: bool, answers: bool) -> bool {
        self.requests_cut = self.requests_cut.saturating_sub(u32::from(requests));
        self.answers_cut = self.answers_cut.saturating_sub(u32::from(answers));
        self.requests_cut == 0
    }

    pub(super) fn answers_are_lost(&self) -> bool {
        self.answers_cut > 0
    }

    pub(super) fn is_connected(&self) -> bool {
        self.requests_cut == 0 && self.answers_cut == 0
    }

    /// Whether watches bring what is new without more delay than anything takes.
    pub(super) fn is_watched_in_time(&self) -> bool {
        self.is_connected() && self.late_watches == 0
    }

    /// Whether nothing is wrong with it.
    pub(super) fn is_fine(&self) -> bool {
        self.is_watched_in_time() && self.noise.is_none()
    }

    pub(super) fn noise(&self, dice: &mut Dice) -> Option<Noise> {
        let (noise, often) = self.noise?;
        if !dice.per_mille(often) {
            return None;
        }
        let slow = 1 << dice.between(4, 13);
        Some(match (noise, dice.below(7)) {
            (Noise::SlowRequest(most), _) => Noise::SlowRequest(dice.between(1, most)),
            (Noise::SlowAnswer(most), _) => Noise::SlowAnswer(dice.between(1, most)),
            (Noise::Any, 0) => Noise::Conflict,
            (Noise::Any, 1) => Noise::ErrorBefore,
            (Noise::Any, 2) => Noise::ErrorAfter,
            (Noise::Any, 3) => Noise::Hang,
            (Noise::Any, 4) => Noise::HangAfter,
            (Noise::Any, 5) => Noise::SlowRequest(slow),
            (Noise::Any, _) => Noise::SlowAnswer(slow),
            (other, _) => other,
        })
    }
}

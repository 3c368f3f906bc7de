//! When failures of something that is tried again are worth a warning: when they last.
//!
//! An API server that was just told of a kind asks to come back in a second, and one that was restarted is away for some:
//! what mends itself is told as information, and nobody has to look at it.

use std::time::Duration;

use tokio::time::Instant;

/// What has failed for this long does not mend itself soon.
const LASTS: Duration = Duration::from_secs(10);

/// After this long without a failure the next one begins anew. Longer than an attempt with the pause before it may take.
const FORGOTTEN: Duration = Duration::from_mins(1);

/// Failures that follow one another without a success.
#[derive(Debug, Default)]
pub(super) struct Streak {
    began: Option<Instant>,
    last: Option<Instant>,
    has_lasted: bool,
}

/// What is to be told of a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It is the first: information.
    First,
    /// It has lasted: a warning, once.
    Lasting,
    /// Nothing that was not told.
    Nothing,
}

impl Streak {
    /// Another attempt failed.
    pub(super) fn failed(&mut self) -> Told {
        let now = Instant::now();
        if self.last.is_some_and(|last| now - last > FORGOTTEN) {
            self.ended();
        }
        self.last = Some(now);
        let Some(began) = self.began else {
            self.began = Some(now);
            return Told::First;
        };
        if now - began < LASTS || self.has_lasted {
            return Told::Nothing;
        }
        self.has_lasted = true;
        Told::Lasting
    }

    pub(super) fn ended(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_mends_itself_is_never_a_warning_and_what_lasts_is_one() {
        let mut streak = Streak::default();
        assert_eq!(streak.failed(), Told::First);
        advance(Duration::from_secs(9)).await;
        assert_eq!(streak.failed(), Told::Nothing);
        streak.ended();
        assert_eq!(streak.failed(), Told::First);
        advance(Duration::from_secs(5)).await;
        assert_eq!(streak.failed(), Told::Nothing);
        advance(Duration::from_secs(5)).await;
        assert_eq!(streak.failed(), Told::Lasting);
        advance(Duration::from_secs(5)).await;
        assert_eq!(streak.failed(), Told::Nothing);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_that_are_far_apart_do_not_last() {
        let mut streak = Streak::default();
        for _ in 0..3 {
            assert_eq!(streak.failed(), Told::First);
            advance(Duration::from_secs(61)).await;
        }
    }
}

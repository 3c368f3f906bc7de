//! How long a holder is waited for, whatever its record says.
//!
//! A standby goes by the `leaseDurationSeconds` of the record. What no replica of this operator can have written is not
//! waited for to the letter: a Lease that says two billion seconds would keep everybody out until somebody edits it.
//!
//! | the record says | waited for | because |
//! |---|---|---|
//! | 1 to 3600 seconds, with an incarnation | what it says | it may be a replica with another lease duration, such as in a rolling update that changes it |
//! | the same without an incarnation | what it says, and at most ten times the own duration | it is another program's, or was written by hand |
//! | more than 3600 seconds | ten times the own duration, and at most an hour | no replica accepts such a setting |
//! | nothing, zero or less | the own duration | it promises nothing, and its holder may well be a replica |
//!
//! Less than the own duration is waited for only where the record says so: the promise is the holder's own.

use std::time::Duration;

use super::lease::Record;
use crate::timing::{LONGEST, Timing};

/// How many times the own duration a record that no replica of this operator wrote is waited for at most.
const MOST: u32 = 10;

/// How long one replica waits for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Waits {
    /// Its own lease duration.
    pub(crate) duration: Duration,
    /// The unit of patience: how long a named successor goes first, and half of what is waited where there is no Lease.
    pub(crate) retry_period: Duration,
    /// How long it leaves to others what it wrote itself, and heard of too late.
    pub(crate) leave: Duration,
}

/// How long the holder that a record names is waited for since the record last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// As long as the record says.
    Stated(Duration),
    /// The record says something else, or nothing.
    Bounded(Duration),
}

impl Patience {
    pub(crate) fn duration(self) -> Duration {
        match self {
            Self::Stated(duration) | Self::Bounded(duration) => duration,
        }
    }
}

impl Waits {
    pub(crate) fn of(timing: &Timing) -> Self {
        // A standby needs the duration and up to two retry periods by its own clock, which may be as much slower than
        // this replica's as the rates may differ at most.
        let needed = timing.duration() + timing.retry_period() * 2;
        let rates = timing.duration().as_secs_f64() / timing.renew_deadline().as_secs_f64();
        Self {
            duration: timing.duration(),
            retry_period: timing.retry_period(),
            leave: needed.mul_f64(rates),
        }
    }

    /// How long the holder of `record` is waited for.
    pub(crate) fn patience(&self, record: &Record) -> Patience {
        let longest = Duration::from_secs(LONGEST.unsigned_abs());
        let most = (self.duration * MOST).min(longest);
        let stated = record.stated_duration();
        match stated.map(u64::try_from) {
            None | Some(Ok(0) | Err(_)) => Patience::Bounded(self.duration),
            Some(Ok(seconds)) => {
                let stated = Duration::from_secs(seconds);
                let ours = stated <= longest && record.incarnation().is_some();
                if ours || stated <= most {
                    Patience::Stated(stated)
                } else {
                    Patience::Bounded(most)
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_to_others_is_longer_than_they_need_by_the_slowest_clock_that_is_allowed() {
        // 15 + 2 * 2 seconds on a clock that goes 15 : 10 slower.
        let waits = Waits::of(&Timing::default());
        assert_eq!(waits.leave, Duration::from_millis(28_500));
    }
}

//! How long a holder is waited for, whatever its record says.
//!
//! A standby goes by the `leaseDurationSeconds` of the record. What no replica of this operator can have written is not
//! waited for to the letter: a Lease that says two billion seconds would keep everybody out until somebody edits it.
//!
//! | the record says | waited for | because |
//! |---|---|---|
//! | 1 to 3600 seconds, with an incarnation | what it says | it may be a replica with another `LEASE_DURATION_SECONDS`, such as in a rolling update that changes it |
//! | the same without an incarnation | what it says, and at most ten times the own duration | it is another program's, or was written by hand |
//! | more than 3600 seconds | ten times the own duration, and at most an hour | no replica accepts such a setting |
//! | nothing, zero or less | the own duration | it promises nothing, and its holder may well be a replica |
//!
//! Less than the own duration is waited for only where the record says so: the promise is the holder's own.

use std::time::Duration;

use super::{config::LONGEST, record::Record};

/// How many times the own duration a record that no replica of this operator wrote is waited for at most.
const MOST: u32 = 10;

/// How long one replica waits for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Waits {
    /// Its own lease duration.
    pub duration: Duration,
    /// The unit of patience: how long a named successor goes first, and half of what is waited where there is no Lease.
    pub retry_period: Duration,
    /// How long it leaves to others what it wrote itself, and heard of too late.
    pub leave: Duration,
}

/// How long the holder that a record names is waited for since the record last changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Patience {
    /// As long as the record says.
    Stated(Duration),
    /// The record says something else, or nothing.
    Bounded(Duration),
}

impl Patience {
    pub(super) fn duration(self) -> Duration {
        match self {
            Self::Stated(duration) | Self::Bounded(duration) => duration,
        }
    }
}

impl Waits {
    /// How long the holder of `record` is waited for.
    pub(super) fn patience(&self, record: &Record) -> Patience {
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

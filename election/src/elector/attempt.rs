//! The writes of the Lease that this replica has sent, by which it knows them again wherever it sees them.
//!
//! An answer can be lost although the write took effect. A read or the watch then shows the record with this process's
//! incarnation and the `renewTime` of exactly that write, and that acknowledges it just as well: a term counts from when
//! the write was *sent*, however late it is heard of. For this no two writes of a process have the same `renewTime`.

use std::{collections::VecDeque, time::Duration};

use jiff::Timestamp;

use crate::{
    clock::Moment,
    identity::Identity,
    mutation::{self, Mutation},
    record::{Reason, Record},
};

/// One write that makes this replica the holder, or keeps it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Attempt {
    /// The `renewTime` that it writes, by which it is known again.
    pub(super) stamp: Timestamp,
    /// When it was sent, or a moment earlier.
    pub(super) sent: Moment,
    /// Why the Lease could be taken; `None` for a renewal.
    pub(super) reason: Option<Reason>,
}

/// The attempts of this process that may still count.
#[derive(Debug)]
pub(super) struct Attempts {
    /// How long an attempt is remembered: after the renew deadline no term can rest on it.
    kept_for: Duration,
    /// The last `renewTime`, in microseconds.
    last: i64,
    sent: VecDeque<Attempt>,
}

impl Attempts {
    pub(super) fn new(renew_deadline: Duration) -> Self {
        Self {
            kept_for: renew_deadline,
            last: i64::MIN,
            sent: VecDeque::new(),
        }
    }

    /// A new attempt, to be sent now. Its `renewTime` is `wall` in the precision of the API, or a microsecond more than
    /// the last one where the wall clock has not moved on or was set back.
    pub(super) fn begin(
        &mut self,
        wall: Timestamp,
        now: Moment,
        reason: Option<Reason>,
    ) -> Attempt {
        self.last = wall.as_microsecond().max(self.last.saturating_add(1));
        let attempt = Attempt {
            stamp: Timestamp::from_microsecond(self.last).unwrap_or(Timestamp::MAX),
            sent: now,
            reason,
        };
        self.sent
            .retain(|earlier| now.since(earlier.sent) <= self.kept_for);
        self.sent.push_back(attempt);
        attempt
    }

    /// The attempt that wrote `record`, if it was one of `me` that may still count.
    pub(super) fn behind(&self, record: &Record, me: &Identity) -> Option<Attempt> {
        if !record.is_held_by(me) {
            return None;
        }
        if mutation::is(Mutation::BelievesAnySight) {
            return self.sent.back().copied();
        }
        let stamp = record.renewed_at()?;
        self.sent
            .iter()
            .find(|attempt| attempt.stamp == stamp)
            .copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::{identity::Incarnation, record::Annotations};

    const RD: Duration = Duration::from_secs(10);

    fn at(seconds: u64) -> Moment {
        Moment::from_start(Duration::from_secs(seconds))
    }

    fn written(attempt: &Attempt, me: &Identity) -> Record {
        let names = Arc::new(Annotations::with_prefix("example.com"));
        let wall = attempt.stamp;
        Record::taken(&names, (None, None), Reason::Released, me, RD, wall)
    }

    #[test]
    fn no_two_attempts_are_alike_even_if_the_wall_clock_stands_still_or_is_set_back() {
        let mut attempts = Attempts::new(RD);
        let me = Identity::of_new_process("a", "uid-a");
        // Less than a microsecond apart, and then an hour back.
        let walls = [
            1_000_000_000,
            1_000_000_400,
            1_000_000_400,
            -3_599_000_000_000,
        ];
        let sent: Vec<Attempt> = (0..)
            .zip(walls)
            .map(|(second, wall)| {
                let wall = Timestamp::from_nanosecond(wall).unwrap();
                attempts.begin(wall, at(second), None)
            })
            .collect();
        for attempt in &sent {
            let seen = attempts.behind(&written(attempt, &me), &me);
            assert_eq!(seen, Some(*attempt), "it is known by its renewTime alone");
        }
    }

    #[test]
    fn a_renew_time_survives_the_api_server_which_keeps_microseconds() {
        let mut attempts = Attempts::new(RD);
        let me = Identity::of_new_process("a", "uid-a");
        let wall = Timestamp::from_nanosecond(1_700_000_000_123_456_789).unwrap();
        let attempt = attempts.begin(wall, at(1), None);
        let json = serde_json::to_string(&written(&attempt, &me).into_object()).unwrap();
        let names = Arc::new(Annotations::with_prefix("example.com"));
        let read = Record::new(serde_json::from_str(&json).unwrap(), &names);
        assert_eq!(attempts.behind(&read, &me), Some(attempt));
    }

    #[test]
    fn the_same_renew_time_of_another_process_is_no_attempt_of_this_one() {
        let mut attempts = Attempts::new(RD);
        let me = Identity::of_new_process("a", "uid-a");
        let attempt = attempts.begin(Timestamp::UNIX_EPOCH, at(1), None);
        let another_life = Identity::of_new_process("a", "uid-a");
        let another_name = Identity {
            pod_name: "b".to_owned(),
            incarnation: Incarnation::clone(&me.incarnation),
        };
        for other in [another_life, another_name] {
            assert_eq!(attempts.behind(&written(&attempt, &other), &me), None);
        }
    }

    #[test]
    fn what_no_term_can_rest_on_is_forgotten() {
        let mut attempts = Attempts::new(RD);
        let me = Identity::of_new_process("a", "uid-a");
        let old = attempts.begin(Timestamp::UNIX_EPOCH, at(1), None);
        for second in 2..1000 {
            attempts.begin(Timestamp::UNIX_EPOCH, at(second), None);
        }
        assert_eq!(attempts.behind(&written(&old, &me), &me), None);
        assert!(attempts.sent.len() <= 11, "{}", attempts.sent.len());
    }
}

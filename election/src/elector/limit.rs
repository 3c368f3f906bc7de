//! How long a call about the Lease may take.
//!
//! A call that was lost should be repeated soon, and one that is answered late should not be cut off each time. So calls
//! begin with a retry period; after one that got no answer the next may take twice as long, and after one that was
//! answered late the next may take twice what that one took.

use std::time::Duration;

use crate::timing::Timing;

/// The limit of the next call of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct CallLimit {
    least: Duration,
    most: Duration,
    next: Duration,
}

impl CallLimit {
    /// For writes: none is waited for beyond the renew deadline, after which no term could rest on it.
    pub(super) fn of_writes(timing: &Timing) -> Self {
        Self::new(timing.call_timeout(), timing.renew_deadline())
    }

    /// For reads: as long as for a take, so that what is slow is still answered and what is lost is repeated.
    pub(super) fn of_reads(timing: &Timing) -> Self {
        Self::new(timing.call_timeout(), timing.take_limit())
    }

    fn new(least: Duration, most: Duration) -> Self {
        Self {
            least,
            most: most.max(least),
            next: least,
        }
    }

    pub(super) fn next(self) -> Duration {
        self.next
    }

    /// The limit of a renewal, of which the term lasts `left`: where less than another retry period would be left after
    /// it, it may take until the deadline.
    pub(super) fn of_renewal(self, left: Duration) -> Duration {
        if self.next + self.least > left {
            left
        } else {
            self.next
        }
    }

    /// A call was answered after so long, whatever the answer was.
    pub(super) fn answered(&mut self, after: Duration) {
        self.next = (after * 2).clamp(self.least, self.most);
    }

    /// A call got no answer.
    pub(super) fn ran_out(&mut self) {
        self.next = (self.next * 2).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn it_grows_with_every_call_that_got_no_answer_and_goes_back_when_answers_are_quick() {
        let mut limit = CallLimit::of_writes(&Timing::default());
        let mut limits = Vec::new();
        for _ in 0..4 {
            limits.push(limit.next());
            limit.ran_out();
        }
        assert_eq!(limits, [2, 4, 8, 10].map(seconds));
        limit.answered(seconds(3));
        assert_eq!(limit.next(), seconds(6));
        limit.answered(Duration::from_millis(5));
        assert_eq!(limit.next(), seconds(2));
    }

    #[test]
    fn a_renewal_may_take_until_the_deadline_where_no_further_one_would_fit() {
        let limit = CallLimit::of_writes(&Timing::default());
        assert_eq!(limit.of_renewal(seconds(8)), seconds(2));
        assert_eq!(limit.of_renewal(seconds(3)), seconds(3));
        assert_eq!(limit.of_renewal(seconds(1)), seconds(1));
    }

    #[test]
    fn a_read_is_never_waited_for_longer_than_a_take() {
        let mut limit = CallLimit::of_reads(&Timing::default());
        (0..9).for_each(|_| limit.ran_out());
        assert_eq!(limit.next(), seconds(5));
    }
}

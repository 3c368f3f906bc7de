//! What a replica tells of the election while it takes part: log lines, metrics and Events, from both sides of a
//! failover.
//!
//! All three are told in one place, so that they agree. Times count from the last sign of life that this replica saw
//! of its predecessor: a renewal, or the release.

use tracing::{info, warn};

use super::Elector;
use crate::{
    clock::Moment,
    leader::{
        announce::Announcer,
        ending::Cause,
        lock::{Held, LeaseApi},
        record::{Observed, Reason, Record},
        waits::Patience,
    },
};

/// What has to be remembered to tell it.
#[derive(Debug, Default)]
pub(super) struct Story {
    announcer: Announcer,
    /// Who held the Lease last: a record that was released no longer says.
    last_holder: Option<String>,
    /// Who held the Lease when this replica last sent a take, and since when nothing was heard of it: the watch may show
    /// the take before its answer comes.
    before_take: Option<(Option<String>, Moment)>,
    /// The last sign of life of the predecessor of the present term.
    predecessor_seen: Option<Moment>,
    /// The holder, and the duration of its record, that is not waited for to the letter: told once.
    bounded: Option<(String, Option<i32>)>,
}

impl Story {
    pub(super) fn saw(&mut self, record: Option<&Record>) {
        if let Some(holder) = record.and_then(Record::holder) {
            self.last_holder = Some(holder.to_owned());
        }
    }
}

impl<A: LeaseApi> Elector<A> {
    /// Tells about the election through `announcer`; without one it says nothing in Events.
    #[must_use]
    pub fn announcing(mut self, announcer: Announcer) -> Self {
        self.story.announcer = announcer;
        self
    }

    /// A take is sent, because of what is observed now.
    pub(super) fn note_before_take(&mut self, reason: Reason) {
        if reason == Reason::Own {
            return;
        }
        if let Some(observed) = &self.observed {
            self.story.before_take = Some((self.story.last_holder.clone(), observed.changed_at()));
        }
    }

    /// The Lease was taken. To be told before what was observed is brought up to date, if that is still possible.
    pub(super) fn tell_taken(&mut self, held: &Held, reason: Reason) {
        let now = self.lock.clock().now();
        let observed = self.observed.as_ref();
        let now_seen = observed.map_or(held.sent, Observed::changed_at);
        let last_holder = self.story.last_holder.take();
        let before_take = self.story.before_take.take();
        let (previous, seen) = before_take
            .filter(|_| reason != Reason::Own)
            .unwrap_or((last_holder, now_seen));
        let lease_failover = now.since(seen);
        info!(
            lease = self.lock.config().name(),
            holder = self.lock.me().pod_name,
            previous_holder = previous,
            reason = reason.as_str(),
            transitions = held.record.transitions(),
            silence_ms = milliseconds(held.sent.since(seen)),
            lease_failover_ms = milliseconds(lease_failover),
            "took the Lease"
        );
        let deadline = held.sent + self.lock.config().renew_deadline();
        self.metrics.took(reason, lease_failover, deadline);
        self.story
            .announcer
            .acquired(&held.record, reason, previous.as_deref());
        self.story.predecessor_seen = Some(seen);
    }

    /// What to do about the first accepted write of the term that was just taken.
    pub(super) fn tell_first_write(&self) -> impl FnOnce(Moment) + Send + 'static {
        let metrics = self.metrics.clone();
        let (lease, holder) = (
            self.lock.config().name().to_owned(),
            self.lock.me().pod_name.clone(),
        );
        let seen = self.story.predecessor_seen;
        move |written| {
            let Some(seen) = seen else { return };
            let work_failover = written.since(seen);
            info!(
                lease,
                holder,
                work_failover_ms = milliseconds(work_failover),
                "the first write of the term was accepted"
            );
            metrics.first_write(work_failover);
        }
    }

    /// A renewal was acknowledged.
    pub(super) fn tell_renewed(&self, held: &Held) {
        let lasted = self.lock.clock().now().since(held.sent);
        let deadline = held.sent + self.lock.config().renew_deadline();
        self.metrics.renewed(lasted, deadline);
    }

    /// The term is over, and its work has stopped unless `cause` says otherwise.
    pub(super) fn tell_ended(&self, held: &Held, cause: Cause) {
        self.metrics.ended(cause);
        if cause == Cause::Released {
            return;
        }
        let successor = self
            .observed
            .as_ref()
            .and_then(Observed::existing)
            .and_then(Record::holder)
            .filter(|holder| *holder != self.lock.me().pod_name);
        warn!(
            lease = self.lock.config().name(),
            holder = self.lock.me().pod_name,
            successor,
            cause = cause.as_str(),
            transitions = held.record.transitions(),
            silence_ms = milliseconds(self.lock.clock().now().since(held.sent)),
            why = cause.why(),
            "stepped down"
        );
        self.story.announcer.lost(&held.record, cause);
    }

    /// Another holder's record was seen: says once for each whether it is waited for as long as it says.
    pub(super) fn tell_bounded(&mut self, record: Option<&Record>) {
        let Some(record) = record else { return };
        let Some(holder) = record
            .holder()
            .filter(|_| !record.is_held_by(self.lock.me()))
        else {
            return;
        };
        let Patience::Bounded(waited) = self.lock.config().waits().patience(record) else {
            self.story.bounded = None;
            return;
        };
        let told = (holder.to_owned(), record.stated_duration());
        if self.story.bounded.as_ref() == Some(&told) {
            return;
        }
        warn!(
            lease = self.lock.config().name(),
            holder,
            lease_duration_seconds = told.1,
            waited_seconds = waited.as_secs(),
            "the leaseDurationSeconds of the Lease is none that a replica writes: it is waited for a bounded time"
        );
        self.story.announcer.bounded(record, waited);
        self.story.bounded = Some(told);
    }

    /// The Lease was given back, to `successor` if one was named.
    pub(super) fn tell_released(&self, record: &Record, successor: Option<&str>) {
        info!(
            lease = self.lock.config().name(),
            holder = self.lock.me().pod_name,
            successor,
            transitions = record.transitions(),
            "released the Lease"
        );
        self.story.announcer.released(record, successor);
    }
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

//! What a replica tells of the election while it takes part: log lines, metrics and Events, from both sides of a
//! failover.
//!
//! All three are told in one place, so that they agree. Times count from the last sign of life that this replica saw
//! of its predecessor: a renewal, or the release.

use std::sync::Arc;

use tracing::{info, warn};

use super::{
    events::News,
    lock::{Held, LeaseApi},
    state::Elector,
};
use crate::{
    clock::Moment,
    record::{Cause, Observed, Patience, Reason, Record, Waits},
};

impl<A: LeaseApi> Elector<A> {
    /// A take is sent, because of what is observed now.
    pub(super) fn note_before_take(&mut self, reason: Reason) {
        if reason == Reason::Own {
            return;
        }
        if let Some(observed) = &self.observed {
            self.observations.before_take =
                Some((self.observations.last_holder.clone(), observed.changed_at()));
        }
    }

    /// The Lease was taken. To be told before what was observed is brought up to date, if that is still possible.
    pub(super) fn tell_taken(&mut self, held: &Held, reason: Reason) {
        let now = self.lock.clock.now();
        let observed = self.observed.as_ref();
        let now_seen = observed.map_or(held.sent, Observed::changed_at);
        let last_holder = self.observations.last_holder.take();
        let before_take = self.observations.before_take.take();
        let (previous, seen) = before_take
            .filter(|_| reason != Reason::Own)
            .unwrap_or((last_holder, now_seen));
        let lease_failover = now.since(seen);
        info!(
            lease = self.lock.name,
            holder = self.lock.me.pod_name,
            previous_holder = previous,
            %reason,
            transitions = held.record.transitions(),
            silence_ms = milliseconds(held.sent.since(seen)),
            lease_failover_ms = milliseconds(lease_failover),
            "took the Lease"
        );
        let deadline = held.sent + self.lock.timing.renew_deadline();
        self.lock.observer.took(reason, lease_failover, deadline);
        self.announcer
            .tell(&held.record, News::Acquired { reason, previous });
        self.observations.predecessor_seen = Some(seen);
    }

    /// What to do about the first accepted write of the term that was just taken.
    pub(super) fn tell_first_write(&self) -> impl FnOnce(Moment) + Send + 'static {
        let observer = Arc::clone(&self.lock.observer);
        let (lease, holder) = (self.lock.name.clone(), self.lock.me.pod_name.clone());
        let seen = self.observations.predecessor_seen;
        move |written| {
            let Some(seen) = seen else { return };
            let work_failover = written.since(seen);
            info!(
                lease,
                holder,
                work_failover_ms = milliseconds(work_failover),
                "the first write of the term was accepted"
            );
            observer.first_write(work_failover);
        }
    }

    /// A renewal was acknowledged.
    pub(super) fn tell_renewed(&self, held: &Held) {
        let lasted = self.lock.clock.now().since(held.sent);
        let deadline = held.sent + self.lock.timing.renew_deadline();
        self.lock.observer.renewed(lasted, deadline);
    }

    /// The term is over, and its work has stopped unless `cause` says otherwise.
    pub(super) fn tell_ended(&self, held: &Held, cause: Cause) {
        self.lock.observer.ended(cause);
        if cause == Cause::Released {
            return;
        }
        let successor = self
            .observed
            .as_ref()
            .and_then(Observed::existing)
            .and_then(Record::holder)
            .filter(|holder| *holder != self.lock.me.pod_name);
        warn!(
            lease = self.lock.name,
            holder = self.lock.me.pod_name,
            successor,
            %cause,
            transitions = held.record.transitions(),
            silence_ms = milliseconds(self.lock.clock.now().since(held.sent)),
            why = cause.why(),
            "stepped down"
        );
        self.announcer.tell(&held.record, News::Lost { cause });
    }

    /// Another holder's record was seen: says once for each whether it is waited for as long as it says.
    pub(super) fn tell_bounded(&mut self, record: Option<&Record>) {
        let Some(record) = record else { return };
        let Some(holder) = record
            .holder()
            .filter(|_| !record.is_held_by(&self.lock.me))
        else {
            return;
        };
        let Patience::Bounded(waited) = Waits::of(&self.lock.timing).patience(record) else {
            self.observations.bounded = None;
            return;
        };
        let told = (holder.to_owned(), record.stated_duration());
        if self.observations.bounded.as_ref() == Some(&told) {
            return;
        }
        warn!(
            lease = self.lock.name,
            holder,
            lease_duration_seconds = told.1,
            waited_seconds = waited.as_secs(),
            "the leaseDurationSeconds of the Lease is none that a replica writes: it is waited for a bounded time"
        );
        let news = News::Bounded {
            holder: told.0.clone(),
            stated: told.1,
            waited,
        };
        self.announcer.tell(record, news);
        self.observations.bounded = Some(told);
    }

    /// The Lease was given back, to `successor` if one was named.
    pub(super) fn tell_released(&self, record: &Record, successor: Option<&str>) {
        info!(
            lease = self.lock.name,
            holder = self.lock.me.pod_name,
            successor,
            transitions = record.transitions(),
            "released the Lease"
        );
        let successor = successor.map(str::to_owned);
        self.announcer.tell(record, News::Released { successor });
    }
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

//! Leading: renewing until the term comes to its end.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    active::{ActiveTerm, Ending},
    attempt::Attempt,
    call::{self, Found, Write},
    lock::{Held, LeaseApi, LeaseError},
    state::Elector,
    watchdog::Watchdog,
};
use crate::{
    clock::{Clock, Moment, sleep_until},
    errors::Chain,
    mutation::{self, Mutation},
    record::{Cause, Observed, Record},
};

impl<A: LeaseApi> Elector<A> {
    /// Renews until the term comes to its end, and says how it did.
    ///
    /// One renewal is under way at a time. It is acknowledged by its answer, or by any sight of it in the Lease; while
    /// it goes without, the Lease is read once in a retry period.
    pub(super) async fn keep(
        &mut self,
        active: &mut ActiveTerm,
        shutdown: &CancellationToken,
    ) -> Ending {
        let clock = Arc::clone(&self.lock.clock);
        let retry = self.lock.timing.retry_period();
        if mutation::is(Mutation::NeverRenews) {
            active.next_renew = active.held.sent + self.lock.timing.duration() * 2;
        }
        let mut drained_by = None;
        let mut next_doubt = clock.now();
        let mut watchdog = self.watchdog();
        loop {
            self.pulse.beat();
            let (now, deadline) = (clock.now(), active.control.deadline());
            if now > deadline {
                return Ending::Lost(Cause::Deadline);
            }
            if now >= active.next_renew && now < deadline {
                self.start_to_renew(active, deadline);
            }
            let mut wake = deadline;
            // While it winds up, the drain timeout bounds it.
            if let Some(watchdog) = watchdog.as_mut().filter(|_| drained_by.is_none()) {
                if watchdog.is_stuck(active.control.progress(), now) {
                    return Ending::WorkStuck;
                }
                wake = wake.min(watchdog.next_look());
            }
            if let Some(write) = self.write.as_ref().filter(|write| !write.settled) {
                let look = self.next_read.max(write.attempt.sent + retry);
                if now >= look {
                    self.start_to_read();
                }
                if self.reading.is_none() {
                    wake = wake.min(look);
                }
            } else {
                wake = wake.min(active.next_renew);
            }
            tokio::select! {
                biased;
                ended = active.work.join_next() => {
                    let failure = ended.and_then(Result::err);
                    if failure.is_none() && clock.now() > deadline {
                        // It heeded its term, and did so before this loop looked at the clock.
                        return Ending::Lost(Cause::Deadline);
                    }
                    return match (drained_by, failure) {
                        (Some(_), None) => Ending::WoundUp,
                        (_, failure) => Ending::WorkEnded(failure),
                    };
                }
                () = shutdown.cancelled(), if drained_by.is_none() => {
                    if mutation::is(Mutation::WritesOn) {
                        return Ending::WoundUp;
                    }
                    if mutation::is(Mutation::ReleasesBeforeTheWorkStopped) {
                        self.try_to_release(active.held.record.clone()).await;
                    }
                    info!("winding up before the Lease is released");
                    active.control.wind_down();
                    drained_by = Some(clock.now() + self.drain_timeout);
                }
                () = until(clock.as_ref(), drained_by) => {
                    warn!(timeout = ?self.drain_timeout, "the work did not wind up in time and is dropped");
                    return Ending::WoundUp;
                }
                (write, result) = call::written(&mut self.write) => {
                    self.renewal_answered(active, &write, result);
                }
                answered = call::read(&mut self.reading) => match self.take_in(answered) {
                    Found::Mine(record) => {
                        let (sent, changed) = (active.held.sent, record.version() != active.held.record.version());
                        self.adopt(active, *record);
                        if changed && active.held.sent == sent && self.write.is_none() {
                            // Somebody else's edit was in the way of a renewal.
                            active.next_renew = clock.now();
                        }
                    }
                    Found::NotMine => return Ending::Lost(Cause::Lost),
                    Found::Nothing => {}
                },
                () = active.control.doubted(), if clock.now() >= next_doubt => {
                    // The fence refused a write of this term. Should it be the fence that is wrong, the doubt comes
                    // again with each write, so it is not followed more often than the Lease is renewed.
                    next_doubt = clock.now() + retry;
                    self.read_anew();
                }
                news = self.holder.next() => {
                    // Of the predecessor: that its death is proven after a takeover by a hint. The next renewal says so.
                    self.holder.learn(news);
                    self.allow_foreign(active);
                }
                change = self.changes.next() => {
                    self.heard(change);
                    self.compare(active);
                }
                () = sleep_until(clock.as_ref(), wake) => {
                    if clock.now() >= deadline {
                        // The deadline itself is still within the term: let the clock pass it.
                        clock.sleep(Duration::from_millis(1)).await;
                    }
                }
            }
        }
    }

    fn watchdog(&self) -> Option<Watchdog> {
        let limit = self.stuck_after?;
        Some(Watchdog::new(limit, self.lock.clock.now()))
    }

    /// Has the work write to other clusters from when it may, by what is known of the leaders before.
    pub(super) fn allow_foreign(&mut self, active: &ActiveTerm) {
        if self.holder.is_dead() {
            self.unproven.prove();
        }
        active.control.allow_foreign_from(self.unproven.until());
    }

    /// Sends the next renewal, unless one is under way that may still be answered.
    fn start_to_renew(&mut self, active: &mut ActiveTerm, deadline: Moment) {
        if self.write.as_ref().is_some_and(|write| !write.settled) {
            return;
        }
        let now = self.lock.clock.now();
        if self.holder.is_dead() {
            active.held.record.prove();
        }
        active.held.record.state_unproven(self.unproven.left(now));
        let record = &active.held.record;
        let attempt = self.attempts.begin(self.lock.wall(), now, None);
        let limit = self.write_limit.of_renewal(deadline.since(now));
        self.write = Some(Write {
            attempt,
            base: record.version().map(str::to_owned),
            settled: false,
            answer: self.lock.renew(record, attempt, limit),
        });
    }

    fn renewal_answered(
        &mut self,
        active: &mut ActiveTerm,
        write: &Write,
        result: Result<Held, LeaseError>,
    ) {
        if write.settled {
            return;
        }
        let asked = write.attempt.sent;
        self.write_lasted(asked, &result);
        match result {
            Ok(held) => {
                self.see(Some(held.record.clone()));
                self.acknowledge(active, held, write.attempt);
            }
            Err(error) => {
                warn!(error = %Chain(&error), "failed to renew the Lease");
                active.next_renew = self.again_after_failure(asked);
                // After a conflict the truth is a read away; after anything else the write may have taken place, and
                // the next one will meet a conflict if it did.
                if matches!(error, LeaseError::Conflict { .. }) {
                    self.start_to_read();
                }
            }
        }
    }

    /// Compares what the watch said with the term.
    fn compare(&mut self, active: &mut ActiveTerm) {
        let existing = self.observed.as_ref().and_then(Observed::existing);
        match existing.filter(|record| record.is_held_by(&self.lock.me)) {
            Some(record) => {
                let (record, edited) =
                    (record.clone(), !record.states(self.lock.timing.duration()));
                self.adopt(active, record);
                if edited {
                    // Somebody edited what standbys go by: the next renewal puts it right.
                    active.next_renew = self.lock.clock.now();
                }
            }
            // What the watch says may be older than our own last write: a read tells.
            None => self.read_anew(),
        }
    }

    /// Takes over the record of this replica as it was seen, and what it acknowledges.
    fn adopt(&mut self, active: &mut ActiveTerm, record: Record) {
        let changed = record.version() != active.held.record.version();
        if let Some((held, attempt)) = self.sighted()
            && attempt.sent > active.held.sent
        {
            if let Some(write) = self.write.as_mut().filter(|write| write.attempt == attempt) {
                // Its answer is near or lost: it costs nothing to leave it room until the next renewal is due.
                write.settled = true;
            }
            self.write_lasted(attempt.sent, &Ok(()));
            self.acknowledge(active, held, attempt);
        } else if changed {
            active.held.record = record;
        }
        let under_way = self.write.is_some();
        self.give_up_what_is_overtaken();
        if under_way && self.write.is_none() {
            active.next_renew = self.lock.clock.now();
        }
    }

    /// A renewal has taken place: the term lasts from when it was sent.
    fn acknowledge(&mut self, active: &mut ActiveTerm, held: Held, attempt: Attempt) {
        // It prolongs a term, and does not revive one.
        if self.lock.clock.now() > active.control.deadline() {
            return;
        }
        active.next_renew = attempt.sent + self.lock.timing.retry_period();
        active.control.prolong(self.deadline(&held));
        self.tell_renewed(&held);
        self.acknowledged.send_replace(Some(attempt.stamp));
        active.held = held;
    }
}

/// Waits for `moment`, and forever if there is none.
async fn until(clock: &dyn Clock, moment: Option<Moment>) {
    match moment {
        Some(moment) => sleep_until(clock, moment).await,
        None => std::future::pending().await,
    }
}

//! Standing by: watching the Lease, and taking it when it may be taken.

use std::{future::Future, pin::Pin, sync::Arc};

use futures::StreamExt;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    attempt::Attempt,
    call::{self, Write},
    lock::{Held, LeaseApi, LeaseError},
    state::Elector,
};
use crate::{
    clock::{Moment, sleep_until},
    errors::Chain,
    record::{Observed, Reason, Unproven, Verdict},
    status::LeadershipStatus,
};

impl<A: LeaseApi> Elector<A> {
    /// Watches the Lease until it is this replica's; `None` on shutdown.
    ///
    /// A take that is under way is given up on shutdown only after a while: its answer tells whether there is something
    /// to release.
    pub(super) async fn contend(
        &mut self,
        mut ready: Pin<&mut impl Future<Output = ()>>,
        is_ready: &mut bool,
        shutdown: &CancellationToken,
    ) -> Option<Held> {
        let clock = Arc::clone(&self.lock.clock);
        let retry = self.lock.timing.retry_period();
        let mut given_up_at = None;
        loop {
            self.pulse.beat();
            if let Some(held) = self.won_by_sight() {
                return Some(held);
            }
            self.give_up_what_is_overtaken();
            let now = clock.now();
            if shutdown.is_cancelled() {
                let given_up_at = *given_up_at.get_or_insert(now + retry);
                if self.write.is_none() || now >= given_up_at {
                    self.write = None;
                    return None;
                }
            }
            let verdict = self.verdict(now);
            self.show(verdict);
            let mut wake = given_up_at.unwrap_or(now + retry);
            match verdict {
                Some(Verdict::Wait { until }) => wake = wake.min(until),
                Some(Verdict::Take(reason))
                    if *is_ready && self.write.is_none() && !shutdown.is_cancelled() =>
                {
                    if self.blind && reason == Reason::Own {
                        // The last write may have taken place: a read tells, and until then another would only keep
                        // others out for longer.
                    } else if now >= self.next_take {
                        self.start_to_take(reason);
                    } else {
                        wake = wake.min(self.next_take);
                    }
                }
                _ => {}
            }
            if now >= self.next_read {
                self.start_to_read();
            }
            if self.reading.is_none() {
                wake = wake.min(self.next_read);
            }
            tokio::select! {
                biased;
                () = shutdown.cancelled(), if given_up_at.is_none() => {}
                () = &mut ready, if !*is_ready => *is_ready = true,
                (write, result) = call::written(&mut self.write) => {
                    if let Some(held) = self.take_answered(&write, result) {
                        return Some(held);
                    }
                }
                answered = call::read(&mut self.reading) => drop(self.take_in(answered)),
                change = self.changes.next() => self.heard(change),
                news = self.holder.next() => if self.holder.learn(news) {
                    self.next_take = clock.now();
                },
                () = sleep_until(clock.as_ref(), wake) => {}
            }
        }
    }

    fn start_to_take(&mut self, reason: Reason) {
        self.note_before_take(reason);
        let Some(observed) = &self.observed else {
            return;
        };
        let now = self.lock.clock.now();
        if reason != Reason::Own {
            self.unproven = Unproven::after(observed, reason);
        }
        let unproven = self.unproven.left(now);
        let attempt = self.attempts.begin(self.lock.wall(), now, Some(reason));
        let limit = self.write_limit.next().min(self.lock.timing.take_limit());
        self.write = Some(Write {
            attempt,
            base: observed.version().map(str::to_owned),
            settled: false,
            answer: self.lock.take(observed, attempt, reason, unproven, limit),
        });
    }

    /// Takes in the answer to a take; what is held if there is a term to begin.
    fn take_answered(&mut self, write: &Write, result: Result<Held, LeaseError>) -> Option<Held> {
        let asked = write.attempt.sent;
        self.write_lasted(asked, &result);
        match result {
            Ok(held) if self.is_in_time(write.attempt) => {
                return Some(self.won(held, write.attempt));
            }
            // Such as after a SIGSTOP: what is left is too little to begin with.
            Ok(held) => drop(self.see(Some(held.record))),
            Err(LeaseError::Conflict { .. }) => {
                debug!("another replica was faster");
                // If nothing has changed although it was refused, asking again at once would only spin.
                self.next_take = self.again_after_failure(asked);
                self.read_anew();
            }
            Err(error) => {
                warn!(error = %Chain(&error), "failed to take the Lease");
                self.next_take = self.again_after_failure(asked);
                self.blind = true;
                if write.attempt.reason == Some(Reason::Own) {
                    self.next_read = self.next_read.min(self.next_take);
                }
            }
        }
        None
    }

    /// Whether a term may begin by this attempt now.
    fn is_in_time(&self, attempt: Attempt) -> bool {
        self.lock.clock.now().since(attempt.sent) <= self.lock.timing.take_limit()
    }

    /// A take, or a renewal of a term that is over, was seen to have taken place in time.
    fn won_by_sight(&mut self) -> Option<Held> {
        let (held, attempt) = self
            .sighted()
            .filter(|(_, attempt)| self.is_in_time(*attempt))?;
        let asked = attempt.sent;
        debug!("the Lease shows a write of this replica, whose answer is outstanding or lost");
        self.write_lasted(asked, &Ok(()));
        if let Some(write) = &mut self.write {
            write.settled = write.attempt == attempt;
        }
        self.write.take_if(|write| !write.settled);
        Some(self.won(held, attempt))
    }

    fn won(&mut self, held: Held, attempt: Attempt) -> Held {
        let reason = attempt.reason.unwrap_or(Reason::Own);
        self.tell_taken(&held, reason);
        if reason == Reason::Hint {
            self.holder.acted_on_hint();
        }
        self.see(Some(held.record.clone()));
        self.acknowledged.send_replace(Some(attempt.stamp));
        // A read that was sent before the take may know nothing of it.
        self.reading = None;
        let since = held.record.acquired().unwrap_or_default();
        self.set_status(LeadershipStatus::Leading { since });
        held
    }

    /// Whether the Lease shows a take of this replica that was not acknowledged in time.
    pub(super) fn is_unheard(&self) -> bool {
        let existing = self.observed.as_ref().and_then(Observed::existing);
        existing.is_some_and(|record| {
            // A renewal changes the one time and not the other.
            let is_take = record.renewed_at() == record.acquired();
            let is_acknowledged = record.renewed_at() == *self.acknowledged.borrow();
            is_take && record.is_held_by(&self.lock.me) && !is_acknowledged
        })
    }

    /// What has to be looked up before the Lease may be taken again after a term: whether its last renewal took place.
    pub(super) fn look_before_the_next_take(&mut self) {
        let now: Moment = self.lock.clock.now();
        self.write = None;
        self.blind = true;
        (self.next_read, self.next_take) = (now, now);
    }
}

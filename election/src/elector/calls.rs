//! The calls that are under way: at most one write and one read, beside everything else that the election waits for.

use std::time::Duration;

use tracing::{debug, info, warn};

use super::{
    attempt::Attempt,
    call::{self, Answered, Found, Read},
    lock::{Held, LeaseApi, LeaseError},
    state::Elector,
};
use crate::{
    clock::Moment,
    errors::Chain,
    mutation::{self, Mutation},
    record::{Observed, Record},
};

/// Between two calls that hang, what else the election waits for gets its turn.
const OTHERS_TURN: Duration = Duration::from_millis(10);

impl<A: LeaseApi> Elector<A> {
    /// Reads the Lease, unless a read is under way.
    pub(super) fn start_to_read(&mut self) {
        if self.reading.is_none() {
            self.read_anew();
        }
    }

    /// Reads the Lease as it is from now on; a read that was sent earlier may have missed what this one is about.
    pub(super) fn read_anew(&mut self) {
        self.reading = Some(Read {
            asked: self.lock.clock.now(),
            answer: self.lock.read(self.read_limit.next()),
        });
    }

    /// Reads, and waits for the answer.
    pub(super) async fn read(&mut self) -> Found {
        self.read_anew();
        let answered = call::read(&mut self.reading).await;
        self.take_in(answered)
    }

    /// A read found a change of the Lease before the watch told of it. A read that is sent right after a change is faster
    /// than a watch, as at the start of all replicas; a watch that has not told of a change for a retry period is silent.
    /// It is begun anew, which mends it; only where that was in vain somebody has to look.
    fn missed_by_watch(&mut self, now: Moment) {
        let since = *self.watch_is_behind_since.get_or_insert(now);
        let behind = now.since(since);
        if behind < self.lock.timing.retry_period() {
            return;
        }
        if self.watch_was_silent {
            warn!(
                ?behind,
                "the watch on the Lease is silent although it changes, again: watching anew"
            );
        } else {
            info!(
                ?behind,
                "the watch on the Lease is silent although it changes: watching anew"
            );
        }
        self.changes = self.lock.watch();
        self.watch_is_behind_since = None;
        self.watch_was_silent = true;
    }

    /// Takes in what a read says.
    pub(super) fn take_in(&mut self, answered: Answered<Option<Record>>) -> Found {
        let Answered { asked, result } = answered;
        let now = self.lock.clock.now();
        match &result {
            Err(LeaseError::TimedOut { .. }) => self.read_limit.ran_out(),
            _ => self.read_limit.answered(now.since(asked)),
        }
        match result {
            Ok(read) => {
                self.next_read = now + self.lock.timing.retry_period();
                self.blind = false;
                let observed = self.observed.as_ref();
                if observed.is_some_and(|known| known.has_overtaken(read.as_ref(), asked)) {
                    if read.is_none() {
                        // Whether the Lease exists decides what can be written.
                        self.next_read = now;
                    }
                    return Found::Nothing;
                }
                let (known, is_first) = (self.version(), self.observed.is_none());
                if self.see(read.clone()) && !is_first {
                    self.missed_by_watch(now);
                }
                let own = read
                    .as_ref()
                    .is_some_and(|record| record.is_held_by(&self.lock.me));
                if self.version() != known && !own {
                    // A new state is a new chance, whatever went wrong with the old one.
                    self.next_take = now;
                }
                let own = read.filter(|_| own);
                own.map_or(Found::NotMine, |record| Found::Mine(Box::new(record)))
            }
            Err(error) => {
                warn!(error = %Chain(&error), "failed to read the Lease");
                self.next_read = self.again_after_failure(asked);
                self.next_take = self.next_take.max(self.next_read);
                Found::Nothing
            }
        }
    }

    /// The resourceVersion of the Lease as it is known.
    pub(super) fn version(&self) -> Option<String> {
        let observed = self.observed.as_ref();
        observed.and_then(Observed::version).map(str::to_owned)
    }

    /// Notes how long the answer to a write took.
    pub(super) fn write_lasted<T>(&mut self, asked: Moment, result: &Result<T, LeaseError>) {
        match result {
            Err(LeaseError::TimedOut { .. }) => self.write_limit.ran_out(),
            _ => self
                .write_limit
                .answered(self.lock.clock.now().since(asked)),
        }
    }

    /// The write of this replica that the Lease shows, if a term could begin or last by it: what an answer would have said.
    pub(super) fn sighted(&self) -> Option<(Held, Attempt)> {
        if mutation::is(Mutation::IgnoresSights) {
            return None;
        }
        let record = self.observed.as_ref()?.existing()?;
        let attempt = self.attempts.behind(record, &self.lock.me)?;
        Some((self.lock.held(record.clone(), attempt.sent), attempt))
    }

    /// Gives up a write that can no longer succeed, because the Lease has changed since what it names.
    pub(super) fn give_up_what_is_overtaken(&mut self) {
        let version = self.version();
        let overtaken = self
            .write
            .take_if(|write| !write.settled && write.base != version);
        if overtaken.is_some() {
            debug!("a write of the Lease was overtaken and is given up");
        }
    }

    /// When to call again after a call that was made at `asked` and failed: sooner than after one that did not, and
    /// nearly at once if the failure took its time, so that the end of an outage is not slept through.
    pub(super) fn again_after_failure(&self, asked: Moment) -> Moment {
        let pause = self.lock.timing.retry_period() / 4;
        (self.lock.clock.now() + OTHERS_TURN).max(asked + pause)
    }
}

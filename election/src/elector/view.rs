//! What an elector sees of the Lease, by its watch and by reading, and what it lets others see of itself.

use k8s_openapi::api::coordination::v1::Lease;
use tracing::{debug, info};

use super::{
    lock::{LeaseApi, LeaseError},
    state::Elector,
};
use crate::{
    clock::Moment,
    errors::Chain,
    mutation::{self, Mutation},
    record::{Evidence, Observed, Reason, Record, Verdict, Waits, decide},
    status::LeadershipStatus,
};

impl<A: LeaseApi> Elector<A> {
    /// Takes in what the watch says.
    pub(super) fn heard(&mut self, change: Option<Result<Option<Lease>, LeaseError>>) {
        match change {
            // What a read has overtaken is no sign of life: neither of the holder nor of the watch.
            Some(Ok(lease)) => {
                let record = lease.map(|lease| self.lock.record(lease));
                let observed = self.observed.as_ref();
                if observed
                    .zip(record.as_ref())
                    .is_some_and(|(known, record)| known.is_newer_than(record))
                {
                    return;
                }
                self.watch_is_behind_since = None;
                self.watch_was_silent = false;
                self.next_read = self.lock.clock.now() + self.lock.timing.retry_period();
                let own = record
                    .as_ref()
                    .is_some_and(|record| record.is_held_by(&self.lock.me));
                // A new state is a new chance, whatever went wrong with the old one; unless it is the echo of this
                // replica's own write whose answer was lost: where all answers are lost, taking it anew each time it
                // is heard of would be a spin.
                if self.see(record) && !own {
                    self.next_take = self.lock.clock.now();
                }
            }
            Some(Err(error)) => debug!(
                error = %Chain(&error),
                "the watch on the Lease broke and is retried"
            ),
            None => self.changes = self.lock.watch(),
        }
    }

    /// What is to be done about the Lease; `None` while nothing is known of it.
    pub(super) fn verdict(&mut self, now: Moment) -> Option<Verdict> {
        let observed = self.observed.as_ref()?;
        if mutation::is(Mutation::TrustsRenewTime)
            && observed
                .record()
                .is_some_and(|record| self.lock.seems_old(record))
        {
            return Some(Verdict::Take(Reason::Expired));
        }
        let unheard = self.is_unheard();
        let evidence = Evidence {
            unheard,
            ..self.holder.evidence().clone()
        };
        Some(decide(observed, &self.lock.me, &evidence, now))
    }

    /// Notes a state of the Lease; whether it is news.
    pub(super) fn see(&mut self, record: Option<Record>) -> bool {
        let now = self.lock.clock.now();
        self.observations.saw(record.as_ref());
        self.holder.follow(record.as_ref(), &self.lock.me);
        self.tell_bounded(record.as_ref());
        match &mut self.observed {
            Some(observed) => observed.update(record, now),
            none => {
                *none = Some(Observed::first(record, now, Waits::of(&self.lock.timing)));
                true
            }
        }
    }

    pub(super) fn show(&self, verdict: Option<Verdict>) {
        let record = self.observed.as_ref().and_then(Observed::record);
        let status = match (verdict, record) {
            (Some(Verdict::Wait { .. }), Some(record)) => LeadershipStatus::StandingBy {
                leader: record.holder().unwrap_or_default().to_owned(),
                since: record.acquired(),
            },
            _ => LeadershipStatus::Leaderless,
        };
        let leader = match &status {
            LeadershipStatus::StandingBy { leader, .. } => Some(leader.clone()),
            _ => None,
        };
        if self.set_status(status)
            && let Some(holder) = leader
        {
            let transitions = record.map(Record::transitions);
            info!(lease = self.lock.name, holder, transitions, "standing by");
        }
    }
}

//! What an elector sees of the Lease, by its watch and by reading, and what it lets others see of itself.

use k8s_openapi::api::coordination::v1::Lease;
use tracing::{debug, info};

use super::Elector;
use crate::{
    clock::Moment,
    errors::Chain,
    leader::{
        lock::{LeaseApi, LeaseError},
        record::{Evidence, Observed, Reason, Record, Verdict, decide},
        standing::Standing,
    },
    mutation::{self, Mutation},
};

impl<A: LeaseApi> Elector<A> {
    /// Takes in what the watch says.
    pub(super) fn heard(&mut self, change: Option<Result<Option<Lease>, LeaseError>>) {
        match change {
            // What a read has overtaken is no sign of life: neither of the holder nor of the watch.
            Some(Ok(lease)) => {
                let record = lease.map(Record::new);
                let observed = self.observed.as_ref();
                if observed
                    .zip(record.as_ref())
                    .is_some_and(|(known, record)| known.is_newer_than(record))
                {
                    return;
                }
                self.watch_is_behind_since = None;
                self.watch_was_silent = false;
                self.next_read = self.lock.clock().now() + self.lock.config().retry_period();
                let own = record
                    .as_ref()
                    .is_some_and(|record| record.is_held_by(self.lock.me()));
                // A new state is a new chance, whatever went wrong with the old one; unless it is the echo of this
                // replica's own write whose answer was lost: where all answers are lost, taking it anew each time it
                // is heard of would be a spin.
                if self.see(record) && !own {
                    self.next_take = self.lock.clock().now();
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
        Some(decide(observed, self.lock.me(), &evidence, now))
    }

    /// Notes a state of the Lease; whether it is news.
    pub(super) fn see(&mut self, record: Option<Record>) -> bool {
        let now = self.lock.clock().now();
        self.story.saw(record.as_ref());
        self.holder.follow(record.as_ref(), self.lock.me());
        self.tell_bounded(record.as_ref());
        match &mut self.observed {
            Some(observed) => observed.update(record, now),
            none => {
                *none = Some(Observed::first(record, now, self.lock.config().waits()));
                true
            }
        }
    }

    pub(super) fn show(&self, verdict: Option<Verdict>) {
        let record = self.observed.as_ref().and_then(Observed::record);
        let standing = match (verdict, record) {
            (Some(Verdict::Wait { .. }), Some(record)) => Standing::StandingBy {
                leader: record.holder().unwrap_or_default().to_owned(),
                since: record.acquired(),
            },
            _ => Standing::Leaderless,
        };
        self.standing.send_if_modified(|shown| {
            let changed = *shown != standing;
            if changed {
                if let Standing::StandingBy { leader, .. } = &standing {
                    let lease = self.lock.config().name();
                    let transitions = record.map(Record::transitions);
                    info!(lease, holder = leader, transitions, "standing by");
                }
                *shown = standing;
            }
            changed
        });
    }
}

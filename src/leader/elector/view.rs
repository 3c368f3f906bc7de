//! What an elector sees of the Lease, by its watch and by reading, and what it lets others see of itself.

use k8s_openapi::api::coordination::v1::Lease;
use tracing::{debug, info, warn};

use super::Elector;
use crate::{
    clock::Moment,
    errors::Chain,
    leader::{
        lock::{LeaseApi, LeaseError},
        record::{Observed, Reason, Record, Verdict, decide},
        standing::Standing,
    },
    mutation::{self, Mutation},
};

/// Changes that reads found and the watch did not tell, after which the watch is given up and started anew.
const MISSED_BY_WATCH: u32 = 2;

impl<A: LeaseApi> Elector<A> {
    /// Takes in what a read says; `None` if the read failed.
    pub(super) async fn read(&mut self) -> Option<Option<Record>> {
        let asked = self.lock.clock().now();
        let result = self.lock.read().await;
        self.next_read = self.lock.clock().now() + self.lock.config().retry_period();
        match result {
            Ok(read) => {
                if self.see(read.clone()) {
                    self.missed_by_watch += 1;
                }
                if self.missed_by_watch >= MISSED_BY_WATCH {
                    warn!("the watch on the Lease is silent although it changes: watching anew");
                    self.changes = self.lock.watch();
                    self.missed_by_watch = 0;
                }
                Some(read)
            }
            Err(error) => {
                warn!(error = %Chain(&error), "failed to read the Lease");
                self.next_read = self.again_after_failure(asked);
                self.next_take = self.next_take.max(self.next_read);
                None
            }
        }
    }

    /// Takes in what the watch says.
    pub(super) fn heard(&mut self, change: Option<Result<Option<Lease>, LeaseError>>) {
        match change {
            // What a read has overtaken is no sign of life: neither of the holder nor of the watch.
            Some(Ok(Some(lease))) if self.is_old_news(&lease) => {}
            Some(Ok(lease)) => {
                self.missed_by_watch = 0;
                self.next_read = self.lock.clock().now() + self.lock.config().retry_period();
                let record = lease.map(Record::new);
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

    fn is_old_news(&self, lease: &Lease) -> bool {
        let observed = self.observed.as_ref();
        observed.is_some_and(|observed| observed.is_newer_than(lease))
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
        let evidence = self.holder.evidence();
        Some(decide(observed, self.lock.me(), evidence, now))
    }

    /// Notes a state of the Lease; whether it is news.
    pub(super) fn see(&mut self, record: Option<Record>) -> bool {
        let now = self.lock.clock().now();
        self.story.saw(record.as_ref());
        self.holder.follow(record.as_ref(), self.lock.me());
        match &mut self.observed {
            Some(observed) => observed.update(record, now),
            none => {
                *none = Some(Observed::first(
                    record,
                    now,
                    self.lock.config().retry_period(),
                ));
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

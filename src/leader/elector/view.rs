//! What an elector sees of the Lease, by its watch and by reading, and what it lets others see of itself.

use k8s_openapi::api::coordination::v1::Lease;
use tracing::{debug, info, warn};

use super::Elector;
use crate::{
    errors::Chain,
    leader::{
        lock::{LeaseApi, LeaseError},
        record::{Observed, Record, Verdict},
        standing::Standing,
    },
};

/// Changes that reads found and the watch did not tell, after which the watch is given up and started anew.
const MISSED_BY_WATCH: u32 = 2;

impl<A: LeaseApi> Elector<A> {
    /// Takes in what a read says; `None` if the read failed.
    pub(super) async fn read(&mut self) -> Option<Option<Record>> {
        let result = self.lock.read().await;
        let now = self.lock.clock().now();
        self.next_read = now + self.lock.config().retry_period();
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
                self.next_take = self.next_take.max(self.next_read);
                None
            }
        }
    }

    /// Takes in what the watch says.
    pub(super) fn heard(&mut self, change: Option<Result<Option<Lease>, LeaseError>>) {
        match change {
            Some(Ok(lease)) => {
                self.missed_by_watch = 0;
                self.next_read = self.lock.clock().now() + self.lock.config().retry_period();
                if self.see(lease.map(Record::new)) {
                    // A new state is a new chance, whatever went wrong with the old one.
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

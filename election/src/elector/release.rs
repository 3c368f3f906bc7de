//! Giving the Lease back, to the pod that should lead next.

use std::{sync::Arc, time::Duration};

use tracing::warn;

use super::{call::Found, lock::LeaseApi, state::Elector};
use crate::{
    clock::{sleep_until, within},
    errors::Chain,
    evidence::successor,
    mutation::{self, Mutation},
    record::Record,
};

/// How long a release is tried for. Together with the drain it has to fit into the pod's grace period.
pub const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// How long finding a successor may take. It is a courtesy: without one, whoever is first takes the Lease.
pub(crate) const SUCCESSOR_LIMIT: Duration = Duration::from_millis(500);

impl<A: LeaseApi> Elector<A> {
    /// Gives the Lease back, so that a standby need not wait for its expiry. Failing is no error: it then expires.
    pub(super) async fn release(&mut self, record: Record) {
        let clock = Arc::clone(&self.lock.clock);
        let limit = clock.now() + RELEASE_TIMEOUT;
        tokio::select! {
            biased;
            () = self.try_to_release(record) => {}
            () = sleep_until(clock.as_ref(), limit) => warn!("the Lease was not released and expires by itself"),
        }
    }

    pub(super) async fn try_to_release(&mut self, mut record: Record) {
        if mutation::is(Mutation::NeverRelease) {
            return;
        }
        // A renewal that is under way meets the release, or the other way round: the one that comes second is refused.
        self.write = None;
        let successor = self.successor().await;
        loop {
            let asked = self.lock.clock.now();
            record.state_unproven(self.unproven.left(asked));
            let limit = self.write_limit.next();
            let result = self
                .lock
                .release(&record, successor.as_deref(), limit)
                .await;
            self.write_lasted(asked, &result);
            match result {
                Ok(()) => {
                    self.tell_released(&record, successor.as_deref());
                    return;
                }
                Err(error) => warn!(error = %Chain(&error), "failed to release the Lease"),
            }
            match self.read().await {
                Found::Mine(read) => {
                    if read.version() == record.version() {
                        // Refused although nothing has changed: asking again at once would only spin.
                        let again = self.again_after_failure(asked);
                        sleep_until(self.lock.clock.as_ref(), again).await;
                    }
                    record = *read;
                }
                Found::NotMine => return,
                Found::Nothing => sleep_until(self.lock.clock.as_ref(), self.next_read).await,
            }
        }
    }

    /// The pod that should lead next, as far as that can be found out in a moment.
    async fn successor(&mut self) -> Option<String> {
        let pods = self.holder.list_pods()?;
        match within(self.lock.clock.as_ref(), SUCCESSOR_LIMIT, pods).await {
            Some(Ok(pods)) => successor(&pods, &self.lock.me.pod_name),
            Some(Err(error)) => {
                warn!(error = %Chain(&error), "no successor is named");
                None
            }
            None => {
                warn!(limit = ?SUCCESSOR_LIMIT, "no successor is named: the pods were not listed in time");
                None
            }
        }
    }
}

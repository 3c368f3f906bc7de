//! All that an elector knows while it runs.

use std::{sync::Arc, time::Duration};

use futures::stream::BoxStream;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use tokio::sync::watch;

use super::{
    attempt::Attempts,
    call::{Read, Write},
    events::Announcer,
    holder::{Holder, Sources},
    limit::CallLimit,
    lock::{LeaseApi, LeaseError, Lock},
};
use crate::{
    clock::Moment,
    fence::PerPolicy,
    record::{Observed, Record, Unproven},
    status::{LeadershipStatus, Pulse},
};

/// One replica's part in the election.
pub(crate) struct Elector<A> {
    pub(super) lock: Arc<Lock<A>>,
    pub(super) drain_timeout: Duration,
    /// After how long without progress the work counts as stuck.
    pub(super) stuck_after: Option<Duration>,
    pub(super) status: watch::Sender<LeadershipStatus>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) announcer: Announcer,
    /// The policies of the fence by name; none where there is no fence.
    pub(super) policies: Option<PerPolicy<String>>,
    pub(super) changes: BoxStream<'static, Result<Option<Lease>, LeaseError>>,
    /// Since when a change of the Lease is known by a read that the watch has not told of.
    pub(super) watch_is_behind_since: Option<Moment>,
    /// The watch was begun anew because it was silent, and has told nothing since.
    pub(super) watch_was_silent: bool,
    pub(super) observed: Option<Observed>,
    pub(super) attempts: Attempts,
    /// The `renewTime` of the last write that was acknowledged in time.
    pub(super) acknowledged: watch::Sender<Option<Timestamp>>,
    pub(super) write: Option<Write>,
    pub(super) reading: Option<Read>,
    pub(super) write_limit: CallLimit,
    pub(super) read_limit: CallLimit,
    /// A write got no answer, and the Lease has not been seen since.
    pub(super) blind: bool,
    pub(super) next_read: Moment,
    pub(super) next_take: Moment,
    pub(super) holder: Holder,
    pub(super) unproven: Unproven,
    pub(super) observations: Observations,
}

/// What an elector is made of beside its lock.
pub(crate) struct Setup {
    pub(crate) sources: Sources,
    /// How long the work may take to wind up on shutdown before it is dropped; together with [`RELEASE_TIMEOUT`] it has to
    /// fit into the pod's grace period.
    ///
    /// [`RELEASE_TIMEOUT`]: super::RELEASE_TIMEOUT
    pub(crate) drain_timeout: Duration,
    /// Ends a term whose work gives no sign of progress for this long; without it no such term is ended.
    pub(crate) stuck_after: Option<Duration>,
    pub(crate) announcer: Announcer,
    pub(crate) policies: Option<PerPolicy<String>>,
}

/// What has to be remembered to tell it.
#[derive(Debug, Default)]
pub(super) struct Observations {
    /// Who held the Lease last: a record that was released no longer says.
    pub(super) last_holder: Option<String>,
    /// Who held the Lease when this replica last sent a take, and since when nothing was heard of it: the watch may show
    /// the take before its answer comes.
    pub(super) before_take: Option<(Option<String>, Moment)>,
    /// The last sign of life of the predecessor of the present term.
    pub(super) predecessor_seen: Option<Moment>,
    /// The holder, and the duration of its record, that is not waited for to the letter: told once.
    pub(super) bounded: Option<(String, Option<i32>)>,
}

impl Observations {
    pub(super) fn saw(&mut self, record: Option<&Record>) {
        if let Some(holder) = record.and_then(Record::holder) {
            self.last_holder = Some(holder.to_owned());
        }
    }
}

impl<A: LeaseApi> Elector<A> {
    /// An elector that has not begun.
    pub(crate) fn new(lock: Lock<A>, setup: Setup) -> Self {
        let Setup {
            sources,
            drain_timeout,
            stuck_after,
            announcer,
            policies,
        } = setup;
        let (clock, timing) = (Arc::clone(&lock.clock), lock.timing);
        let now = clock.now();
        Self {
            attempts: Attempts::new(timing.renew_deadline()),
            acknowledged: watch::Sender::default(),
            write: None,
            reading: None,
            write_limit: CallLimit::of_writes(&timing),
            read_limit: CallLimit::of_reads(&timing),
            blind: false,
            changes: lock.api.watch(),
            lock: Arc::new(lock),
            drain_timeout,
            stuck_after,
            status: watch::Sender::default(),
            pulse: Arc::new(Pulse::new(Arc::clone(&clock), timing.duration())),
            announcer,
            policies,
            watch_is_behind_since: None,
            watch_was_silent: false,
            observed: None,
            next_read: now,
            next_take: now,
            holder: Holder::new(sources, clock, timing.duration()),
            unproven: Unproven::default(),
            observations: Observations::default(),
        }
    }

    /// Whether this replica leads, or who does.
    pub(crate) fn status(&self) -> watch::Receiver<LeadershipStatus> {
        self.status.subscribe()
    }

    /// Beats as long as the election loop goes on.
    pub(crate) fn pulse(&self) -> Arc<Pulse> {
        Arc::clone(&self.pulse)
    }

    /// Tells the `renewTime` of the last write of this replica that was acknowledged in time, of whichever term. That of
    /// the present one is there before the replica says that it leads.
    pub(crate) fn acknowledged(&self) -> watch::Receiver<Option<Timestamp>> {
        self.acknowledged.subscribe()
    }

    /// Notes whether it leads, or who does; whether that has changed.
    pub(super) fn set_status(&self, status: LeadershipStatus) -> bool {
        self.status.send_if_modified(|shown| {
            let changed = *shown != status;
            if changed {
                self.lock.observer.status(&status);
                *shown = status;
            }
            changed
        })
    }
}

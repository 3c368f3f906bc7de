//! What to look at, in which order: everything at the start of a term, then what changes or comes due.

use std::{
    cmp::Reverse,
    collections::{BTreeSet, HashSet},
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures::{Stream, stream};
use jiff::Timestamp;
use kube::{
    ResourceExt,
    api::DynamicObject,
    runtime::{
        controller::{ReconcileReason, ReconcileRequest},
        reflector::{ObjectRef, Store},
    },
};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, broadcast, broadcast::error::RecvError};
use tracing::{info, warn};

use super::{
    caches::Caches,
    changes::Change,
    timers::{Key, Timers, reference},
    wall_clock::{Steps, WallClock},
};
use crate::api::ScheduledMachine;

/// The requests of one term.
#[derive(Debug)]
pub(super) struct Queue {
    store: Store<ScheduledMachine>,
    changes: broadcast::Receiver<Change>,
    clock: Arc<dyn WallClock>,
    steps: Steps,
    work_slots: Arc<WorkSlots>,
    timers: Arc<Timers>,
    backlog: BTreeSet<QueueEntry>,
}

/// Hands out the backlog only as fast as it is worked off.
///
/// The runner keeps what it can't start at once in no particular order, so handing it everything would lose the order
/// that puts overdue objects first.
#[derive(Debug)]
pub(super) struct WorkSlots {
    slots: Semaphore,
    /// Whether something in the backlog has not been handed out.
    is_waited_for: AtomicBool,
    taken: Mutex<HashSet<Key>>,
}

/// An object's place in the order.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct QueueEntry {
    urgency: Urgency,
    priority: Reverse<u8>,
    due: Option<Timestamp>,
    object: Key,
}

/// How urgent an object is; the smaller, the sooner.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Urgency {
    /// By its status a boundary has passed that nobody acted on, or its machine is on its way out.
    Overdue,
    /// Its spec has not been looked at.
    Unseen,
    /// Nothing is known to be due.
    Routine,
}

impl Queue {
    pub(super) fn new(
        caches: &Caches,
        work_slots: Arc<WorkSlots>,
        timers: Arc<Timers>,
        clock: Arc<dyn WallClock>,
    ) -> Self {
        // Subscribed before the backlog is taken, so that no change falls between the two.
        let changes = caches.changes();
        let store = caches.store();
        let backlog = in_order(&store.state(), clock.now());
        work_slots.wait_for(&backlog);
        Self {
            store,
            changes,
            steps: Steps::new(Arc::clone(&clock)),
            clock,
            work_slots,
            timers,
            backlog,
        }
    }

    pub(super) fn into_stream(
        self,
    ) -> impl Stream<Item = Result<ReconcileRequest<ScheduledMachine>, Infallible>> + Send {
        stream::unfold(self, async |mut queue| {
            let request = queue.next().await;
            Some((Ok(request), queue))
        })
    }

    async fn next(&mut self) -> ReconcileRequest<ScheduledMachine> {
        loop {
            self.work_slots.wait_for(&self.backlog);
            tokio::select! {
                biased;
                change = self.changes.recv() => match change {
                    Ok(Change::Object(obj_ref)) => if !self.enqueue(&obj_ref) {
                        // What is remembered of one that is gone is to be dropped, and that takes no time.
                        return ReconcileRequest { obj_ref, reason: ReconcileReason::ObjectUpdated };
                    },
                    Ok(Change::All) => self.start_over(),
                    Err(RecvError::Lagged(missed)) => {
                        warn!(missed, "fell behind the watch, looking at all objects");
                        self.changes = self.changes.resubscribe();
                        self.start_over();
                    }
                    // The feed is gone, and its owner ends the process; what is queued may still be done.
                    Err(RecvError::Closed) => return std::future::pending().await,
                },
                due = self.timers.due() => for object in due {
                    self.enqueue(&reference(object));
                },
                () = self.work_slots.slot(), if !self.backlog.is_empty() => {
                    if let Some(place) = self.backlog.pop_first() {
                        let obj_ref = reference(place.object);
                        self.work_slots.take(&obj_ref);
                        self.work_slots.wait_for(&self.backlog);
                        return ReconcileRequest { obj_ref, reason: ReconcileReason::BulkReconcile };
                    }
                }
                () = self.steps.next() => {
                    info!("the wall clock was stepped, looking at all objects");
                    self.start_over();
                }
            }
        }
    }

    fn start_over(&mut self) {
        self.backlog = in_order(&self.store.state(), self.clock.now());
    }

    /// Whether there is such an object to put into the backlog.
    fn enqueue(&mut self, object: &ObjectRef<ScheduledMachine>) -> bool {
        let object = self.store.get(object);
        let place = object.map(|object| QueueEntry::of(&object, self.clock.now()));
        place.map(|place| self.backlog.insert(place)).is_some()
    }
}

impl WorkSlots {
    pub(super) fn new(slots: usize) -> Self {
        Self {
            slots: Semaphore::new(slots),
            is_waited_for: AtomicBool::new(false),
            taken: Mutex::default(),
        }
    }

    /// Waits for a free slot, and occupies none: nobody else waits for them.
    async fn slot(&self) {
        // The semaphore is never closed.
        let _permit = self.slots.acquire().await;
    }

    fn wait_for(&self, backlog: &BTreeSet<QueueEntry>) {
        self.is_waited_for
            .store(!backlog.is_empty(), Ordering::Relaxed);
    }

    /// Whether nothing waits for a slot, and not all are taken.
    pub(super) fn is_idle(&self) -> bool {
        self.slots.available_permits() > 0 && !self.is_waited_for.load(Ordering::Relaxed)
    }

    fn take(&self, object: &ObjectRef<ScheduledMachine>) {
        // One that is already on its way needs no second slot.
        if self
            .taken
            .lock()
            .insert((object.namespace.clone(), object.name.clone()))
        {
            self.slots.forget_permits(1);
        }
    }

    /// An object was looked at, wherever the request came from.
    pub(super) fn finished(&self, object: &ObjectRef<DynamicObject>) {
        if self
            .taken
            .lock()
            .remove(&(object.namespace.clone(), object.name.clone()))
        {
            self.slots.add_permits(1);
        }
    }
}

impl QueueEntry {
    fn of(object: &ScheduledMachine, now: Timestamp) -> Self {
        let (urgency, due) = urgency(object, now);
        Self {
            urgency,
            priority: Reverse(object.spec.priority),
            due,
            object: (object.namespace(), object.name_any()),
        }
    }
}

fn in_order(objects: &[Arc<ScheduledMachine>], now: Timestamp) -> BTreeSet<QueueEntry> {
    objects
        .iter()
        .map(|object| QueueEntry::of(object, now))
        .collect()
}

fn urgency(object: &ScheduledMachine, now: Timestamp) -> (Urgency, Option<Timestamp>) {
    let Some(status) = &object.status else {
        return (Urgency::Unseen, None);
    };
    let begun = status.shutdown.as_ref().map(|shutdown| &shutdown.since);
    let edges = [
        status.next_activation.as_ref(),
        status.next_deactivation.as_ref(),
        // What is on its way out waits for somebody to go on with it.
        begun,
    ];
    let due = edges.into_iter().flatten().map(|edge| edge.0).min();
    if due.is_some_and(|due| due <= now) {
        (Urgency::Overdue, due)
    } else if status.observed_generation != object.metadata.generation {
        (Urgency::Unseen, due)
    } else {
        (Urgency::Routine, due)
    }
}

#[cfg(test)]
mod tests;

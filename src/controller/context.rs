//! What a reconcile may use, and what is remembered of the objects between two of them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{Client, ResourceExt, api::DynamicObject, runtime::reflector::ObjectRef};
use parking_lot::Mutex;

use super::{
    bounded::bounded,
    caches::Caches,
    events::Events,
    metrics::ControllerMetrics,
    observe::observe,
    plan::{Action, DrainProgress, FailedAction, Observed},
    retry::Retry,
    timers::{Key, Timers},
    wall_clock::WallClock,
    written::Written,
};
use lease_election::term::Term;

use crate::api::ScheduledMachine;

/// What a reconcile may use.
pub(super) struct Context {
    pub(super) term: Term,
    /// The term's client: it refuses writes once the term is over.
    pub(super) client: Client,
    pub(super) events: Events,
    pub(super) written: Written,
    pub(super) metrics: ControllerMetrics,
    pub(super) caches: Caches,
    pub(super) clock: Arc<dyn WallClock>,
    pub(super) timers: Arc<Timers>,
    pub(super) retries: Mutex<HashMap<Key, Retry>>,
    pub(super) failed_actions: Mutex<HashMap<Key, Vec<FailedAction>>>,
    deletions_seen: Mutex<HashMap<Key, Timestamp>>,
}

impl Context {
    pub(super) fn new(
        term: Term,
        client: Client,
        caches: Caches,
        clock: Arc<dyn WallClock>,
        metrics: ControllerMetrics,
        timers: Arc<Timers>,
        pod_name: String,
    ) -> Self {
        let client = term.client(bounded(client));
        Self {
            events: Events::new(client.clone(), pod_name),
            term,
            client,
            written: Written::default(),
            metrics,
            caches,
            clock,
            timers,
            retries: Mutex::default(),
            failed_actions: Mutex::default(),
            deletions_seen: Mutex::default(),
        }
    }

    /// Drops what is remembered of an object that is gone.
    pub(super) fn forget(&self, object: &ObjectRef<DynamicObject>) {
        let object = (object.namespace.clone(), object.name.clone());
        self.retries.lock().remove(&object);
        self.failed_actions.lock().remove(&object);
        self.deletions_seen.lock().remove(&object);
        self.written.forget(&object);
        self.timers.set(object, None);
    }

    /// Has an object looked at again as soon as the term may write to other clusters.
    pub(super) fn hold_back(&self, object: Key) {
        self.timers.hold_back(object);
        if self.term.check_foreign().is_ok() {
            // It was allowed after the write was refused, and what waited has been resumed already.
            self.timers.resume();
        }
    }

    /// The time from now to `at`.
    ///
    /// Timers count whole milliseconds and round up, so a look is never early by the clock that the timer runs on. By
    /// the wall clock, which may be set back, it can be; then this is the time that is left.
    pub(super) fn until(&self, at: Timestamp) -> Duration {
        Duration::try_from(at.duration_since(self.clock.now())).unwrap_or_default()
    }

    pub(super) fn failed_actions_of(&self, key: &Key) -> Vec<FailedAction> {
        self.failed_actions
            .lock()
            .get(key)
            .cloned()
            .unwrap_or_default()
    }

    /// Remembers a failure, instead of those of the same sort before, which it counts.
    pub(super) fn failed(&self, key: &Key, mut failed_action: FailedAction) {
        let mut failed_actions = self.failed_actions.lock();
        let of = failed_actions.entry(key.clone()).or_default();
        of.retain(|before| {
            let is_replaced = failed_action.action.replaces(&before.action);
            if is_replaced {
                failed_action.times = before.times.saturating_add(1);
            }
            !is_replaced
        });
        of.push(failed_action);
    }

    /// All that is known of an object, with what is remembered of it.
    pub(super) fn observe<'a>(
        &self,
        object: &'a ScheduledMachine,
        drain: Option<DrainProgress>,
    ) -> Observed<'a> {
        let key = (object.namespace(), object.name_any());
        let is_being_deleted = object.metadata.deletion_timestamp.is_some();
        let seen = is_being_deleted.then(|| {
            let mut seen = self.deletions_seen.lock();
            *seen.entry(key.clone()).or_insert_with(|| self.clock.now())
        });
        observe(
            object,
            &self.caches,
            self.failed_actions_of(&key),
            seen,
            drain,
        )
    }

    /// Forgets that this action failed.
    pub(super) fn passed(&self, key: &Key, action: &Action) {
        let mut failed_actions = self.failed_actions.lock();
        if let Some(of) = failed_actions.get_mut(key) {
            of.retain(|before| !action.replaces(&before.action));
            if of.is_empty() {
                failed_actions.remove(key);
            }
        }
    }
}

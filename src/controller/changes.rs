//! News of the caches for the work of a term.

use kube::runtime::reflector::ObjectRef;
use tokio::sync::broadcast;

use crate::api::ScheduledMachine;

/// Tells the work of a term what to look at again.
#[derive(Clone, Debug)]
pub(super) struct Announcer(broadcast::Sender<Change>);

/// Something to look at again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// One object came, changed or went.
    Object(ObjectRef<ScheduledMachine>),
    /// The objects were listed afresh, so any of them may have changed.
    All,
}

/// A term that falls further behind than this looks at everything again.
const CHANGES_KEPT: usize = 4096;

impl Announcer {
    /// One that nobody listens to yet.
    pub(super) fn new() -> Self {
        Self(broadcast::channel(CHANGES_KEPT).0)
    }

    /// The news from now on.
    pub(super) fn subscribe(&self) -> broadcast::Receiver<Change> {
        self.0.subscribe()
    }

    /// One object came, changed or went.
    pub(super) fn object(&self, object: ObjectRef<ScheduledMachine>) {
        self.tell(Change::Object(object));
    }

    /// Any object may have changed.
    pub(super) fn all(&self) {
        self.tell(Change::All);
    }

    fn tell(&self, change: Change) {
        // Without a term there is no receiver; a term starts with a reconcile of every object.
        let _listeners = self.0.send(change);
    }
}

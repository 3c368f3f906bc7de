//! The `ScheduledMachine`s of the cluster and what they consist of, in memory, on every replica.

mod objects;
mod sources;

use std::{
    collections::{BTreeSet, HashSet},
    convert::Infallible,
    pin::pin,
    time::Duration,
};

use futures::{Stream, StreamExt, stream::SelectAll};
use kube::{
    Api, Client, ResourceExt,
    core::DeserializeGuard,
    runtime::{
        WatchStreamExt,
        reflector::{self, ObjectRef, Store},
        watcher::{self, Event, watcher},
    },
};
use tokio::sync::{broadcast, watch};
use tracing::{info, warn};

use super::{
    Category, ControllerError, ControllerMetrics, bounded::bounded, retry::Retry, timers::Key,
};
use crate::{
    api::{Phase, ScheduledMachine, Subject},
    errors::Chain,
    machine::{KindId, Workloads},
};

use objects::Concerned;
pub(super) use objects::{NodeSight, Objects, Served, Sight};
use sources::{KindNews, News, NodeNews, Source, Told};

/// What is known of the cluster. Cheap to clone; all clones see the same.
#[derive(Clone, Debug)]
pub struct Caches {
    store: Store<ScheduledMachine>,
    objects: Objects,
    workloads: Workloads,
    changes: broadcast::Sender<Change>,
    synced: watch::Receiver<bool>,
}

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

/// No replica contends before its caches are synced, so a failed list is tried again soon.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// How long a watch lasts, in seconds, before the API server ends it and it is taken up where it ended, which costs one
/// request and no list. kube gives up a watch that is quiet for 5 s longer than that (the API server sends a bookmark
/// shortly before the end), so this bounds how late a connection that died without a word is noticed.
const WATCH_SECONDS: u32 = 30;

/// What `kubectl apply` leaves behind: the whole object once more, as text.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Fills the caches from the watch.
struct Feed {
    writer: reflector::store::Writer<ScheduledMachine>,
    store: Store<ScheduledMachine>,
    changes: broadcast::Sender<Change>,
    synced: watch::Sender<bool>,
    metrics: ControllerMetrics,
    complained: bool,
    client: Client,
    workloads: Workloads,
    objects: Objects,
    sources: SelectAll<Told>,
    watched: HashSet<Source>,
    /// Kinds of which it is not known yet what there is; and whether the `ScheduledMachine`s are.
    unsettled: HashSet<KindId>,
    is_listed: bool,
}

impl Caches {
    /// Empty caches, and the future that fills them.
    ///
    /// The future never ends while all is well: it outlives failures of the API server and waits for a custom resource
    /// definition that is not installed yet. Whoever owns it treats its end as the end of the process.
    pub fn new(
        client: Client,
        metrics: ControllerMetrics,
    ) -> (
        Self,
        impl Future<Output = Result<Infallible, ControllerError>> + Send + 'static,
    ) {
        let (store, writer) = reflector::store();
        let (changes, _) = broadcast::channel(CHANGES_KEPT);
        let (synced_sender, synced) = watch::channel(false);
        let (objects, workloads) = (Objects::default(), Workloads::new(bounded(client.clone())));
        let feed = Feed {
            writer,
            store: store.clone(),
            changes: changes.clone(),
            synced: synced_sender,
            metrics,
            complained: false,
            client,
            workloads: workloads.clone(),
            objects: objects.clone(),
            sources: SelectAll::new(),
            watched: HashSet::new(),
            unsettled: HashSet::new(),
            is_listed: false,
        };
        let caches = Self {
            store,
            objects,
            workloads,
            changes,
            synced,
        };
        (caches, feed.run())
    }

    /// Whether everything has been seen once.
    pub fn is_synced(&self) -> bool {
        *self.synced.borrow()
    }

    /// Resolves when everything has been seen once.
    pub async fn synced(&self) {
        if self
            .synced
            .clone()
            .wait_for(|synced| *synced)
            .await
            .is_err()
        {
            // The feed is gone; its owner is told by its end, and nothing will ever be synced.
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn store(&self) -> Store<ScheduledMachine> {
        self.store.clone()
    }

    pub(super) fn objects(&self) -> Objects {
        self.objects.clone()
    }

    pub(super) fn workloads(&self) -> Workloads {
        self.workloads.clone()
    }

    pub(super) fn changes(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}

impl Feed {
    async fn run(mut self) -> Result<Infallible, ControllerError> {
        let machines: Api<DeserializeGuard<ScheduledMachine>> =
            Api::all(bounded(self.client.clone()));
        let config = watcher::Config::default().timeout(WATCH_SECONDS);
        let events = watcher(machines, config).backoff(Retry::up_to(LONGEST_RETRY));
        self.take_all(events).await;
        Err(ControllerError::FeedEnded)
    }

    async fn take_all(
        &mut self,
        events: impl Stream<Item = watcher::Result<Event<DeserializeGuard<ScheduledMachine>>>>,
    ) {
        let mut events = pin!(events);
        loop {
            tokio::select! {
                event = events.next() => match event {
                    Some(Ok(event)) => self.take(event),
                    Some(Err(error)) => self.complain(&error),
                    None => return,
                },
                Some(news) = self.sources.next(), if !self.sources.is_empty() => self.learn(news),
            }
        }
    }

    /// Takes in what a source tells.
    fn learn(&mut self, news: News) {
        match news {
            News::Kind(id, news) => {
                if let KindNews::Failed(error) = &news {
                    self.metrics.failed(Category::Watch);
                    warn!(kind = %id, error, "a watch failed and is tried again");
                }
                let cluster = match &news {
                    KindNews::Event(Event::Apply(object) | Event::InitApply(object)) => {
                        objects::cluster(object)
                    }
                    _ => None,
                };
                let (concerned, is_settled) = self.objects.take(&id, news);
                match concerned {
                    Concerned::All => self.announce(Change::All),
                    Concerned::Some(keys) => self.announce_all(keys),
                }
                if let Some(cluster) = cluster {
                    self.watch(Source::Nodes(cluster));
                }
                if is_settled {
                    self.unsettled.remove(&id);
                    self.settle();
                }
            }
            News::Nodes(cluster, news) => {
                if let NodeNews::Failed(error) = &news {
                    self.metrics.failed(Category::Watch);
                    warn!(
                        ?cluster,
                        error, "the watch on Nodes failed and is tried again"
                    );
                }
                let keys = self.objects.take_nodes(&cluster, news);
                self.announce_all(keys);
            }
        }
    }

    fn announce_all(&self, keys: BTreeSet<Key>) {
        for (namespace, name) in keys {
            let reference = ObjectRef::new(&name);
            self.announce(Change::Object(match namespace {
                Some(namespace) => reference.within(&namespace),
                None => reference,
            }));
        }
    }

    /// Everything is known once the objects are listed and so is every kind that they name, or can't be.
    fn settle(&self) {
        if self.is_listed && self.unsettled.is_empty() {
            self.synced.send_replace(true);
        }
    }

    /// Watches the kinds that `object` names, if they are of the groups that it may name.
    fn watch_kinds_of(&mut self, object: &ScheduledMachine) {
        self.watch(Source::Kind(KindId::Machine));
        if object.spec.check(Subject::References).is_ok() {
            self.watch(Source::Kind(KindId::from(&object.spec.bootstrap_spec)));
            self.watch(Source::Kind(KindId::from(&object.spec.infrastructure_spec)));
        }
        // What was created for an earlier spec is looked after too.
        let status = object.status.as_ref();
        let references = [
            status.and_then(|status| status.bootstrap_ref.as_ref()),
            status.and_then(|status| status.infrastructure_ref.as_ref()),
        ];
        for reference in references.into_iter().flatten() {
            self.watch(Source::Kind(KindId::from(reference)));
        }
    }

    fn watch(&mut self, source: Source) {
        if self.watched.contains(&source) {
            return;
        }
        let stream = sources::stream(&source, self.client.clone(), self.workloads.clone());
        self.sources.push(stream);
        if let Source::Kind(id) = &source {
            self.unsettled.insert(id.clone());
        }
        self.watched.insert(source);
    }

    fn take(&mut self, event: Event<DeserializeGuard<ScheduledMachine>>) {
        match event {
            Event::Init => self.writer.apply_watcher_event(&Event::Init),
            Event::InitApply(object) => {
                if let Some(object) = self.readable(object) {
                    self.writer.apply_watcher_event(&Event::InitApply(object));
                }
            }
            Event::InitDone => self.listed(),
            Event::Apply(object) => {
                let reference = reference(&object);
                match self.readable(object) {
                    Some(object) => self.put(object),
                    None => self.remove(&reference),
                }
                self.announce(Change::Object(reference));
            }
            Event::Delete(object) => {
                let reference = reference(&object);
                self.remove(&reference);
                self.announce(Change::Object(reference));
            }
        }
    }

    fn listed(&mut self) {
        self.complained = false;
        self.writer.apply_watcher_event(&Event::InitDone);
        let objects = self.store.state();
        info!(objects = objects.len(), "listed all ScheduledMachines");
        self.metrics
            .recounted(objects.iter().map(|object| phase(object)));
        self.is_listed = true;
        for object in objects {
            self.watch_kinds_of(&object);
        }
        self.settle();
        self.announce(Change::All);
    }

    fn put(&mut self, object: ScheduledMachine) {
        self.watch_kinds_of(&object);
        let before = self
            .store
            .get(&ObjectRef::from_obj(&object))
            .map(|object| phase(&object));
        self.metrics.moved(before, Some(phase(&object)));
        self.writer.apply_watcher_event(&Event::Apply(object));
    }

    fn remove(&mut self, reference: &ObjectRef<ScheduledMachine>) {
        if let Some(object) = self.store.get(reference) {
            self.metrics.moved(Some(phase(&object)), None);
            self.writer
                .apply_watcher_event(&Event::Delete((*object).clone()));
        }
    }

    fn announce(&self, change: Change) {
        // Without a term nobody listens; a term begins with a look at everything.
        let _listeners = self.changes.send(change);
    }

    /// The object without what nobody here reads; one that can't be read at all is left out and does not keep the
    /// others from being served.
    fn readable(&self, object: DeserializeGuard<ScheduledMachine>) -> Option<ScheduledMachine> {
        match object.0 {
            Ok(mut object) => {
                object.metadata.managed_fields = None;
                object.annotations_mut().remove(LAST_APPLIED);
                Some(object)
            }
            Err(error) => {
                self.metrics.failed(Category::Unreadable);
                warn!(
                    namespace = error.metadata.namespace,
                    name = error.metadata.name,
                    %error,
                    "left out a ScheduledMachine that can't be read"
                );
                None
            }
        }
    }

    fn complain(&mut self, error: &watcher::Error) {
        self.metrics.failed(Category::Watch);
        if !sources::is_missing(error) {
            warn!(error = %Chain(error), "the watch on ScheduledMachines failed and is tried again");
        } else if !self.complained {
            self.complained = true;
            warn!(
                "the custom resource definition scheduledmachines.5spot.finos.org is not installed, waiting for it"
            );
        }
    }
}

fn reference(object: &DeserializeGuard<ScheduledMachine>) -> ObjectRef<ScheduledMachine> {
    let reference = ObjectRef::new(&object.name_any());
    match object.namespace() {
        Some(namespace) => reference.within(&namespace),
        None => reference,
    }
}

fn phase(object: &ScheduledMachine) -> Phase {
    object
        .status
        .as_ref()
        .and_then(|status| status.phase)
        .unwrap_or_default()
}

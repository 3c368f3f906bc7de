//! What the operator knows of the cluster, in memory, on every replica: the `ScheduledMachine`s, which everything begins
//! with, the objects that they consist of, and the Nodes that those became.

use std::{convert::Infallible, pin::pin, time::Duration};

use futures::{Stream, StreamExt};
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
use tracing::{debug, info, warn};

use super::{
    bounded::bounded,
    changes::{Announcer, Change},
    clusters::{Clusters, Connect, feed::ClusterFeeds},
    error::{Category, ControllerError},
    feeds::{self, WATCH_SECONDS, is_missing},
    kind::kind_of,
    metrics::ControllerMetrics,
    objects::{Objects, feed::ObjectFeeds},
    retry::Retry,
    streak::{Streak, Told},
    timers,
};
use crate::{
    api::{Phase, ScheduledMachine},
    errors::Chain,
    machine::Part,
};

/// What is known of the cluster. Cheap to clone; all clones see the same.
#[derive(Clone, Debug)]
pub struct Caches {
    store: Store<ScheduledMachine>,
    announcer: Announcer,
    synced: watch::Receiver<bool>,
    objects: Objects,
    clusters: Clusters,
}

/// No replica contends before its caches are synced, so a failed list is tried again soon.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// What `kubectl apply` leaves behind: the whole object once more, as text.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// Fills the caches from the watch.
struct Feed {
    writer: reflector::store::Writer<ScheduledMachine>,
    store: Store<ScheduledMachine>,
    announcer: Announcer,
    objects: Objects,
    synced: watch::Sender<bool>,
    metrics: ControllerMetrics,
    streak: Streak,
}

impl Caches {
    /// Empty caches, and the future that fills them.
    ///
    /// The future never ends while all is well: it outlives failures of the API server and waits for a custom resource
    /// definition that is not installed yet. Whoever owns it treats its end as the end of the process.
    pub fn new(
        client: Client,
        connect: Connect,
        metrics: ControllerMetrics,
    ) -> (
        Self,
        impl Future<Output = Result<Infallible, ControllerError>> + Send + 'static,
    ) {
        let (store, writer) = reflector::store();
        let announcer = Announcer::new();
        let (synced_sender, synced) = watch::channel(false);
        let (objects, kinds_asked) = Objects::new();
        let (clusters, clusters_asked) = Clusters::new();
        let client = bounded(client);
        let feed = Feed {
            writer,
            store: store.clone(),
            announcer: announcer.clone(),
            objects: objects.clone(),
            synced: synced_sender,
            metrics: metrics.clone(),
            streak: Streak::default(),
        };
        let object_feeds = ObjectFeeds {
            client: client.clone(),
            store: store.clone(),
            objects: objects.clone(),
            clusters: clusters.clone(),
            announcer: announcer.clone(),
            metrics: metrics.clone(),
        };
        let cluster_feeds = ClusterFeeds {
            client: client.clone(),
            connect,
            clusters: clusters.clone(),
            objects: objects.clone(),
            announcer: announcer.clone(),
            metrics,
        };
        let caches = Self {
            store,
            announcer,
            synced,
            objects,
            clusters,
        };
        let run = async move {
            tokio::select! {
                ended = feed.run(Api::all(client)) => ended,
                never = feeds::feed(object_feeds, kinds_asked) => match never {},
                never = feeds::feed(cluster_feeds, clusters_asked) => match never {},
            }
        };
        (caches, run)
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

    pub(super) fn changes(&self) -> broadcast::Receiver<Change> {
        self.announcer.subscribe()
    }

    pub(super) fn objects(&self) -> Objects {
        self.objects.clone()
    }

    pub(super) fn clusters(&self) -> Clusters {
        self.clusters.clone()
    }
}

impl Feed {
    async fn run(
        mut self,
        machines: Api<DeserializeGuard<ScheduledMachine>>,
    ) -> Result<Infallible, ControllerError> {
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
        while let Some(event) = events.next().await {
            match event {
                Ok(event) => self.take(event),
                Err(error) => self.complain(&error),
            }
        }
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
                self.streak.ended();
                let reference = reference(&object);
                match self.readable(object) {
                    Some(object) => self.put(object),
                    None => self.remove(&reference),
                }
                self.announcer.object(reference);
            }
            Event::Delete(object) => {
                self.streak.ended();
                let reference = reference(&object);
                self.remove(&reference);
                self.announcer.object(reference);
            }
        }
    }

    fn listed(&mut self) {
        self.streak.ended();
        self.writer.apply_watcher_event(&Event::InitDone);
        let objects = self.store.state();
        info!(objects = objects.len(), "listed all ScheduledMachines");
        self.metrics
            .recounted(objects.iter().map(|object| phase(object)));
        self.synced.send_replace(true);
        self.announcer.all();
    }

    fn put(&mut self, object: ScheduledMachine) {
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

    /// The object without what nobody here reads; one that can't be read at all is left out and does not keep the
    /// others from being served.
    fn readable(&self, object: DeserializeGuard<ScheduledMachine>) -> Option<ScheduledMachine> {
        match object.0 {
            Ok(mut object) => {
                object.metadata.managed_fields = None;
                object.annotations_mut().remove(LAST_APPLIED);
                for part in Part::ALL {
                    if let Some(kind) = kind_of(part, &object) {
                        self.objects.ask_for(&kind);
                    }
                }
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
        let is_missing = is_missing(error);
        let told = self.streak.failed();
        let error = Chain(error);
        match told {
            Told::First => {
                info!(%error, "the watch on ScheduledMachines failed and is tried again");
            }
            Told::Lasting if is_missing => warn!(
                "the custom resource definition scheduledmachines.5spot.finos.org is not installed, waiting for it"
            ),
            Told::Lasting => {
                warn!(%error, "the watch on ScheduledMachines keeps failing and is retried");
            }
            Told::Nothing => debug!(%error, "the watch on ScheduledMachines failed again"),
        }
    }
}

fn reference(object: &DeserializeGuard<ScheduledMachine>) -> ObjectRef<ScheduledMachine> {
    timers::reference((object.namespace(), object.name_any()))
}

fn phase(object: &ScheduledMachine) -> Phase {
    object
        .status
        .as_ref()
        .and_then(|status| status.phase)
        .unwrap_or_default()
}

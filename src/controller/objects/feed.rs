//! Fills the tables from watches: one for each kind that was asked for.

use std::{collections::HashSet, convert::Infallible, pin::pin, time::Duration};

use futures::{FutureExt, StreamExt, TryStreamExt, future::BoxFuture, stream::BoxStream};
use kube::{
    Api, Client,
    core::{ApiResource, DynamicObject, ObjectMeta, PartialObjectMeta},
    discovery::{self, Scope},
    runtime::{
        WatchStreamExt,
        reflector::Store,
        watcher::{self, Event, watcher},
    },
};
use tokio::time::sleep;
use tracing::{debug, info, warn};

use super::{MOST_WATCHES, Objects, State};
use crate::{
    api::{SCHEDULED_MACHINE_LABEL, ScheduledMachine},
    controller::{
        changes::Announcer,
        clusters::Clusters,
        error::Category,
        feeds::{Source, WATCH_SECONDS, is_missing},
        kind::kind_of,
        metrics::ControllerMetrics,
        retry::Retry,
        streak::{Streak, Told},
        timers::{Key, reference},
    },
    errors::{Chain, shortened},
    machine::{CLUSTER_API, Kind, MachineVersion, Part, Seen},
};

/// How often a kind is looked for that is not served or can't be listed.
const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// How many kinds that are not served are looked for that often; more are looked for less often, so that the requests
/// stay as many.
const LOOKED_FOR: u32 = 60;

/// The longest pause of a watch that failed.
const LONGEST_WATCH_RETRY: Duration = Duration::from_secs(5);

/// The watches of all kinds.
#[derive(Clone)]
pub(in crate::controller) struct ObjectFeeds {
    pub(in crate::controller) client: Client,
    pub(in crate::controller) store: Store<ScheduledMachine>,
    pub(in crate::controller) objects: Objects,
    pub(in crate::controller) clusters: Clusters,
    pub(in crate::controller) announcer: Announcer,
    pub(in crate::controller) metrics: ControllerMetrics,
}

type Metadata = Api<PartialObjectMeta<DynamicObject>>;

/// An object of whichever kind, or only its metadata.
struct Item {
    metadata: ObjectMeta,
    seen: Option<Seen>,
}

/// Why a watch is not taken up again.
enum Over {
    /// The kind is not served any more, at least not in this version.
    NotServed,
    /// It could not be listed the first time.
    Failed(String),
}

impl ObjectFeeds {
    fn used(&self) -> HashSet<Kind> {
        let objects = self.store.state();
        let kinds = |object: &ScheduledMachine| Part::ALL.map(|part| kind_of(part, object));
        let used = objects.iter().flat_map(|object| kinds(object));
        used.flatten().collect()
    }
}

impl Source for ObjectFeeds {
    type Key = Kind;

    fn feed(&self, kind: Kind) -> BoxFuture<'static, Infallible> {
        let all = self.clone();
        Feed { kind, all }.run().boxed()
    }

    fn keep_used(&self) {
        self.objects.keep_only(&self.used());
    }

    fn is_known(&self, kind: &Kind) -> bool {
        self.objects.is_known(kind)
    }

    fn ask_for_used(&self) {
        for kind in &self.used() {
            self.objects.ask_for(kind);
        }
    }
}

/// The watch of one kind.
struct Feed {
    kind: Kind,
    all: ObjectFeeds,
}

impl Feed {
    async fn run(self) -> Infallible {
        let mut retry = Retry::up_to(LONGEST_RETRY);
        let mut streak = Streak::default();
        loop {
            let over = match self.discover().await {
                Ok(resource) if self.all.objects.may_watch(&self.kind) => {
                    self.follow(&resource, &mut retry, &mut streak).await
                }
                Ok(_) => Over::Failed(format!(
                    "{MOST_WATCHES} other kinds of objects are watched, and no further one is"
                )),
                Err(over) => over,
            };
            self.all.objects.is_watched_no_more(&self.kind);
            let pause = match over {
                // It may be installed at any time, and until then costs a request a minute.
                Over::NotServed => {
                    streak.ended();
                    if self.all.objects.set_state(&self.kind, State::NotServed) {
                        warn!(kind = %self.kind, "objects of this kind can't be worked with: the kind is not served");
                        self.all.announcer.all();
                    }
                    let kinds = match self.kind {
                        Kind::Machine => 1,
                        Kind::Embedded(_) => self.all.objects.not_served(),
                    };
                    let kinds = u32::try_from(kinds).unwrap_or(u32::MAX);
                    LONGEST_RETRY.saturating_mul(kinds.div_ceil(LOOKED_FOR).max(1))
                }
                Over::Failed(error) => {
                    self.all.metrics.failed(Category::Watch);
                    self.tell(streak.failed(), &error);
                    if self.all.objects.set_state(&self.kind, State::Failed(error)) {
                        self.all.announcer.all();
                    }
                    retry.next().unwrap_or(LONGEST_RETRY)
                }
            };
            sleep(pause).await;
        }
    }

    /// Whether and how the kind is served. For the Machine the best version counts.
    async fn discover(&self) -> Result<ApiResource, Over> {
        match &self.kind {
            Kind::Machine => {
                let group = discovery::group(&self.all.client, CLUSTER_API)
                    .await
                    .map_err(|error| undiscovered(&error))?;
                MachineVersion::ALL
                    .into_iter()
                    .flat_map(|version| group.versioned_resources(version.as_str()))
                    .find(|(resource, _)| resource.kind == "Machine")
                    .map(|(resource, _)| resource)
                    .ok_or(Over::NotServed)
            }
            Kind::Embedded(kind) => {
                let (resource, capabilities) = discovery::pinned_kind(&self.all.client, kind)
                    .await
                    .map_err(|error| undiscovered(&error))?;
                match capabilities.scope {
                    Scope::Namespaced => Ok(resource),
                    Scope::Cluster => Err(Over::Failed("it is not namespaced".to_owned())),
                }
            }
        }
    }

    async fn follow(&self, resource: &ApiResource, retry: &mut Retry, streak: &mut Streak) -> Over {
        let mut events = pin!(self.events(resource));
        let mut listing = Vec::new();
        let mut is_listed = false;
        while let Some(event) = events.next().await {
            match event {
                Ok(Event::Init) => listing.clear(),
                Ok(Event::InitApply(item)) => {
                    self.all
                        .objects
                        .seen_up_to(&self.kind, item.metadata.resource_version.as_deref());
                    if let Some(key) = key_of(&item.metadata)
                        && let Some(seen) = item.seen
                    {
                        self.reached(&key, &seen);
                        listing.push((key, seen));
                    }
                }
                Ok(Event::InitDone) => {
                    info!(kind = %self.kind, version = resource.version, objects = listing.len(), "listed a kind");
                    self.all
                        .objects
                        .relist(&self.kind, std::mem::take(&mut listing));
                    self.all.objects.seen_up_to(&self.kind, Some("0"));
                    self.all
                        .objects
                        .set_state(&self.kind, State::Served(resource.clone()));
                    streak.ended();
                    (is_listed, *retry) = (true, Retry::up_to(LONGEST_RETRY));
                    self.all.announcer.all();
                }
                Ok(Event::Apply(item)) => {
                    streak.ended();
                    self.all
                        .objects
                        .seen_up_to(&self.kind, item.metadata.resource_version.as_deref());
                    if let Some(key) = key_of(&item.metadata)
                        && let Some(seen) = item.seen
                    {
                        self.reached(&key, &seen);
                        self.all.objects.put(&self.kind, key.clone(), seen);
                        self.announce(key);
                    }
                }
                Ok(Event::Delete(item)) => {
                    streak.ended();
                    self.all
                        .objects
                        .seen_up_to(&self.kind, item.metadata.resource_version.as_deref());
                    if let Some(key) = key_of(&item.metadata) {
                        self.all.objects.remove(&self.kind, &key);
                        self.announce(key);
                    }
                }
                Err(error) if is_missing(&error) => return Over::NotServed,
                Err(error) if !is_listed => {
                    return Over::Failed(shortened(Chain(&error).to_string()));
                }
                Err(error) => {
                    self.all.metrics.failed(Category::Watch);
                    self.tell(streak.failed(), &Chain(&error).to_string());
                }
            }
        }
        Over::Failed("the watch ended".to_owned())
    }

    /// Whole Machines, and of all other kinds the metadata only.
    fn events(&self, resource: &ApiResource) -> BoxStream<'static, watcher::Result<Event<Item>>> {
        let config = watcher::Config::default()
            .labels(SCHEDULED_MACHINE_LABEL)
            .timeout(WATCH_SECONDS);
        let client = self.all.client.clone();
        let backoff = Retry::up_to(LONGEST_WATCH_RETRY);
        match self.kind {
            Kind::Machine => watcher(Api::<DynamicObject>::all_with(client, resource), config)
                .backoff(backoff)
                .map_ok(|event| {
                    map(event, |object| Item {
                        seen: Seen::of_machine(&object),
                        metadata: object.metadata,
                    })
                })
                .boxed(),
            Kind::Embedded(_) => watcher(Metadata::all_with(client, resource), config)
                .backoff(backoff)
                .map_ok(|event| {
                    map(event, |object: PartialObjectMeta<DynamicObject>| Item {
                        seen: Seen::of_metadata(&object.metadata),
                        metadata: object.metadata,
                    })
                })
                .boxed(),
        }
    }

    /// The Nodes of a cluster are watched from the first one on that a Machine of ours became.
    fn reached(&self, (namespace, _name): &Key, seen: &Seen) {
        if let Some(machine) = seen
            .machine
            .as_ref()
            .filter(|machine| machine.node.is_some())
        {
            self.all
                .clusters
                .ask_for(namespace.as_deref(), &machine.cluster);
        }
    }

    fn announce(&self, key: Key) {
        self.all.announcer.object(reference(key));
    }

    fn tell(&self, told: Told, error: &str) {
        let kind = &self.kind;
        match told {
            Told::First => info!(%kind, error, "the watch on a kind failed and is tried again"),
            Told::Lasting => warn!(
                %kind,
                error,
                "the watch on a kind keeps failing and is retried"
            ),
            Told::Nothing => debug!(%kind, error, "the watch on a kind failed again"),
        }
    }
}

/// An object of ours has the name of its `ScheduledMachine`; another one with the label is nobody's.
fn key_of(metadata: &ObjectMeta) -> Option<Key> {
    let name = metadata.name.clone()?;
    let label = metadata.labels.as_ref()?.get(SCHEDULED_MACHINE_LABEL)?;
    (*label == name).then(|| (metadata.namespace.clone(), name))
}

fn map<T, U>(event: Event<T>, map: impl Fn(T) -> U) -> Event<U> {
    match event {
        Event::Init => Event::Init,
        Event::InitApply(object) => Event::InitApply(map(object)),
        Event::InitDone => Event::InitDone,
        Event::Apply(object) => Event::Apply(map(object)),
        Event::Delete(object) => Event::Delete(map(object)),
    }
}

fn undiscovered(error: &kube::Error) -> Over {
    match error {
        kube::Error::Api(status) if status.code == 404 => Over::NotServed,
        kube::Error::Discovery(_) => Over::NotServed,
        error => Over::Failed(shortened(Chain(error).to_string())),
    }
}

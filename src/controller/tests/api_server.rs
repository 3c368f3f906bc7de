//! An API server in memory: it remembers, streams watches, applies by field owner, and has faults.

mod requests;
mod store;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use kube::Client;
use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};
use tower::service_fn;

use super::BEFORE_OFFICE;

/// A shared handle on the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ApiServer(Arc<Mutex<State>>);

/// Resource, namespace and name.
type Id = (String, String, String);

#[derive(Debug)]
struct State {
    version: u64,
    uids: u64,
    clock: (Timestamp, Instant),
    objects: BTreeMap<Id, Value>,
    /// What each manager applied last, by object, subresource and manager.
    applied: BTreeMap<(Id, String, String), Value>,
    /// Group and version, kind, plural.
    served: BTreeSet<(String, String, String)>,
    history: Vec<(u64, News)>,
    watches: Vec<Watch>,
    /// Open, but nothing comes through any more.
    dead_watches: Vec<Watch>,
    held: Option<Vec<News>>,
    writes: Vec<Write>,
    removals: Vec<Value>,
    events: Vec<Value>,
    calls: Vec<Call>,
    lists: usize,
    /// Watches can't start before this version.
    compacted: u64,
    faults: Faults,
    has_provider: bool,
}

type News = (String, Value);

#[derive(Debug)]
struct Watch {
    resource: String,
    is_labelled: bool,
    sender: mpsc::UnboundedSender<Value>,
}

/// What goes wrong.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fault that comes and goes by itself"
)]
pub(crate) struct Faults {
    /// The kind is not known.
    pub(crate) kind_is_missing: bool,
    /// Lists begin to be answered and never end.
    pub(crate) stall_lists: bool,
    /// Watches are never answered.
    pub(crate) stall_watches: bool,
    /// Status writes are answered with this code and change nothing.
    pub(crate) refuse_status: Option<u16>,
    /// Status writes are refused by the fence and change nothing.
    pub(crate) fence_refuses: bool,
    /// Labels that somebody puts on the object just before the next merge patch of a status arrives.
    pub(crate) meddle: Option<Value>,
    /// Events are answered with this code.
    pub(crate) refuse_events: Option<u16>,
    /// Status writes are answered after this time only, and take effect then.
    pub(crate) status_takes: Duration,
    /// Requests whose method and path contain these are answered with the code and change nothing.
    pub(crate) refuse: Option<(&'static str, &'static str, u16)>,
    /// Evictions are refused by a PodDisruptionBudget.
    pub(crate) budget_is_spent: bool,
    /// Pods that are asked to leave stay.
    pub(crate) pods_linger: bool,
    /// Machines that are deleted stay.
    pub(crate) machines_linger: bool,
    /// Once this many writes were accepted, no request is answered any more.
    pub(crate) dies_after: Option<usize>,
}

/// An accepted status write.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) name: String,
    pub(crate) status: Value,
    pub(crate) at: tokio::time::Instant,
}

/// An accepted write of any kind but Events.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) what: String,
    pub(crate) at: tokio::time::Instant,
}

const MACHINES: &str = "scheduledmachines";

impl Default for State {
    fn default() -> Self {
        let served = [
            ("cluster.x-k8s.io/v1beta2", "Machine", "machines"),
            (
                "bootstrap.cluster.x-k8s.io/v1beta1",
                "K0sWorkerConfig",
                "k0sworkerconfigs",
            ),
            (
                "infrastructure.cluster.x-k8s.io/v1beta1",
                "RemoteMachine",
                "remotemachines",
            ),
        ];
        let owned = |(group, kind, plural): (&str, &str, &str)| {
            (group.to_owned(), kind.to_owned(), plural.to_owned())
        };
        Self {
            version: 0,
            uids: 0,
            clock: (BEFORE_OFFICE.parse().unwrap(), Instant::now()),
            objects: BTreeMap::new(),
            applied: BTreeMap::new(),
            served: served.map(owned).into(),
            history: Vec::new(),
            watches: Vec::new(),
            dead_watches: Vec::new(),
            held: None,
            writes: Vec::new(),
            removals: Vec::new(),
            events: Vec::new(),
            calls: Vec::new(),
            lists: 0,
            compacted: 0,
            faults: Faults::default(),
            has_provider: false,
        }
    }
}

impl ApiServer {
    /// With a provider: a Machine becomes ready with a Node of its name, and goes with all that it refers to.
    pub(crate) fn with_provider() -> Self {
        let server = Self::default();
        server.state().has_provider = true;
        server
    }

    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = service_fn(move |request: http::Request<kube::client::Body>| {
            let server = server.clone();
            async move { server.answer(request).await }
        });
        Client::new(service, "default")
    }

    pub(crate) fn set_time(&self, now: Timestamp) {
        self.state().clock = (now, Instant::now());
    }

    /// Serves a kind in this version, and in no other version of the group.
    pub(crate) fn serve(&self, api_version: &str, kind: &str, plural: &str) {
        let mut state = self.state();
        state.served.retain(|(_, present, _)| present != kind);
        state
            .served
            .insert((api_version.to_owned(), kind.to_owned(), plural.to_owned()));
    }

    /// Serves a kind no more.
    pub(crate) fn withdraw(&self, kind: &str) {
        self.state()
            .served
            .retain(|(_, present, _)| present != kind);
    }

    /// Creates or replaces a `ScheduledMachine`, as a user would; a change of spec counts the generation up.
    pub(crate) fn put(&self, mut object: Value) {
        let mut state = self.state();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        let id = id(MACHINES, &name);
        let old = state.objects.get(&id).cloned();
        let generation = old
            .as_ref()
            .map_or(0, |old| old["metadata"]["generation"].as_i64().unwrap());
        let is_same_spec = old
            .as_ref()
            .is_some_and(|old| old["spec"] == object["spec"]);
        object["metadata"]["generation"] = json!(if is_same_spec {
            generation
        } else {
            generation + 1
        });
        object["metadata"]["uid"] = json!(format!("uid-of-{name}"));
        if object.get("status").is_none()
            && let Some(status) = old.as_ref().and_then(|old| old.get("status"))
        {
            object["status"] = status.clone();
        }
        state.store(&id, object);
    }

    /// Puts an object of any other resource there, as somebody else would.
    pub(crate) fn put_other(&self, resource: &str, mut object: Value) {
        let mut state = self.state();
        let name = object["metadata"]["name"].as_str().unwrap().to_owned();
        if object["metadata"]["uid"].is_null() {
            state.uids += 1;
            object["metadata"]["uid"] = json!(format!("uid-{}", state.uids));
        }
        let namespace = if resource == "nodes" { "" } else { "default" };
        state.store(&(resource.to_owned(), namespace.to_owned(), name), object);
    }

    /// Changes fields of a `ScheduledMachine`, as a user would.
    pub(crate) fn patch(&self, name: &str, pointer: &str, value: Value) {
        let mut object = self.object(name);
        *object.pointer_mut(pointer).unwrap() = value;
        self.put(object);
    }

    /// A `ScheduledMachine` goes at once, whatever its finalizers.
    pub(crate) fn delete(&self, name: &str) {
        self.state().remove(&id(MACHINES, name));
    }

    /// Somebody asks for an object to be deleted.
    pub(crate) fn ask_to_delete(&self, resource: &str, name: &str) {
        let mut state = self.state();
        let id = state.find(resource, name);
        state.delete(&id);
    }

    /// An object goes at once, whatever its finalizers.
    pub(crate) fn vanish(&self, resource: &str, name: &str) {
        let mut state = self.state();
        let id = state.find(resource, name);
        state.remove(&id);
    }

    pub(crate) fn object(&self, name: &str) -> Value {
        self.state().objects[&id(MACHINES, name)].clone()
    }

    /// An object of another resource.
    pub(crate) fn other(&self, resource: &str, name: &str) -> Option<Value> {
        let state = self.state();
        let mut all = state.objects.iter();
        let found = all.find(|((found, _, called), _)| found == resource && called == name);
        found.map(|(_, object)| object.clone())
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Ends all watches.
    pub(crate) fn break_watches(&self) {
        self.state().watches.clear();
    }

    /// The connections of all watches die without a word.
    pub(crate) fn silence_watches(&self) {
        let mut state = self.state();
        let watches = std::mem::take(&mut state.watches);
        state.dead_watches.extend(watches);
    }

    /// Ends all watches, and what happens from here to the next list can't be watched afterwards.
    pub(crate) fn compact(&self) {
        let mut state = self.state();
        state.compacted = u64::MAX;
        state.watches.clear();
    }

    /// Keeps news from the watches until they are released one by one.
    pub(crate) fn hold_news(&self) {
        self.state().held = Some(Vec::new());
    }

    pub(crate) fn release_one(&self) {
        let mut state = self.state();
        let news = state.held.as_mut().unwrap().remove(0);
        state.tell(&news);
    }

    pub(crate) fn writes(&self) -> Vec<Write> {
        self.state().writes.clone()
    }

    /// The statuses of accepted merge patches.
    pub(crate) fn removals(&self) -> Vec<Value> {
        self.state().removals.clone()
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        self.state().events.clone()
    }

    /// All accepted writes but Events: method and path below the API group.
    pub(crate) fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    pub(crate) fn lists(&self) -> usize {
        self.state().lists
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }
}

impl State {
    fn now(&self) -> Timestamp {
        self.clock.0 + SignedDuration::try_from(self.clock.1.elapsed()).unwrap()
    }

    fn find(&self, resource: &str, name: &str) -> Id {
        let mut ids = self.objects.keys();
        let found = ids.find(|(found, _, called)| found == resource && called == name);
        found
            .unwrap_or_else(|| panic!("no {resource} {name}"))
            .clone()
    }
}

fn id(resource: &str, name: &str) -> Id {
    (resource.to_owned(), "default".to_owned(), name.to_owned())
}

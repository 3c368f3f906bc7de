//! The work of a term against an API server in memory, on paused time.

mod caches;
mod crash;
mod drain;
mod life;
mod others;
mod status;
mod term;
mod time;
mod workload;

use std::{
    collections::HashSet,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use lease_election::{
    clock::{PausedClock, SharedClock},
    term::{Generation, Term, TermControl},
};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep, timeout},
};

use super::{
    Caches, Connect, ControllerError, ControllerMetrics,
    context::Context,
    queue::{Queue, WorkSlots},
    reconcile::reconcile,
    run_by,
    timers::Timers,
    wall_clock::WallClock,
};
use crate::{
    api::fixture::office_json,
    api_server::{ApiServer, ClusterApi, Crash, Faults},
    leader,
};

/// A Monday, ten minutes before the office opens.
const BEFORE_OFFICE: &str = "2026-03-02T08:50:00Z";

/// The replica's own pod.
const POD: &str = "5spot-controller-7d9c5b8f6d-x2x7k";

/// Time for everything that is due at this moment to be done, and for nothing else.
const MOMENT: Duration = Duration::from_millis(20);

/// A replica with its caches fed, and a term that can be begun.
struct Replica {
    server: ApiServer,
    wall: Arc<TestClock>,
    clock: SharedClock,
    caches: Caches,
    metrics: ControllerMetrics,
    registry: Registry,
    feed: JoinSet<Result<Infallible, ControllerError>>,
    work: JoinSet<()>,
}

/// A wall clock that goes with the paused one, until it is stepped.
#[derive(Debug)]
struct TestClock {
    base: Timestamp,
    start: Instant,
    stepped_ms: AtomicI64,
}

impl WallClock for TestClock {
    fn now(&self) -> Timestamp {
        let stepped = SignedDuration::from_millis(self.stepped_ms.load(Ordering::SeqCst));
        self.base + SignedDuration::try_from(self.start.elapsed()).unwrap() + stepped
    }
}

impl TestClock {
    fn step(&self, by: SignedDuration) {
        self.stepped_ms
            .fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Replica {
    fn starting(now: &str, server: &ApiServer) -> Self {
        Self::starting_by(now, server, Connect::default())
    }

    fn starting_by(now: &str, server: &ApiServer, connect: Connect) -> Self {
        let mut registry = Registry::default();
        let metrics = ControllerMetrics::register(registry.sub_registry_with_prefix("five_spot"));
        let (caches, feed) = Caches::new(server.client(), connect, metrics.clone());
        let mut feeds = JoinSet::new();
        feeds.spawn(feed);
        let base = now.parse().unwrap();
        Self {
            server: server.clone(),
            wall: Arc::new(TestClock {
                base,
                start: Instant::now(),
                stepped_ms: AtomicI64::new(0),
            }),
            clock: Arc::new(PausedClock::start()),
            caches,
            metrics,
            registry,
            feed: feeds,
            work: JoinSet::new(),
        }
    }

    async fn synced(now: &str, server: &ApiServer) -> Self {
        Self::reaching(now, server, Connect::default()).await
    }

    /// One that reaches workload clusters by `connect`.
    async fn reaching(now: &str, server: &ApiServer, connect: Connect) -> Self {
        let replica = Self::starting_by(now, server, connect);
        replica.caches.synced().await;
        replica
    }

    fn begin_term(&mut self) -> TermControl {
        self.begin_unproven_term(Duration::ZERO)
    }

    /// A term in which writes to other clusters have to wait.
    fn begin_unproven_term(&mut self, wait: Duration) -> TermControl {
        let now = self.clock.now();
        let deadline = now + Duration::from_hours(1000);
        let (term, control) = Term::begin(
            Generation(1),
            deadline,
            Arc::clone(&self.clock),
            Some(leader::policies()),
        );
        control.allow_foreign_from(Some(now + wait));
        let wall: Arc<dyn WallClock> = Arc::clone(&self.wall) as _;
        self.work.spawn(run_by(
            wall,
            term,
            self.server.client(),
            self.caches.clone(),
            self.metrics.clone(),
            POD.to_owned(),
        ));
        control
    }

    async fn work_ends(&mut self) {
        let ended = timeout(Duration::from_mins(1), self.work.join_next()).await;
        ended.expect("the work ends").unwrap().unwrap();
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    fn errors(&self, category: &str) -> u64 {
        self.metric(&format!(
            "five_spot_errors_total{{category=\"{category}\"}}"
        ))
    }

    fn reconciliations(&self, result: &str) -> u64 {
        self.metric(&format!(
            "five_spot_reconciliations_total{{result=\"{result}\"}}"
        ))
    }

    fn drains(&self, result: &str) -> u64 {
        self.metric(&format!(
            "five_spot_node_drains_total{{result=\"{result}\"}}"
        ))
    }

    fn evictions(&self, result: &str) -> u64 {
        self.metric(&format!(
            "five_spot_pod_evictions_total{{result=\"{result}\"}}"
        ))
    }

    fn metric(&self, series: &str) -> u64 {
        let text = self.metrics();
        let line = text.lines().find(|line| line.starts_with(series));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or_default()
    }
}

/// A replica that has just begun to lead.
async fn begun(now: &str, server: ApiServer) -> (ApiServer, Replica, TermControl) {
    let mut replica = Replica::synced(now, &server).await;
    let control = replica.begin_term();
    (server, replica, control)
}

/// A replica that has led for a moment.
async fn led(now: &str, server: ApiServer) -> (ApiServer, Replica, TermControl) {
    let begun = begun(now, server).await;
    sleep(MOMENT).await;
    begun
}

fn phases(server: &ApiServer) -> Vec<(String, String)> {
    let phase = |status: &Value| status["phase"].as_str().unwrap().to_owned();
    server
        .writes()
        .iter()
        .map(|write| (write.name.clone(), phase(&write.status)))
        .collect()
}

/// Phases of the object `a`.
fn of_a(phases: &[&str]) -> Vec<(String, String)> {
    phases
        .iter()
        .map(|phase| ("a".to_owned(), (*phase).to_owned()))
        .collect()
}

fn status(server: &ApiServer) -> Value {
    server.object("a")["status"].clone()
}

/// The status and the reason of a condition of the object `a`.
fn condition(server: &ApiServer, kind: &str) -> String {
    let status = status(server);
    let mut conditions = status["conditions"].as_array().unwrap().iter();
    let found = conditions.find(|found| found["type"] == kind);
    let found = found.unwrap_or_else(|| panic!("no {kind} in {status}"));
    let text = |field: &str| found[field].as_str().unwrap();
    format!("{} {}", text("status"), text("reason"))
}

/// The message of the object `a` has this text in it.
#[track_caller]
fn assert_says(server: &ApiServer, text: &str) {
    let status = status(server);
    let message = status["message"].as_str().unwrap();
    assert!(message.contains(text), "{message}");
}

/// Nothing is written for so long.
async fn assert_idle_for(time: Duration, server: &ApiServer) {
    let writes = server.all_writes();
    sleep(time).await;
    assert_eq!(server.all_writes(), writes);
}

fn is_cordoned(server: &ApiServer, node: &str) -> bool {
    server.get("/nodes", "", node).unwrap()["spec"]["unschedulable"] == true
}

fn change_node(server: &ApiServer, patch: &Value) {
    server.change("/nodes", "", "node-a", patch);
}

/// A pod on the Node of the object `a`.
fn pod(name: &str, namespace: &str) -> Value {
    pod_with(name, namespace, "/status/phase", json!("Running"))
}

/// The same with a field that is changed or added.
fn pod_with(name: &str, namespace: &str, pointer: &str, value: Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"nodeName": "node-a", "containers": []},
        "status": {"phase": "Running"},
    });
    let (parent, field) = pointer.rsplit_once('/').unwrap();
    pod.pointer_mut(parent).unwrap()[field] = value;
    pod
}

fn server_with(names: &[&str]) -> ApiServer {
    let server = ApiServer::default();
    for name in names {
        server.put(office_json(name));
    }
    server
}

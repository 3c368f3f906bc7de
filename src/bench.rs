//! The bench of the work: many `ScheduledMachine`s, one leader, an API server in a process of its own.
//!
//! The server is the one of the tests, over HTTP on a local port, so that the operator's memory is the operator's alone
//! and its calls are counted on the other side. No providers run, so machines are created and become no Nodes. All times
//! are taken on the operator's side, but for that of a last write, which the server is asked for every 20 ms.
#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    reason = "what goes wrong here ends the bench and nothing else, and figures are rounded anyway"
)]

mod clock;
mod server;
mod sizes;

use std::{collections::BTreeMap, hint::black_box, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::{Client, Config};
use lease_election::{
    clock::{BootClock, SharedClock},
    term::{Generation, Term, TermControl},
};
use prometheus_client::registry::Registry;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::{
    controller::{Caches, Connect, ControllerMetrics, WallClock, run_by},
    schedule::Schedule,
};
use clock::BenchClock;
pub use server::serve;
pub use sizes::Sizes;

/// A figure with its bar.
#[derive(Clone, Debug)]
pub struct Figure {
    /// What it is.
    pub what: &'static str,
    /// Its value.
    pub value: f64,
    /// Its unit.
    pub unit: &'static str,
    /// What it may be at most; `None` where it is only told.
    pub bar: Option<f64>,
}

/// Requests and bytes of answers, by sort.
pub type Traffic = BTreeMap<String, (u64, u64)>;

/// All figures, and what went over the wire in each part.
#[derive(Debug, Default)]
pub struct Report {
    /// The figures.
    pub figures: Vec<Figure>,
    /// Requests and bytes of answers of each part.
    pub traffic: Vec<(&'static str, Traffic)>,
}

struct Bench {
    clock: SharedClock,
    wall: Arc<BenchClock>,
    client: Client,
    caches: Caches,
    metrics: ControllerMetrics,
    registry: Registry,
    tasks: JoinSet<()>,
    report: Report,
}

/// Writes that bring one machine into its window: the finalizer, two statuses, three objects.
const WRITES_OF_A_MACHINE: u64 = 6;

/// Runs all parts against the server at `url`, which holds the objects of `sizes`.
pub async fn run(url: &str, sizes: Sizes) -> Report {
    let mut bench = Bench::prepare(url).await;
    bench.first_term(sizes).await;
    bench.promotion(sizes).await;
    bench.boundary(sizes).await;
    bench.quiet(sizes).await;
    bench.crowd(sizes).await;
    bench.schedules();
    bench.report
}

impl Bench {
    async fn prepare(url: &str) -> Self {
        let client = Client::try_from(Config::new(url.parse().unwrap())).unwrap();
        let mut registry = Registry::default();
        let metrics = ControllerMetrics::register(&mut registry);
        let (caches, feed) = Caches::new(client.clone(), Connect::default(), metrics.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            let _ended = feed.await;
        });
        let begun = Instant::now();
        caches.synced().await;
        let mut bench = Self {
            clock: Arc::new(BootClock),
            wall: Arc::new(BenchClock::at(server::BEFORE_OFFICE)),
            client,
            caches,
            metrics,
            registry,
            tasks,
            report: Report::default(),
        };
        bench.tell_time("caches fed from the first list", begun.elapsed(), None);
        bench.tell_memory("resident memory of a standby");
        bench
    }

    fn begin_term(&mut self) -> TermControl {
        let deadline = self.clock.now() + Duration::from_hours(1000);
        let (term, control) = Term::begin(Generation(1), deadline, Arc::clone(&self.clock), None);
        let wall: Arc<dyn WallClock> = Arc::clone(&self.wall) as _;
        self.tasks.spawn(run_by(
            wall,
            term,
            self.client.clone(),
            self.caches.clone(),
            self.metrics.clone(),
            "bench".to_owned(),
        ));
        control
    }

    /// Every object is new, so every status is written.
    async fn first_term(&mut self, sizes: Sizes) {
        let begun = Instant::now();
        let control = self.begin_term();
        self.writes_reach(sizes.objects as u64).await;
        self.tell_time("first statuses of all objects", begun.elapsed(), None);
        self.end("first statuses", control).await;
    }

    /// A new leader, with windows that opened while nobody led.
    async fn promotion(&mut self, sizes: Sizes) {
        self.wall.set(server::OVERDUE_SINCE);
        let looks = self.looks();
        let (begun, promoted) = (Instant::now(), self.clock.now());
        let control = self.begin_term();
        let (tell, mut first) = tokio::sync::oneshot::channel();
        control.on_first_write(move |at| {
            let _ = tell.send(at.since(promoted));
        });
        while self.looks() < looks + sizes.objects as u64 {
            sleep(Duration::from_millis(1)).await;
        }
        self.tell_time(
            "all objects looked at after a promotion",
            begun.elapsed(),
            Some(10.0),
        );
        self.writes_reach(sizes.overdue as u64 * WRITES_OF_A_MACHINE)
            .await;
        self.tell_time("all overdue machines created", begun.elapsed(), None);
        let first = first.try_recv().unwrap();
        self.tell_time(
            "first overdue edge acted on after a promotion",
            first,
            Some(1.0),
        );
        self.end("promotion", control).await;
    }

    /// Many windows open in one second.
    async fn boundary(&mut self, sizes: Sizes) {
        self.wall.set(server::BEFORE_BOUNDARY);
        let control = self.begin_term();
        // Everything is looked at, and nothing is to be done before the boundary.
        sleep(Duration::from_secs(5)).await;
        let boundary: Timestamp = server::BOUNDARY.parse().unwrap();
        let left = Duration::try_from(boundary.duration_since(self.wall.now())).unwrap();
        sleep(left).await;
        let begun = Instant::now();
        self.writes_reach(sizes.together as u64 * WRITES_OF_A_MACHINE)
            .await;
        self.tell_time(
            "last write of all edges of one second",
            begun.elapsed(),
            None,
        );
        self.end("boundary", control).await;
    }

    /// Nothing is due and nothing changes.
    async fn quiet(&mut self, sizes: Sizes) {
        let control = self.begin_term();
        sleep(Duration::from_secs(5)).await;
        self.take_traffic().await;
        let quiet = Duration::from_secs(sizes.quiet_seconds);
        sleep(quiet).await;
        let traffic = self.take_traffic().await;
        self.tell(
            "work writes while nothing changes",
            writes(&traffic) as f64,
            "writes",
            Some(0.0),
        );
        self.tell_time("time without a change", quiet, None);
        self.report.traffic.push(("quiet", traffic));
        self.tell_memory("resident memory of a leader");
        control.end();
    }

    /// All other windows open in one second: the most that can be there.
    async fn crowd(&mut self, sizes: Sizes) {
        self.wall.set(server::CROWD);
        let machines = sizes.objects - sizes.overdue - sizes.together;
        let begun = Instant::now();
        let control = self.begin_term();
        self.creations_reach(machines as u64).await;
        self.tell_time(
            "all other machines created, after a promotion",
            begun.elapsed(),
            None,
        );
        self.tell_memory("resident memory of a leader of as many machines");
        self.end("crowd", control).await;
    }

    fn schedules(&mut self) {
        let schedule = Schedule::parse(&["mon-fri"], &["9-17"], "Europe/Berlin").unwrap();
        let first: Timestamp = server::BEFORE_OFFICE.parse().unwrap();
        let instants: Vec<_> = (0..10_000)
            .map(|hour| first + Duration::from_secs(hour * 3607))
            .collect();
        let mut nanos = |what, evaluate: &dyn Fn(Timestamp)| {
            let begun = Instant::now();
            for at in &instants {
                evaluate(*at);
            }
            let each = begun.elapsed().as_secs_f64() * 1e9 / instants.len() as f64;
            self.tell(what, each, "ns", None);
        };
        nanos("is a window open", &|at| {
            black_box(schedule.is_active(at));
        });
        nanos("next boundary of a window", &|at| {
            black_box(schedule.next_boundary(at));
        });
        nanos("reading a schedule", &|_| {
            black_box(Schedule::parse(&["mon-fri"], &["9-17"], "Europe/Berlin").is_ok());
        });
    }

    async fn end(&mut self, part: &'static str, control: TermControl) {
        let traffic = self.take_traffic().await;
        self.report.traffic.push((part, traffic));
        control.end();
        // The work of the term; what is left is the feed.
        while self.tasks.len() > 1 {
            self.tasks.join_next().await;
        }
    }

    /// Waits until so many work writes have been accepted since the traffic was taken last.
    async fn writes_reach(&self, count: u64) {
        while self.written().await < count {
            sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until so many Machines have been created since the traffic was taken last.
    async fn creations_reach(&self, count: u64) {
        let created = |traffic: &Traffic| {
            traffic
                .get("POST cluster.x-k8s.io/machines")
                .map_or(0, |(count, _)| *count)
        };
        while created(&self.ask("/bench/traffic").await) < count {
            sleep(Duration::from_millis(20)).await;
        }
    }

    async fn written(&self) -> u64 {
        writes(&self.ask("/bench/traffic").await)
    }

    async fn take_traffic(&self) -> Traffic {
        self.ask("/bench/take").await
    }

    async fn ask(&self, path: &str) -> Traffic {
        let request = http::Request::get(path).body(Vec::new()).unwrap();
        self.client.request(request).await.unwrap()
    }

    fn looks(&self) -> u64 {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text.lines()
            .filter(|line| line.starts_with("reconciliations_total"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .sum()
    }

    fn tell_time(&mut self, what: &'static str, time: Duration, bar: Option<f64>) {
        self.tell(what, time.as_secs_f64(), "s", bar);
    }

    fn tell_memory(&mut self, what: &'static str) {
        self.tell(what, resident_megabytes(), "MB", Some(200.0));
    }

    fn tell(&mut self, what: &'static str, value: f64, unit: &'static str, bar: Option<f64>) {
        self.report.figures.push(Figure {
            what,
            value,
            unit,
            bar,
        });
    }
}

/// Accepted writes, Events apart.
fn writes(traffic: &Traffic) -> u64 {
    let is_read = |sort: &str| {
        ["GET ", "LIST ", "WATCH ", "POST events", "REFUSED "]
            .iter()
            .any(|read| sort.starts_with(read))
    };
    traffic
        .iter()
        .filter(|(sort, _)| !is_read(sort))
        .map(|(_, (count, _))| count)
        .sum()
}

fn resident_megabytes() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .unwrap();
    let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
    kibibytes * 1024.0 / 1e6
}

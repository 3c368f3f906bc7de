//! The election as a whole, on paused time: several replicas against one API server in memory.
//!
//! Every test ends with the same check: the terms of all replicas, as their work saw them, never overlap.

#![allow(
    clippy::unchecked_time_subtraction,
    reason = "a test may fail by a panic"
)]

mod contention;
mod foreign;
mod gray;
mod handoff;
mod hint;
mod loss;
mod proof;
mod release;
mod rules;
mod story;
mod stuck;

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use jiff::{Timestamp, ToSpan};
use k8s_openapi::api::coordination::v1::LeaseSpec;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    events::{Announcements, announcements},
    holder::Sources,
    lock::Lock,
    memory::{Fault, Link, MemoryApi, Surroundings},
    run::ElectorError,
    state::{Elector, Setup},
};
use crate::{
    clock::{PausedClock, SharedClock},
    identity::Identity,
    observer::{NoObserver, recorder::Recorder},
    record::Annotations,
    status::{LeadershipStatus, Pulse},
    term::Term,
    timing::Timing,
};

const D: Duration = Duration::from_secs(15);
const RD: Duration = Duration::from_secs(10);
const RP: Duration = Duration::from_secs(2);

/// After this long without progress the work is stuck, where that is watched.
const STUCK_AFTER: Duration = Duration::from_secs(60);

/// What is due at a moment has happened so long after it.
const MOMENT: Duration = Duration::from_millis(100);

/// Within this a replica that finds no Lease leads.
const FIRST: Duration = Duration::from_secs(5);

/// Several replicas, their API server, and the record of who led when.
struct TestCluster {
    api: MemoryApi,
    around: Surroundings,
    clock: Arc<PausedClock>,
    begun: Instant,
    stints: Arc<Mutex<Vec<Stint>>>,
    /// Terms may overlap, because somebody forges what the replicas go by; only the fence keeps their writes apart.
    forged: bool,
}

/// The lock of a replica with the default timing.
fn lock(link: &Link, me: &Identity, clock: SharedClock) -> Lock<Link> {
    Lock {
        api: link.clone(),
        name: "l".to_owned(),
        annotations: annotations(),
        timing: Timing::default(),
        me: me.clone(),
        clock,
        wall: Arc::new(Timestamp::now),
        observer: Arc::new(NoObserver),
    }
}

fn last_words(of: &Identity) -> String {
    format!("{}\n", of.incarnation.nonce)
}

fn annotations() -> Arc<Annotations> {
    Arc::new(Annotations::with_prefix("example.com"))
}

/// What an elector is made of that learns of others by the Lease alone.
fn alone() -> Setup {
    Setup {
        sources: Sources::default(),
        drain_timeout: RD,
        stuck_after: None,
        announcer: announcements(Arc::new(NoObserver)).0,
        policies: None,
    }
}

/// A stretch in which the work of one replica could write.
#[derive(Clone, Debug)]
struct Stint {
    pod: String,
    from: Instant,
    to: Option<Instant>,
    /// From when it could write to other clusters.
    foreign: Option<Instant>,
}

/// One running replica.
struct Replica {
    me: Identity,
    link: Link,
    status: watch::Receiver<LeadershipStatus>,
    acknowledged: watch::Receiver<Option<Timestamp>>,
    pulse: Arc<Pulse>,
    shutdown: CancellationToken,
    task: JoinSet<Result<(), ElectorError>>,
    recorder: Arc<Recorder>,
    announcements: Announcements,
}

/// What a replica is started with.
#[derive(Clone, Copy)]
struct Options {
    pod: &'static str,
    pod_uid: &'static str,
    duration: u64,
    wall_offset_hours: i64,
    ready_after: Duration,
    drains_for: Duration,
    drain_timeout: Duration,
    heeds_the_end: bool,
    /// The work asks by itself, this often, whether its term is live, and ends when it is not.
    looks_every: Option<Duration>,
    /// The work meets a refusal by the fence after this long.
    doubts_after: Option<Duration>,
    /// Whether hints are on.
    hints: bool,
    /// The hash of its pod template, and the minute in which its pod was created.
    template: &'static str,
    created: u8,
    /// The work writes something after this long.
    writes_after: Option<Duration>,
    /// The work says this often that it goes on.
    progress_every: Option<Duration>,
    /// It does so for this long, and hangs from then on.
    hangs_after: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pod: "a",
            pod_uid: "uid-a",
            duration: 15,
            wall_offset_hours: 0,
            ready_after: Duration::ZERO,
            drains_for: Duration::ZERO,
            drain_timeout: Duration::from_secs(20),
            heeds_the_end: true,
            looks_every: None,
            doubts_after: None,
            hints: false,
            template: "t",
            created: 1,
            writes_after: None,
            progress_every: None,
            hangs_after: Duration::MAX,
        }
    }
}

fn pod(pod: &'static str, pod_uid: &'static str) -> Options {
    Options {
        pod,
        pod_uid,
        ..Options::default()
    }
}

fn a() -> Options {
    pod("a", "uid-a")
}

fn b() -> Options {
    pod("b", "uid-b")
}

impl TestCluster {
    fn new() -> Self {
        Self {
            api: MemoryApi::empty(),
            around: Surroundings::new(),
            clock: Arc::new(PausedClock::start()),
            begun: Instant::now(),
            stints: Arc::default(),
            forged: false,
        }
    }

    /// A replica called `a` leads.
    async fn led_by(setup: Options) -> (Self, Replica) {
        let cluster = Self::new();
        let leader = cluster.start(setup);
        cluster.until_leads("a", FIRST).await;
        (cluster, leader)
    }

    /// A replica called `a` leads, `b` stands by, and both have done so for a while.
    async fn led_for_a_while_by(leader: Options) -> (Self, Replica, Replica) {
        let (cluster, leader) = Self::led_by(leader).await;
        let standby = cluster.start(b());
        sleep(Duration::from_secs(5)).await;
        (cluster, leader, standby)
    }

    async fn with_leader_and_standby() -> (Self, Replica, Replica) {
        Self::led_for_a_while_by(a()).await
    }

    /// Edits the spec of the Lease, as somebody else would.
    fn edit_spec(&self, change: impl FnOnce(&mut LeaseSpec)) {
        self.api
            .edit(|lease| change(lease.as_mut().unwrap().spec.as_mut().unwrap()));
    }

    /// As an elector does that knows nothing of incarnations.
    fn overwritten_by_a_stranger(&self) {
        self.edit_spec(|spec| spec.holder_identity = Some("stranger".into()));
    }

    /// The process of `replica` dies, and its last words are reported.
    fn dies(&self, replica: Replica) {
        let me = replica.me.clone();
        replica.crash();
        self.around
            .report_dead(&me, &me.incarnation.nonce.to_string());
    }

    /// The process of `replica` dies, and all that is seen of it is that its connections are lost.
    fn lost(&self, replica: Replica) {
        let me = replica.me.clone();
        replica.crash();
        self.around.lose(&me.incarnation);
    }

    fn start(&self, setup: Options) -> Replica {
        let link = self.api.link(setup.pod);
        let me = Identity::of_new_process(setup.pod, setup.pod_uid);
        self.around.run(&me, setup.template, setup.created);
        // Wall time that moves with the paused clock, but is off by hours.
        let (begun, offset) = (self.begun, setup.wall_offset_hours);
        let wall = move || {
            let passed = i64::try_from(begun.elapsed().as_millis()).unwrap();
            Timestamp::UNIX_EPOCH + (500_000 + offset).hours() + passed.milliseconds()
        };
        let recorder = Arc::new(Recorder::default());
        let duration = Duration::from_secs(setup.duration);
        let lock = Lock {
            timing: Timing::new(duration, RD, RP).unwrap(),
            wall: Arc::new(wall),
            observer: recorder.clone(),
            ..lock(&link, &me, self.clock.clone())
        };
        let (announcer, announcements) = announcements(recorder.clone());
        let elector = Elector::new(
            lock,
            Setup {
                sources: self.around.sources(setup.hints),
                drain_timeout: setup.drain_timeout,
                stuck_after: setup.progress_every.map(|_| STUCK_AFTER),
                announcer,
                policies: None,
            },
        );
        let (status, pulse, acknowledged) =
            (elector.status(), elector.pulse(), elector.acknowledged());
        let shutdown = CancellationToken::new();
        let (token, stints) = (shutdown.clone(), Arc::clone(&self.stints));
        let mut task = JoinSet::new();
        task.spawn(async move {
            let work = |term| lead(term, setup, Arc::clone(&stints));
            elector.run(sleep(setup.ready_after), token, work).await
        });
        Replica {
            me,
            link,
            status,
            acknowledged,
            pulse,
            shutdown,
            task,
            recorder,
            announcements,
        }
    }

    /// Waits for `pod` to lead, and says how long it took.
    async fn until_leads(&self, pod: &str, within: Duration) -> Duration {
        let begun = Instant::now();
        while begun.elapsed() <= within {
            if self.leading().as_deref() == Some(pod) {
                return begun.elapsed();
            }
            sleep(Duration::from_millis(1)).await;
        }
        panic!(
            "{pod} does not lead after {within:?}; stints: {:#?}",
            self.stints()
        );
    }

    /// Whose work runs now.
    fn leading(&self) -> Option<String> {
        self.stints()
            .into_iter()
            .find(|stint| stint.to.is_none())
            .map(|stint| stint.pod)
    }

    fn stints(&self) -> Vec<Stint> {
        self.stints.lock().unwrap().clone()
    }

    /// How long after it began to lead the present leader could write to other clusters.
    fn foreign_wait(&self) -> Option<Duration> {
        let stints = self.stints();
        let stint = stints.last()?;
        Some(stint.foreign? - stint.from)
    }

    fn pods_that_led(&self) -> Vec<String> {
        self.stints().into_iter().map(|stint| stint.pod).collect()
    }
}

impl Drop for TestCluster {
    fn drop(&mut self) {
        if std::thread::panicking() || self.forged {
            return;
        }
        for pair in self.stints().windows(2) {
            let ended = pair[0]
                .to
                .expect("an earlier stint goes on while a later one has begun");
            assert!(ended <= pair[1].from, "terms overlap: {:#?}", self.stints());
        }
    }
}

impl Replica {
    /// The process is gone from one moment to the next: nothing is released, nothing is said.
    fn crash(mut self) {
        self.task.abort_all();
    }

    async fn stop(mut self) -> Result<(), ElectorError> {
        self.shutdown.cancel();
        self.ended().await
    }

    /// It stands by, and knows who leads.
    #[track_caller]
    fn assert_follows(&self, pod: &str) {
        let status = self.status.borrow();
        assert!(
            matches!(&*status, LeadershipStatus::StandingBy { leader, .. } if leader == pod),
            "{status:?}"
        );
    }

    async fn ended(&mut self) -> Result<(), ElectorError> {
        self.task.join_next().await.unwrap().unwrap()
    }
}

/// The work of a leader: it does nothing but note from when until when it could write, and from when to other clusters.
async fn lead(term: Term, setup: Options, stints: Arc<Mutex<Vec<Stint>>>) {
    let noted = Noted::begin(setup.pod, stints);
    let note_foreign = async {
        term.foreign_allowed().await;
        noted.may_write_to_others();
        std::future::pending::<()>().await;
    };
    tokio::select! {
        biased;
        () = note_foreign => {}
        () = work(&term, setup) => {}
    }
}

async fn work(term: &Term, setup: Options) {
    if let Some(pause) = setup.doubts_after {
        sleep(pause).await;
        term.doubt();
    }
    if let Some(pause) = setup.writes_after {
        sleep(pause).await;
        story::write(term).await;
    }
    if let Some(pause) = setup.progress_every {
        let begun = Instant::now();
        while begun.elapsed() < setup.hangs_after && !term.is_winding_down() {
            term.progress();
            sleep(pause).await;
        }
        if begun.elapsed() >= setup.hangs_after {
            std::future::pending::<()>().await;
        }
    }
    if let Some(pause) = setup.looks_every {
        while term.check().is_ok() {
            sleep(pause).await;
        }
    } else if setup.heeds_the_end {
        term.winding_down().await;
        tokio::select! {
            () = sleep(setup.drains_for) => {}
            () = term.ended() => {}
        }
    } else {
        std::future::pending::<()>().await;
    }
}

struct Noted {
    stints: Arc<Mutex<Vec<Stint>>>,
    index: usize,
}

impl Noted {
    fn begin(pod: &str, stints: Arc<Mutex<Vec<Stint>>>) -> Self {
        let index = {
            let mut all = stints.lock().unwrap();
            all.push(Stint {
                pod: pod.to_owned(),
                from: Instant::now(),
                to: None,
                foreign: None,
            });
            all.len() - 1
        };
        Self { stints, index }
    }

    fn may_write_to_others(&self) {
        self.stints.lock().unwrap()[self.index].foreign = Some(Instant::now());
    }
}

impl Drop for Noted {
    fn drop(&mut self) {
        self.stints.lock().unwrap()[self.index].to = Some(Instant::now());
    }
}

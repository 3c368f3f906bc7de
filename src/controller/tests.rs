//! The work of a term against an API server in memory, on paused time.

mod api_server;

use std::{
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Duration,
};

use jiff::{SignedDuration, Timestamp};
use prometheus_client::registry::Registry;
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{Instant, sleep},
};

use super::{Caches, ControllerError, ControllerMetrics, run_by, wall_clock::WallClock};
use crate::api::fixture::office_json;
use crate::{
    clock::{PausedClock, SharedClock},
    term::{Generation, Term, TermControl},
};
use api_server::{ApiServer, Faults};

/// A Monday, ten minutes before the office opens.
const BEFORE_OFFICE: &str = "2026-03-02T08:50:00Z";

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
        let mut registry = Registry::default();
        let metrics = ControllerMetrics::register(registry.sub_registry_with_prefix("five_spot"));
        let (caches, feed) = Caches::new(server.client(), metrics.clone());
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
        let replica = Self::starting(now, server);
        replica.caches.synced().await;
        replica
    }

    fn begin_term(&mut self) -> TermControl {
        let deadline = self.clock.now() + Duration::from_hours(1000);
        let (term, control) = Term::begin(Generation(1), deadline, Arc::clone(&self.clock));
        let wall: Arc<dyn WallClock> = Arc::clone(&self.wall) as _;
        self.work.spawn(run_by(
            wall,
            term,
            self.server.client(),
            self.caches.clone(),
            self.metrics.clone(),
        ));
        control
    }

    fn metrics(&self) -> String {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry).unwrap();
        text
    }

    fn metric(&self, series: &str) -> u64 {
        let text = self.metrics();
        let line = text.lines().find(|line| line.starts_with(series));
        line.and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or_default()
    }
}

fn phases(server: &ApiServer) -> Vec<(String, String)> {
    let phase = |status: &Value| status["phase"].as_str().unwrap().to_owned();
    server
        .writes()
        .iter()
        .map(|write| (write.name.clone(), phase(&write.status)))
        .collect()
}

fn server_with(names: &[&str]) -> ApiServer {
    let server = ApiServer::default();
    for name in names {
        server.put(office_json(name));
    }
    server
}

#[tokio::test(start_paused = true)]
async fn a_new_term_looks_at_every_object_without_listing_again() {
    let server = server_with(&["a", "b", "c"]);
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    sleep(Duration::from_secs(60)).await;
    assert!(server.writes().is_empty(), "a standby writes nothing");

    let begun = Instant::now();
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    assert_eq!(server.writes().len(), 3);
    assert!(
        server
            .writes()
            .iter()
            .all(|write| write.at - begun < MOMENT)
    );
    assert_eq!(server.lists(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_is_overdue_comes_first_and_the_rest_by_priority() {
    let server = ApiServer::default();
    let with = |name: &str, priority: u8, due: Option<&str>| {
        let mut object = office_json(name);
        object["spec"]["priority"] = json!(priority);
        if let Some(due) = due {
            object["status"] =
                json!({"phase": "Active", "nextDeactivation": due, "observedGeneration": 1});
        }
        server.put(object);
    };
    // More objects than are worked on at a time, so that the order is not only that of the first handful.
    for index in 0..60 {
        with(&format!("a-routine-{index:02}"), 50, None);
    }
    for index in 0..40 {
        with(
            &format!("z-overdue-{index:02}"),
            0,
            Some("2026-03-01T18:00:00Z"),
        );
    }
    with("m-important", 100, None);
    server.set_faults(Faults {
        status_takes: Duration::from_millis(5),
        ..Faults::default()
    });
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(Duration::from_secs(5)).await;

    let order: Vec<_> = server
        .writes()
        .into_iter()
        .map(|write| write.name)
        .collect();
    assert_eq!(order.len(), 101);
    // Sixteen are on their way at a time, and those may finish in any order.
    assert!(
        order[56..].iter().all(|name| name.starts_with("a-routine")),
        "{order:?}"
    );
    assert!(
        order[..24].iter().all(|name| name.starts_with("z-overdue")),
        "{order:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_while_nothing_changes() {
    let server = server_with(&["a", "b"]);
    let mut replica = Replica::synced("2026-03-02T09:10:00Z", &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    assert_eq!(server.writes().len(), 2);

    sleep(Duration::from_hours(8)).await;
    assert_eq!(server.writes().len(), 2);
    // The first look, and the one at the echo of the write.
    assert_eq!(
        replica.metric("five_spot_reconciliations_total{result=\"success\"}"),
        4
    );
}

#[tokio::test(start_paused = true)]
async fn a_boundary_is_acted_on_when_it_comes_and_not_before() {
    let server = server_with(&["a"]);
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(Duration::from_mins(10) - Duration::from_millis(5)).await;
    assert_eq!(phases(&server), [("a".into(), "Inactive".into())]);
    sleep(Duration::from_millis(10)).await;
    assert_eq!(phases(&server)[1..], [("a".into(), "Active".into())]);
    let status = &server.object("a")["status"];
    assert_eq!(status["nextDeactivation"], "2026-03-02T18:00:00Z");
    assert_eq!(status["nextActivation"], "2026-03-03T09:00:00Z");
    assert_eq!(status["inSchedule"], true);

    sleep(Duration::from_hours(9)).await;
    assert_eq!(phases(&server)[2..], [("a".into(), "Inactive".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_change_of_the_spec_leads_to_exactly_one_write() {
    let server = server_with(&["a"]);
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    for round in 1..=5_u8 {
        server.patch("a", "/spec/clusterName", json!(format!("lab-{round}")));
        sleep(MOMENT).await;
        assert_eq!(server.writes().len(), 1 + usize::from(round));
        let status = &server.object("a")["status"];
        assert_eq!(status["observedGeneration"], 1 + round);
        assert_eq!(status["conditions"][0]["observedGeneration"], 1 + round);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cache_that_lags_behind_our_write_does_not_repeat_it() {
    let server = server_with(&["a"]);
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    server.hold_news();
    server.patch("a", "/spec/clusterName", json!("other"));
    server.patch("a", "/metadata", {
        let mut metadata = server.object("a")["metadata"].clone();
        metadata["labels"] = json!({"touched": "yes"});
        metadata
    });
    server.release_one();
    sleep(MOMENT).await;
    assert_eq!(server.writes().len(), 2);
    // The object as it was before our write, with a new label.
    server.release_one();
    sleep(MOMENT).await;
    assert_eq!(server.writes().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_status_that_somebody_else_changed_is_put_right() {
    let server = server_with(&["a"]);
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    server.patch("a", "/status/phase", json!("Active"));
    sleep(MOMENT).await;
    assert_eq!(server.object("a")["status"]["phase"], "Inactive");
    assert_eq!(server.writes().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn conditions_of_others_stay_and_times_of_ours_are_kept() {
    let server = server_with(&["a"]);
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    let mut conditions = server.object("a")["status"]["conditions"].clone();
    let foreign = json!({"type": "example.com/Seen", "status": "True", "reason": "Seen", "message": "",
        "lastTransitionTime": "2026-01-01T00:00:00Z"});
    conditions.as_array_mut().unwrap().push(foreign);
    server.patch("a", "/status/conditions", conditions.clone());
    sleep(MOMENT).await;
    assert_eq!(
        server.writes().len(),
        1,
        "a condition of somebody else is none of our business"
    );

    sleep(Duration::from_mins(10)).await;
    let after = server.object("a")["status"]["conditions"].clone();
    let find = |list: &Value, kind: &str| {
        list.as_array()
            .unwrap()
            .iter()
            .find(|condition| condition["type"] == kind)
            .cloned()
            .unwrap()
    };
    assert_eq!(
        find(&after, "example.com/Seen"),
        find(&conditions, "example.com/Seen")
    );
    let time = |list, kind| find(list, kind)["lastTransitionTime"].clone();
    assert_eq!(time(&after, "Ready"), time(&conditions, "Ready"));
    assert_eq!(time(&after, "Scheduled"), json!("2026-03-02T09:00:00Z"));
}

#[tokio::test(start_paused = true)]
async fn a_bad_schedule_is_reported_and_a_new_one_is_taken_up() {
    let server = server_with(&["a"]);
    server.patch("a", "/spec/schedule/daysOfWeek", json!(["someday"]));
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    let status = &server.object("a")["status"];
    assert_eq!(status["phase"], "Error");
    assert!(
        status["message"].as_str().unwrap().contains("someday"),
        "{status}"
    );
    assert_eq!(
        replica.metric("five_spot_reconciliations_total{result=\"error\"}"),
        0
    );

    server.patch("a", "/spec/schedule/daysOfWeek", json!(["mon"]));
    sleep(MOMENT).await;
    assert_eq!(server.object("a")["status"]["phase"], "Inactive");
}

#[tokio::test(start_paused = true)]
async fn a_phase_change_is_announced_after_it_is_written() {
    let server = server_with(&["a"]);
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(Duration::from_mins(11)).await;
    let events = server.events();
    assert_eq!(events.len(), 2);
    assert_eq!(events[1]["reason"], "ScheduleActive");
    assert_eq!(events[1]["regarding"]["uid"], "uid-of-a");
    assert!(
        events[1]["note"]
            .as_str()
            .unwrap()
            .starts_with("Inactive -> Active"),
        "{}",
        events[1]
    );
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_refused_fails_nothing() {
    let server = server_with(&["a"]);
    server.set_faults(Faults {
        refuse_events: Some(403),
        ..Faults::default()
    });
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(Duration::from_mins(5)).await;
    assert_eq!(server.writes().len(), 1);
    assert_eq!(
        replica.metric("five_spot_errors_total{category=\"event\"}"),
        1
    );
    assert_eq!(
        replica.metric("five_spot_reconciliations_total{result=\"error\"}"),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_write_that_fails_is_tried_again_ever_later() {
    let server = server_with(&["a"]);
    server.set_faults(Faults {
        refuse_status: Some(500),
        ..Faults::default()
    });
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(Duration::from_mins(4)).await;
    let failures = replica.metric("five_spot_errors_total{category=\"status\"}");
    assert!((5..=20).contains(&failures), "{failures}");
    server.set_faults(Faults::default());
    sleep(Duration::from_mins(1)).await;
    assert_eq!(server.writes().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_goes_away_under_a_write_is_no_failure() {
    let server = server_with(&["a"]);
    server.set_faults(Faults {
        status_takes: Duration::from_millis(50),
        ..Faults::default()
    });
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    server.delete("a");
    sleep(Duration::from_mins(20)).await;
    assert_eq!(
        replica.metric("five_spot_errors_total{category=\"status\"}"),
        0
    );
    assert!(server.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_term_that_ended_writes_nothing_more_and_drops_what_hangs() {
    let server = server_with(&["a", "b"]);
    server.set_faults(Faults {
        status_takes: Duration::from_mins(5),
        ..Faults::default()
    });
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let control = replica.begin_term();
    sleep(MOMENT).await;
    let ended = Instant::now();
    control.end();
    replica.work.join_next().await.unwrap().unwrap();
    assert!(
        ended.elapsed() < Duration::from_millis(5),
        "{:?}",
        ended.elapsed()
    );
    sleep(Duration::from_mins(30)).await;
    assert!(server.writes().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_term_that_winds_down_finishes_what_is_in_flight_and_starts_nothing() {
    let names: Vec<_> = (0..100).map(|index| format!("m{index}")).collect();
    let server = server_with(&names.iter().map(String::as_str).collect::<Vec<_>>());
    server.set_faults(Faults {
        status_takes: Duration::from_millis(100),
        ..Faults::default()
    });
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let control = replica.begin_term();
    sleep(Duration::from_millis(50)).await;
    let asked = Instant::now();
    control.wind_down();
    replica.work.join_next().await.unwrap().unwrap();
    assert!(
        asked.elapsed() < Duration::from_millis(70),
        "{:?}",
        asked.elapsed()
    );
    assert_eq!(server.writes().len(), 16, "one batch was in flight");
}

#[tokio::test(start_paused = true)]
async fn the_next_term_of_the_same_replica_takes_up_all_timers() {
    let server = server_with(&["a"]);
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let control = replica.begin_term();
    sleep(MOMENT).await;
    control.end();
    replica.work.join_next().await.unwrap().unwrap();
    let _control = replica.begin_term();
    sleep(Duration::from_mins(11)).await;
    assert_eq!(phases(&server)[1..], [("a".into(), "Active".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_forward_is_noticed_within_a_second() {
    let server = server_with(&["a"]);
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    replica.wall.step(SignedDuration::from_mins(15));
    sleep(Duration::from_millis(1100)).await;
    assert_eq!(phases(&server)[1..], [("a".into(), "Active".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_wall_clock_that_is_set_back_makes_a_look_wait_again_and_not_spin() {
    let server = server_with(&["a"]);
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    replica.wall.step(SignedDuration::from_mins(-30));
    sleep(Duration::from_mins(39)).await;
    assert_eq!(
        server.writes().len(),
        1,
        "the office is still shut by the wall clock"
    );
    let looks = replica.metric("five_spot_reconciliations_total{result=\"success\"}");
    assert!(looks <= 4, "{looks}");
    sleep(Duration::from_mins(2)).await;
    assert_eq!(phases(&server)[1..], [("a".into(), "Active".into())]);
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_installed_yet_is_waited_for() {
    let server = ApiServer::default();
    server.set_faults(Faults {
        kind_is_missing: true,
        ..Faults::default()
    });
    let replica = Replica::starting(BEFORE_OFFICE, &server);
    sleep(Duration::from_mins(10)).await;
    assert!(!replica.caches.is_synced());
    assert_eq!(replica.feed.len(), 1);
    server.set_faults(Faults::default());
    sleep(Duration::from_secs(6)).await;
    assert!(replica.caches.is_synced());
}

#[tokio::test(start_paused = true)]
async fn a_broken_watch_is_taken_up_again_without_a_write() {
    let server = server_with(&["a"]);
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    for _ in 0..5 {
        server.break_watches();
        sleep(Duration::from_secs(10)).await;
    }
    assert_eq!(server.writes().len(), 1);
    server.patch("a", "/spec/clusterName", json!("other"));
    sleep(Duration::from_secs(10)).await;
    assert_eq!(server.writes().len(), 2);
    assert_eq!(replica.feed.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_does_not_keep_others_from_being_served() {
    let server = server_with(&["a", "bad", "c"]);
    server.patch("bad", "/spec/schedule", json!("always"));
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    assert_eq!(server.writes().len(), 2);
    assert_eq!(
        replica.metric("five_spot_errors_total{category=\"unreadable\"}"),
        1
    );

    // One that turns bad is not acted on as it was before.
    server.patch("a", "/spec/schedule", json!("always"));
    sleep(Duration::from_mins(15)).await;
    assert_eq!(phases(&server)[2..], [("c".into(), "Active".into())]);
}

#[tokio::test(start_paused = true)]
async fn the_objects_are_counted_by_phase() {
    let server = server_with(&["a", "b", "c"]);
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let phase = |replica: &Replica, phase: &str| {
        replica.metric(&format!(
            "five_spot_scheduled_machines{{phase=\"{phase}\"}}"
        ))
    };
    assert_eq!(phase(&replica, "Pending"), 3);
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    server.patch("b", "/spec/schedule/daysOfWeek", json!(["mon-sun"]));
    server.patch("b", "/spec/schedule/hoursOfDay", json!(["0-23"]));
    server.delete("c");
    sleep(MOMENT).await;
    assert_eq!(
        [
            phase(&replica, "Pending"),
            phase(&replica, "Inactive"),
            phase(&replica, "Active")
        ],
        [0, 1, 1]
    );
}

#[tokio::test(start_paused = true)]
async fn the_metrics_have_their_documented_names() {
    let server = server_with(&["a"]);
    let mut replica = Replica::synced(BEFORE_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    let text = replica.metrics();
    for series in [
        "five_spot_reconciliations_total{result=\"success\"}",
        "five_spot_reconciliations_total{result=\"error\"}",
        "five_spot_reconciliation_duration_seconds_bucket",
        "five_spot_errors_total{category=\"watch\"}",
        "five_spot_scheduled_machines{phase=\"Inactive\"}",
    ] {
        assert!(text.contains(series), "{series} is missing:\n{text}");
    }
}

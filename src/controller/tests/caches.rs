//! Caches that are fed from a watch that fails in every way.

use strum::VariantArray;

use super::*;
use crate::api::Phase;
use logged::Logged;

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_installed_yet_is_waited_for() {
    let server = ApiServer::default();
    server.fail(|faults| faults.kind_is_missing = true);
    let replica = Replica::starting(BEFORE_OFFICE, &server);
    sleep(Duration::from_mins(10)).await;
    assert!(!replica.caches.is_synced());
    assert_eq!(replica.feed.len(), 1);
    server.set_faults(Faults::default());
    sleep(Duration::from_secs(6)).await;
    assert!(replica.caches.is_synced());
}

/// What the API server answers for a moment after a custom resource definition was made.
fn initializing() -> Faults {
    let refused = (429, "storage is (re)initializing".to_owned());
    Faults {
        refuse: [("LIST 5spot.finos.org/scheduledmachines".to_owned(), refused)].into(),
        ..Faults::default()
    }
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_is_not_ready_at_the_start_is_no_warning_unless_it_lasts() {
    let logged = Logged::from_now_on();
    let server = ApiServer::default();
    server.set_faults(initializing());
    let replica = Replica::starting(BEFORE_OFFICE, &server);
    sleep(Duration::from_secs(3)).await;
    server.set_faults(Faults::default());
    sleep(Duration::from_secs(6)).await;
    assert!(replica.caches.is_synced());
    assert!(!logged.with("storage is (re)initializing").is_empty());
    assert_eq!(logged.with("WARN"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_storage_that_does_not_get_ready_is_warned_of_once() {
    let logged = Logged::from_now_on();
    let server = ApiServer::default();
    server.set_faults(initializing());
    let _replica = Replica::starting(BEFORE_OFFICE, &server);
    sleep(Duration::from_mins(5)).await;
    let warnings = logged.with("WARN");
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(
        warnings[0].contains("keeps failing") && warnings[0].contains("(re)initializing"),
        "{warnings:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_broken_watch_is_taken_up_again_without_a_write() {
    let (server, replica, _control) = led(BEFORE_OFFICE, server_with(&["a"])).await;
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
async fn a_watch_that_died_without_a_word_is_noticed_within_its_time() {
    let (server, replica, _control) = led(BEFORE_OFFICE, server_with(&["a"])).await;
    server.silence_watches();
    server.patch("a", "/spec/clusterName", json!("other"));
    sleep(Duration::from_secs(36)).await;
    assert_eq!(server.object("a")["status"]["observedGeneration"], 2);
    assert_eq!(server.lists(), 1, "a watch is taken up where it ended");
    assert_eq!(replica.errors("watch"), 0);
}

#[tokio::test(start_paused = true)]
async fn lists_and_watches_that_are_never_answered_are_tried_again() {
    let server = server_with(&["a"]);
    server.fail(|faults| faults.stall_lists = true);
    let mut replica = Replica::starting(BEFORE_OFFICE, &server);
    sleep(MOMENT).await;
    server.fail(|faults| faults.stall_watches = true);
    sleep(Duration::from_secs(15)).await;
    assert!(replica.caches.is_synced(), "the list was tried again");

    let _control = replica.begin_term();
    sleep(MOMENT).await;
    server.set_faults(Faults::default());
    server.patch("a", "/spec/clusterName", json!("other"));
    sleep(Duration::from_secs(15)).await;
    assert_eq!(server.object("a")["status"]["observedGeneration"], 2);
    assert_eq!(replica.errors("watch"), 2);
}

#[tokio::test(start_paused = true)]
async fn what_changed_while_the_watch_could_not_be_resumed_is_seen_at_the_next_list() {
    let (server, _replica, _control) = led(BEFORE_OFFICE, server_with(&["a", "b"])).await;
    server.compact();
    server.patch("b", "/spec/clusterName", json!("other"));
    sleep(Duration::from_secs(30)).await;
    assert_eq!(server.lists(), 2);
    assert_eq!(server.writes().len(), 3);
    assert_eq!(server.object("b")["status"]["observedGeneration"], 2);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_does_not_keep_others_from_being_served() {
    let server = server_with(&["a", "bad", "c"]);
    server.patch("bad", "/spec/schedule", json!("always"));
    let (server, replica, _control) = led(BEFORE_OFFICE, server).await;
    assert_eq!(server.writes().len(), 2);
    assert_eq!(replica.errors("unreadable"), 1);

    // One that turns bad is not acted on as it was before.
    server.patch("a", "/spec/schedule", json!("always"));
    sleep(Duration::from_mins(15)).await;
    assert_eq!(
        phases(&server)[2..],
        [
            ("c".into(), "Pending".into()),
            ("c".into(), "Active".into())
        ]
    );
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

#[test]
fn every_phase_is_counted_from_the_start() {
    let mut registry = Registry::default();
    ControllerMetrics::register(registry.sub_registry_with_prefix("five_spot"));
    let mut text = String::new();
    prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
    for phase in Phase::VARIANTS {
        let series = format!("five_spot_scheduled_machines{{phase=\"{phase}\"}} 0");
        assert!(text.contains(&series), "{series} is missing:\n{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_objects_are_counted_afresh_by_every_list() {
    let server = server_with(&["a", "b"]);
    let replica = Replica::synced(BEFORE_OFFICE, &server).await;
    server.compact();
    server.delete("b");
    server.patch("a", "/metadata/namespace", json!("default"));
    sleep(Duration::from_secs(30)).await;
    assert_eq!(server.lists(), 2);
    let series = "five_spot_scheduled_machines{phase=\"Pending\"} 1";
    assert!(replica.metrics().contains(series), "{}", replica.metrics());
}

#[tokio::test(start_paused = true)]
async fn the_metrics_have_their_documented_names() {
    let (_server, replica, _control) = led(BEFORE_OFFICE, server_with(&["a"])).await;
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

/// An object whose bootstrap object is of a kind of its own.
fn with_kind(name: &str, kind: &str) -> Value {
    let mut object = office_json(name);
    object["spec"]["bootstrapSpec"]["kind"] = json!(kind);
    object
}

/// Requests for the list of kinds of a group, which is how a kind is looked for.
fn looked_for(server: &ApiServer) -> u64 {
    let traffic = server.traffic();
    let discovery = traffic
        .iter()
        .filter(|(sort, _)| sort.starts_with("DISCOVER"));
    discovery.map(|(_, (requests, _))| requests).sum()
}

#[tokio::test(start_paused = true)]
async fn kinds_that_do_not_exist_keep_none_that_does_from_being_watched() {
    let server = ApiServer::default();
    server.run_cluster_api(ClusterApi::default());
    for other in 0..300 {
        server.put(with_kind(
            &format!("wrong-{other:03}"),
            &format!("Wrong{other}"),
        ));
    }
    let (server, _replica, _control) = led("2026-03-02T09:10:00Z", server).await;
    server.put(office_json("a"));
    sleep(Duration::from_secs(5)).await;
    assert_eq!(server.object("a")["status"]["phase"], "Active");

    // However many there are, they are looked for once a second in all.
    sleep(Duration::from_mins(10)).await;
    let before = looked_for(&server);
    sleep(Duration::from_mins(10)).await;
    let requests = looked_for(&server) - before;
    assert!((300..=700).contains(&requests), "{requests} in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_nobody_names_any_more_is_not_looked_for() {
    let server = ApiServer::default();
    server.put(with_kind("wrong", "Wrong"));
    server.put(office_json("a"));
    let _replica = Replica::synced(BEFORE_OFFICE, &server).await;
    sleep(Duration::from_mins(1)).await;
    let watches = |server: &ApiServer| {
        server.traffic()["WATCH bootstrap.cluster.x-k8s.io/k0sworkerconfigs"].0
    };
    server.delete("wrong");
    server.delete("a");
    sleep(Duration::from_mins(11)).await;
    let before = looked_for(&server);
    server.break_watches();
    sleep(Duration::from_mins(5)).await;
    assert_eq!(looked_for(&server), before);
    let before = watches(&server);
    server.put(office_json("a"));
    sleep(Duration::from_secs(5)).await;
    assert!(watches(&server) > before);
}

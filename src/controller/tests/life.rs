//! The life of a machine over the objects of Cluster API.

use super::*;
use crate::api_server::SCHEDULED_MACHINES;

/// What is created, in its order.
const CREATION: [&str; 3] = [
    "POST bootstrap.cluster.x-k8s.io/k0sworkerconfigs default",
    "POST infrastructure.cluster.x-k8s.io/remotemachines default",
    "POST cluster.x-k8s.io/machines default",
];

pub(super) const MACHINES: &str = "cluster.x-k8s.io/machines";
pub(super) const BOOTSTRAPS: &str = "bootstrap.cluster.x-k8s.io/k0sworkerconfigs";
pub(super) const INFRASTRUCTURES: &str = "infrastructure.cluster.x-k8s.io/remotemachines";
pub(super) const ALL: [&str; 3] = [BOOTSTRAPS, INFRASTRUCTURES, MACHINES];

/// In the middle of a window.
pub(super) const IN_OFFICE: &str = "2026-03-02T09:10:00Z";

/// A cluster with Cluster API and one machine, before or in its window.
pub(super) fn cluster() -> ApiServer {
    let server = server_with(&["a"]);
    server.run_cluster_api(ClusterApi::default());
    server
}

/// Writes to other objects than `ScheduledMachine`s.
pub(super) fn others(server: &ApiServer) -> Vec<String> {
    let mut writes = server.all_writes();
    writes.retain(|write| !write.contains("5spot.finos.org/"));
    writes
}

pub(super) fn is_gone(server: &ApiServer) -> bool {
    ALL.iter().all(|table| server.names(table).is_empty())
}

/// A change that this replica does not see: the watches are dead without a word.
fn touch_unseen(server: &ApiServer) {
    server.silence_watches();
    let touched = json!({"metadata": {"labels": {"touched": "yes"}}});
    server.change(MACHINES, "default", "a", &touched);
}

fn refused(server: &ApiServer, sort: &str) -> u64 {
    let traffic = server.traffic();
    traffic
        .get(&format!("REFUSED {sort}"))
        .map_or(0, |counted| counted.0)
}

/// Whoever leads by now may have changed its mind about it.
#[tokio::test(start_paused = true)]
async fn a_machine_that_changed_unseen_is_read_before_it_is_deleted() {
    let server = cluster();
    let mut spec = server.object("a")["spec"].clone();
    (spec["gracefulShutdownTimeout"], spec["nodeDrainTimeout"]) = (json!("0s"), json!("0s"));
    server.patch("a", "/spec", spec);
    let (server, _replica, _control) = begun("2026-03-02T17:59:50Z", server).await;
    sleep(Duration::from_secs(9)).await;
    touch_unseen(&server);
    sleep(Duration::from_secs(1) + MOMENT).await;
    assert_eq!(server.names(MACHINES), ["a"]);
    assert_eq!(refused(&server, "DELETE cluster.x-k8s.io/machines"), 1);
    sleep(Duration::from_secs(5)).await;
    assert!(is_gone(&server));
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_changed_unseen_is_read_before_it_is_annotated() {
    let (server, mut replica, control) = begun(IN_OFFICE, cluster()).await;
    sleep(Duration::from_secs(2)).await;
    control.end();
    replica.work_ends().await;
    server.patch("a", "/spec/killSwitch", json!(true));
    sleep(MOMENT).await;
    touch_unseen(&server);
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    assert_eq!(server.names(MACHINES), ["a"]);
    assert_eq!(refused(&server, "PATCH cluster.x-k8s.io/machines"), 1);
    sleep(Duration::from_secs(5)).await;
    assert_eq!(server.names(MACHINES), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn a_window_that_opens_makes_a_machine_and_its_status_says_all_of_it() {
    let (server, _replica, _control) = begun(BEFORE_OFFICE, cluster()).await;
    sleep(Duration::from_mins(10) + MOMENT).await;
    assert_eq!(others(&server), CREATION);
    let object = server.object("a");
    assert_eq!(
        object["metadata"]["finalizers"],
        json!(["5spot.finos.org/scheduledmachine"])
    );
    let machine = server.get(MACHINES, "default", "a").unwrap();
    assert_eq!(machine["apiVersion"], "cluster.x-k8s.io/v1beta2");
    assert_eq!(machine["metadata"]["ownerReferences"][0]["uid"], "uid-of-a");
    let status = status(&server);
    assert_eq!(status["phase"], "Active");
    assert_eq!(status["nodeRef"]["name"], "node-a");
    assert_eq!(status["providerID"], machine["spec"]["providerID"]);
    assert_eq!(
        status["machineRef"]["apiVersion"],
        "cluster.x-k8s.io/v1beta2"
    );
    assert_eq!(status["bootstrapRef"]["kind"], "K0sWorkerConfig");
    assert_eq!(status["infrastructureRef"]["name"], "a");
    assert_eq!(status["lastScheduledTime"], "2026-03-02T09:00:00Z");
    assert_eq!(condition(&server, "Ready"), "True ScheduleActive");
    assert_eq!(condition(&server, "MachineReady"), "True NodeReady");
    assert_eq!(condition(&server, "Drained"), "False InService");
}

#[tokio::test(start_paused = true)]
async fn cluster_api_of_either_version_will_do() {
    for (versions, expected) in [
        (&["v1beta1"][..], "v1beta1"),
        (&["v1beta1", "v1beta2"], "v1beta2"),
        (&["v1beta2"], "v1beta2"),
    ] {
        let server = cluster();
        server.serve(MACHINES, versions);
        let (server, _replica, _control) = led(IN_OFFICE, server).await;
        let machine = server.get(MACHINES, "default", "a").unwrap();
        assert_eq!(
            machine["apiVersion"],
            format!("cluster.x-k8s.io/{expected}")
        );
        assert_eq!(status(&server)["phase"], "Active");
    }
}

#[tokio::test(start_paused = true)]
async fn without_cluster_api_the_status_says_so_and_the_machine_comes_when_it_does() {
    let server = cluster();
    server.serve(MACHINES, &[]);
    let (server, _replica, _control) = begun(IN_OFFICE, server).await;
    sleep(Duration::from_mins(3)).await;
    assert_eq!(status(&server)["phase"], "Error");
    assert_eq!(condition(&server, "Ready"), "False KindNotServed");
    assert_idle_for(Duration::from_mins(30), &server).await;

    server.serve(MACHINES, &["v1beta1"]);
    sleep(Duration::from_secs(61)).await;
    assert_eq!(status(&server)["phase"], "Active");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_waits_for_its_node_is_active_and_not_ready() {
    let server = cluster();
    server.run_cluster_api(ClusterApi {
        makes_no_nodes: true,
        ..ClusterApi::default()
    });
    let (server, _replica, _control) = led(IN_OFFICE, server).await;
    assert_eq!(status(&server)["phase"], "Active");
    assert_eq!(condition(&server, "Ready"), "False WaitingForNode");
    assert_eq!(condition(&server, "MachineReady"), "False WaitingForNode");
    server.run_cluster_api(ClusterApi::default());
    sleep(MOMENT).await;
    assert_eq!(condition(&server, "Ready"), "True ScheduleActive");
}

#[tokio::test(start_paused = true)]
async fn the_kill_switch_removes_at_once_and_can_be_reset() {
    let (server, _replica, _control) = led(IN_OFFICE, cluster()).await;
    server.patch("a", "/spec/killSwitch", json!(true));
    sleep(MOMENT).await;
    assert!(is_gone(&server));
    assert!(!server.drained_by_cluster_api());
    assert_eq!(status(&server)["phase"], "Terminated");
    assert_eq!(status(&server).get("machineRef"), None);
    assert_eq!(condition(&server, "Ready"), "True KillSwitchActivated");
    assert_eq!(condition(&server, "Drained"), "False DrainSkipped");
    assert_idle_for(Duration::from_hours(3), &server).await;

    server.patch("a", "/spec/killSwitch", json!(false));
    sleep(MOMENT).await;
    assert_eq!(status(&server)["phase"], "Active");
    assert_eq!(condition(&server, "Ready"), "True ScheduleActive");
}

#[tokio::test(start_paused = true)]
async fn a_schedule_that_is_disabled_lets_the_machine_go_gracefully() {
    let (server, _replica, _control) = led(IN_OFFICE, cluster()).await;
    server.patch(
        "a",
        "/spec/schedule",
        json!({"daysOfWeek": ["mon-fri"], "hoursOfDay": ["9-17"], "enabled": false}),
    );
    sleep(Duration::from_mins(4)).await;
    assert_eq!(status(&server)["phase"], "ShuttingDown");
    assert_eq!(server.names(MACHINES), ["a"]);
    assert!(is_cordoned(&server, "node-a"));
    sleep(Duration::from_mins(2)).await;
    assert_eq!(status(&server)["phase"], "Disabled");
    assert!(is_gone(&server));
}

#[tokio::test(start_paused = true)]
async fn a_deletion_cleans_up_in_every_phase_and_leaves_other_finalizers_alone() {
    let all_day = json!({"daysOfWeek": ["mon-sun"], "hoursOfDay": ["0-23"]});
    for change in [
        ("Active", "/spec/schedule", all_day.clone()),
        ("Inactive", "/spec/schedule/daysOfWeek", json!(["sun"])),
        ("Error", "/spec/schedule/daysOfWeek", json!(["someday"])),
        ("ShuttingDown", "/spec/schedule/daysOfWeek", json!(["sun"])),
    ] {
        let (phase, pointer, value) = change;
        let (server, _replica, _control) = led(IN_OFFICE, cluster()).await;
        let mut metadata = server.object("a")["metadata"].clone();
        metadata["finalizers"]
            .as_array_mut()
            .unwrap()
            .push(json!("example.com/theirs"));
        server.patch("a", "/metadata", metadata);
        server.patch("a", pointer, value);
        server.delete_at("2026-03-02T09:12:00Z");
        let pause = if phase == "Inactive" { 7 } else { 1 };
        sleep(Duration::from_mins(pause)).await;
        assert_eq!(status(&server)["phase"], phase);
        server.remove(SCHEDULED_MACHINES, "default", "a");
        sleep(Duration::from_secs(10)).await;
        assert!(is_gone(&server), "{phase}");
        assert_eq!(
            server.object("a")["metadata"]["finalizers"],
            json!(["example.com/theirs"])
        );
        assert!(!server.drained_by_cluster_api());
    }
}

/// A machine in its window whose objects will not go, and is deleted at ten past nine.
async fn stuck() -> (ApiServer, Replica, TermControl) {
    let (server, replica, control) = led(IN_OFFICE, cluster()).await;
    server.run_cluster_api(ClusterApi {
        deletes_nothing: true,
        ..ClusterApi::default()
    });
    server.delete_at(IN_OFFICE);
    server.remove(SCHEDULED_MACHINES, "default", "a");
    (server, replica, control)
}

#[tokio::test(start_paused = true)]
async fn objects_that_do_not_go_hold_a_deletion_up_for_a_bounded_time_and_everybody_is_told() {
    let (server, replica, _control) = stuck().await;
    // Five minutes for the drain and ten for the rest.
    sleep(Duration::from_mins(15) - Duration::from_secs(1)).await;
    assert_eq!(server.names(SCHEDULED_MACHINES), ["a"]);
    sleep(Duration::from_secs(2)).await;
    let events = server.events();
    let last = events.last().unwrap();
    assert_eq!(
        (&last["reason"], &last["type"]),
        (&json!("CleanupTimedOut"), &json!("Warning"))
    );
    assert!(last["note"].as_str().unwrap().contains("Machine"), "{last}");
    assert!(server.names(SCHEDULED_MACHINES).is_empty());
    assert_eq!(
        replica.metric("five_spot_finalizer_cleanup_timeouts_total"),
        1
    );
}

#[rstest::rstest]
#[case::of_one_in_its_window(false)]
#[case::of_one_on_its_way_out(true)]
#[tokio::test(start_paused = true)]
async fn a_deletion_that_nobody_led_for_long_is_as_graceful_as_any_other(#[case] leaves: bool) {
    let (server, mut first, control) = led(IN_OFFICE, cluster()).await;
    if leaves {
        server.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
        sleep(MOMENT).await;
        assert_eq!(status(&server)["phase"], "ShuttingDown");
    }
    control.end();
    first.work_ends().await;
    server.set("/pods", pod("web", "shop"));
    server.delete_at("2026-03-02T09:11:00Z");
    server.remove(SCHEDULED_MACHINES, "default", "a");
    sleep(Duration::from_hours(3)).await;

    let _second_term = first.begin_term();
    sleep(Duration::from_secs(10)).await;
    assert!(is_gone(&server));
    assert!(server.names("/pods").is_empty(), "the Node was drained");
    assert!(server.names(SCHEDULED_MACHINES).is_empty());
    let timeouts = "five_spot_finalizer_cleanup_timeouts_total";
    assert_eq!(first.metric(timeouts), 0);
}

#[rstest::rstest]
#[case::they_are_asked_to_go(None)]
#[case::that_is_refused_too(Some((403, "no".to_owned())))]
#[case::that_is_never_answered(Some((504, "the webhook timed out".to_owned())))]
#[tokio::test(start_paused = true)]
async fn nothing_is_given_up_before_it_was_asked_to_go(#[case] refusal: Option<(u16, String)>) {
    let (server, mut replica, control) = led(IN_OFFICE, cluster()).await;
    // A budget holds the drain back, so that nothing is deleted yet.
    server.set("/pods", pod("web", "shop"));
    server.set_faults(Faults {
        budget_of: vec!["shop".to_owned()],
        refuse: ALL
            .iter()
            .filter_map(|table| Some((format!("DELETE {table}"), refusal.clone()?)))
            .collect(),
        ..Faults::default()
    });
    server.delete_at(IN_OFFICE);
    server.remove(SCHEDULED_MACHINES, "default", "a");
    sleep(Duration::from_mins(1)).await;
    control.end();
    replica.work_ends().await;
    sleep(Duration::from_hours(1)).await;
    assert_eq!(server.names(MACHINES), ["a"]);

    let _next_term = replica.begin_term();
    sleep(Duration::from_mins(5)).await;
    assert_eq!(is_gone(&server), refusal.is_none());
    assert!(server.names(SCHEDULED_MACHINES).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_not_held_up_for_ever_by_what_can_not_be_asked() {
    let (server, _replica, _control) = begun(BEFORE_OFFICE, cluster()).await;
    sleep(Duration::from_mins(11)).await;
    server.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_mins(10)).await;
    assert_eq!(status(&server)["phase"], "Inactive");
    server.set_faults(Faults::refusing(
        &format!("GET {BOOTSTRAPS}"),
        500,
        "a webhook is down",
    ));
    server.delete_at("2026-03-02T09:11:00Z");
    server.remove(SCHEDULED_MACHINES, "default", "a");
    sleep(Duration::from_mins(14)).await;
    assert_eq!(server.names(SCHEDULED_MACHINES), ["a"]);
    assert_says(&server, "failed to remove the finalizer");
    sleep(Duration::from_mins(2)).await;
    assert!(server.names(SCHEDULED_MACHINES).is_empty());
    assert_eq!(server.events().last().unwrap()["reason"], "CleanupTimedOut");
}

#[tokio::test(start_paused = true)]
async fn what_no_machine_may_be_created_with_does_not_keep_one_that_is_there_from_leaving() {
    let (server, _replica, _control) = led(IN_OFFICE, cluster()).await;
    server.patch(
        "a",
        "/spec/machineTemplate",
        json!({"labels": {"x.kubernetes.io/y": "z"}}),
    );
    sleep(MOMENT).await;
    assert_eq!(status(&server)["phase"], "Active");
    assert_eq!(
        condition(&server, "ReferencesValid"),
        "False InvalidReference"
    );
    sleep(Duration::from_hours(10)).await;
    assert!(is_gone(&server));
    assert_eq!(status(&server)["phase"], "Inactive");
    sleep(Duration::from_hours(14)).await;
    assert_eq!(status(&server)["phase"], "Error");
    assert!(is_gone(&server));
}

#[tokio::test(start_paused = true)]
async fn a_spec_of_another_kind_is_about_the_next_machine() {
    let (server, _replica, _control) = led(IN_OFFICE, cluster()).await;
    server.patch(
        "a",
        "/spec/infrastructureSpec",
        json!({
            "apiVersion": "k0smotron.io/v1beta1", "kind": "OtherMachine", "spec": {},
        }),
    );
    sleep(Duration::from_hours(1)).await;
    assert_eq!(server.names(INFRASTRUCTURES), ["a"]);
    assert_eq!(status(&server)["phase"], "Active");
    sleep(Duration::from_hours(24)).await;
    assert_eq!(server.names(INFRASTRUCTURES), Vec::<String>::new());
    assert_eq!(server.names("k0smotron.io/othermachines"), ["a"]);
    assert_eq!(status(&server)["infrastructureRef"]["kind"], "OtherMachine");
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_served_for_a_while_does_not_make_its_objects_forgotten() {
    let (server, _replica, _control) = led(IN_OFFICE, cluster()).await;
    server.serve(MACHINES, &[]);
    sleep(Duration::from_mins(1)).await;
    server.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_mins(30)).await;
    assert!(condition(&server, "Ready").starts_with("False"));
    assert!(
        status(&server)["message"]
            .as_str()
            .unwrap()
            .contains("not served")
    );
    assert_eq!(status(&server)["machineRef"]["name"], "a");
    server.serve(MACHINES, &["v1beta2"]);
    sleep(Duration::from_mins(8)).await;
    assert!(is_gone(&server));
    assert_eq!(status(&server)["phase"], "Inactive");
}

//! The way out of a machine that has become a Node.

use super::{
    life::{IN_OFFICE, MACHINES, cluster, is_gone},
    *,
};

/// A machine in its window, with pods on its Node, and the last hour of the window.
async fn busy() -> (ApiServer, Replica, TermControl) {
    let (server, replica, control) = led("2026-03-02T17:50:00Z", cluster()).await;
    for (name, namespace) in [("web", "shop"), ("db", "store")] {
        server.set("/pods", pod(name, namespace));
    }
    (server, replica, control)
}

fn evictions(server: &ApiServer) -> Vec<String> {
    let mut writes = server.all_writes();
    writes.retain(|write| write.starts_with("POST /pods/eviction"));
    writes
}

#[tokio::test(start_paused = true)]
async fn a_machine_whose_window_shuts_is_cordoned_given_time_drained_and_deleted() {
    let (server, replica, _control) = busy().await;
    sleep(Duration::from_mins(10)).await;
    assert!(is_cordoned(&server, "node-a"));
    assert_eq!(status(&server)["phase"], "ShuttingDown");
    assert_eq!(status(&server)["nextCleanup"], "2026-03-02T18:10:00Z");
    assert_eq!(condition(&server, "Drained"), "False GracePeriod");
    assert_eq!(
        evictions(&server),
        Vec::<String>::new(),
        "pods have time to end by themselves"
    );

    sleep(Duration::from_mins(5)).await;
    assert_eq!(evictions(&server).len(), 2);
    sleep(Duration::from_secs(5)).await;
    assert!(is_gone(&server));
    assert!(
        !server.drained_by_cluster_api(),
        "Cluster API is told that it is done"
    );
    assert_eq!(status(&server)["phase"], "Inactive");
    assert_eq!(status(&server).get("nodeRef"), None);
    assert_eq!(status(&server).get("shutdown"), None);
    assert_eq!(condition(&server, "Drained"), "True NodeDrained");
    assert_eq!(condition(&server, "Ready"), "True ScheduleInactive");
    assert_eq!(condition(&server, "MachineReady"), "False NoMachine");
    assert_eq!(replica.drains("drained"), 1);
    assert_eq!(replica.evictions("evicted"), 2);
    let reasons: Vec<_> = server
        .events()
        .iter()
        .map(|event| event["reason"].clone())
        .collect();
    for reason in ["NodeReady", "NodeDrained"] {
        let told = reasons.iter().filter(|told| **told == reason).count();
        assert_eq!(told, 1, "{reason} of {reasons:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_disruption_budget_holds_a_drain_back_and_the_status_says_whom() {
    let (server, replica, _control) = busy().await;
    server.fail(|faults| faults.budget_of = vec!["store".to_owned()]);
    sleep(Duration::from_mins(16)).await;
    assert_eq!(server.names("/pods"), ["db"]);
    assert_eq!(server.names(MACHINES), ["a"]);
    assert_eq!(condition(&server, "Drained"), "False Draining");
    assert_says(
        &server,
        "1 pod is left on the Node, 1 held by a disruption budget, such as store/db",
    );
    assert!(replica.evictions("held") >= 20);
    // Asked for again and again, and written once.
    assert_idle_for(Duration::from_mins(1), &server).await;

    server.set_faults(Faults::default());
    sleep(Duration::from_secs(5)).await;
    assert!(is_gone(&server));
    assert_eq!(condition(&server, "Drained"), "True NodeDrained");
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_fails_all_the_time_ends_when_its_time_is_over() {
    let (server, _replica, _control) = busy().await;
    server.fail(|faults| faults.budget_of = vec!["store".to_owned()]);
    sleep(Duration::from_mins(16)).await;
    server.fail(|faults| faults.pods_are_silent = true);
    sleep(Duration::from_mins(3)).await;
    assert_eq!(server.names(MACHINES), ["a"]);
    assert_says(&server, "failed to drain the Node node-a: ");
    sleep(Duration::from_secs(80)).await;
    assert!(is_gone(&server));
    assert_eq!(condition(&server, "Drained"), "False NodeOutOfReach");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_may_not_be_cordoned_holds_its_machine_up_for_a_bounded_time_without_a_spin() {
    let (server, _replica, _control) = busy().await;
    server.set_faults(Faults::refusing("PATCH /nodes", 403, "not you"));
    sleep(Duration::from_mins(19)).await;
    assert_eq!(server.names(MACHINES), ["a"]);
    assert_says(&server, "not you");
    sleep(Duration::from_mins(3)).await;
    assert!(is_gone(&server));
    assert_eq!(condition(&server, "Drained"), "False NodeOutOfReach");
    let asked = server.traffic()["REFUSED PATCH /nodes"].0;
    assert!((3..60).contains(&asked), "asked {asked} times");
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_takes_too_long_ends_and_is_told() {
    let (server, replica, _control) = busy().await;
    server.fail(|faults| faults.budget_of = vec!["store".to_owned()]);
    sleep(Duration::from_mins(20) - Duration::from_secs(1)).await;
    assert_eq!(server.names(MACHINES), ["a"]);
    sleep(Duration::from_secs(2)).await;
    assert!(is_gone(&server));
    assert_eq!(
        server.names("/pods"),
        ["db"],
        "a budget is not overruled by us"
    );
    assert_eq!(condition(&server, "Drained"), "False DrainTimedOut");
    assert_eq!(replica.drains("timed_out"), 1);
    let warnings: Vec<_> = server
        .events()
        .into_iter()
        .filter(|event| event["type"] == "Warning")
        .collect();
    assert_eq!(warnings.len(), 1);
    assert_eq!(warnings[0]["reason"], "DrainTimedOut");
}

#[tokio::test(start_paused = true)]
async fn a_drain_waits_for_pods_to_be_gone() {
    let (server, _replica, _control) = busy().await;
    server.fail(|faults| faults.pods_linger = true);
    sleep(Duration::from_mins(16)).await;
    assert_eq!(server.names(MACHINES), ["a"]);
    assert_eq!(
        evictions(&server).len(),
        2,
        "one that leaves is not evicted again"
    );
    for (name, namespace) in [("web", "shop"), ("db", "store")] {
        server.change(
            "/pods",
            namespace,
            name,
            &json!({"metadata": {"finalizers": null}}),
        );
    }
    sleep(Duration::from_secs(3)).await;
    assert!(is_gone(&server));
}

#[tokio::test(start_paused = true)]
async fn pods_that_belong_to_the_node_stay_and_do_not_hold_it_back() {
    let (server, _replica, _control) = busy().await;
    let controller = json!([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "d", "controller": true}]);
    let mirror = json!({"kubernetes.io/config.mirror": "x"});
    for (name, field, value) in [
        ("agent", "/metadata/ownerReferences", controller),
        ("static", "/metadata/annotations", mirror),
        ("done", "/status/phase", json!("Succeeded")),
        ("elsewhere", "/spec/nodeName", json!("node-b")),
    ] {
        server.set("/pods", pod_with(name, "sys", field, value));
    }
    sleep(Duration::from_mins(16)).await;
    assert!(is_gone(&server));
    assert_eq!(server.names("/pods").len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_opens_again_cancels_what_can_be_cancelled() {
    for minutes in [12, 16] {
        let (server, _replica, _control) = busy().await;
        server.fail(|faults| faults.budget_of = vec!["store".to_owned()]);
        sleep(Duration::from_mins(minutes)).await;
        assert_eq!(status(&server)["phase"], "ShuttingDown");
        server.patch("a", "/spec/schedule/hoursOfDay", json!(["9-23"]));
        sleep(MOMENT).await;
        assert_eq!(status(&server)["phase"], "Active");
        assert_eq!(status(&server).get("shutdown"), None);
        assert_eq!(status(&server).get("nextCleanup"), None);
        assert!(!is_cordoned(&server, "node-a"));
        sleep(Duration::from_hours(1)).await;
        assert_eq!(server.names(MACHINES), ["a"]);
        assert!(server.names("/pods").contains(&"db".to_owned()));
    }
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_is_already_being_deleted_goes_and_another_one_comes() {
    let (server, _replica, _control) = busy().await;
    server.run_cluster_api(ClusterApi {
        deletes_nothing: true,
        ..ClusterApi::default()
    });
    sleep(Duration::from_mins(16)).await;
    let old = server.get(MACHINES, "default", "a").unwrap();
    assert!(old["metadata"]["deletionTimestamp"].is_string());
    server.patch("a", "/spec/schedule/hoursOfDay", json!(["9-23"]));
    sleep(MOMENT).await;
    assert_eq!(condition(&server, "Ready"), "False ReplacingMachine");
    server.run_cluster_api(ClusterApi::default());
    sleep(MOMENT).await;
    let new = server.get(MACHINES, "default", "a").unwrap();
    assert_ne!(new["metadata"]["uid"], old["metadata"]["uid"]);
    assert_eq!(condition(&server, "Ready"), "True ScheduleActive");
}

#[tokio::test(start_paused = true)]
async fn timeouts_of_zero_wait_for_nothing() {
    let server = cluster();
    let mut spec = server.object("a")["spec"].clone();
    spec["gracefulShutdownTimeout"] = json!("0s");
    spec["nodeDrainTimeout"] = json!("0s");
    server.patch("a", "/spec", spec);
    let (server, _replica, _control) = led("2026-03-02T17:50:00Z", server).await;
    server.set("/pods", pod("web", "shop"));
    sleep(Duration::from_mins(10)).await;
    assert!(is_gone(&server));
    assert_eq!(evictions(&server), Vec::<String>::new());
    assert_eq!(condition(&server, "Drained"), "False DrainSkipped");
    assert!(!server.drained_by_cluster_api());
}

#[rstest::rstest]
#[case::by_a_standby(false)]
#[case::by_a_process_that_has_just_started(true)]
#[tokio::test(start_paused = true)]
async fn a_drain_that_nobody_could_do_in_time_is_still_tried(#[case] is_new: bool) {
    let (server, mut replica, control) = busy().await;
    sleep(Duration::from_mins(11)).await;
    control.end();
    replica.work_ends().await;
    // No leader until the drain should long be over.
    sleep(Duration::from_mins(30)).await;
    assert_eq!(server.names(MACHINES), ["a"]);
    if is_new {
        let now = replica.wall.now().to_string();
        replica = Replica::synced(&now, &server).await;
    }
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    assert_eq!(evictions(&server).len(), 2);
    sleep(Duration::from_secs(3)).await;
    assert!(is_gone(&server));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_somebody_else_cordoned_is_not_uncordoned() {
    let (server, _replica, _control) = led(IN_OFFICE, cluster()).await;
    change_node(&server, &json!({"spec": {"unschedulable": true}}));
    sleep(Duration::from_mins(10)).await;
    assert!(is_cordoned(&server, "node-a"));
}

#[tokio::test(start_paused = true)]
async fn a_kill_switch_ends_a_grace_period_and_a_drain() {
    for minutes in [12, 16] {
        let (server, _replica, _control) = busy().await;
        server.fail(|faults| faults.budget_of = vec!["store".to_owned()]);
        sleep(Duration::from_mins(minutes)).await;
        server.patch("a", "/spec/killSwitch", json!(true));
        sleep(MOMENT).await;
        assert!(is_gone(&server));
        assert_eq!(status(&server)["phase"], "Terminated");
    }
}

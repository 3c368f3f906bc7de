//! The way out of a machine that has become a Node.

use super::{
    life::{IN_OFFICE, MACHINES, cluster, condition, is, is_gone, status},
    *,
};

pub(super) fn pod(name: &str, namespace: &str, change: &Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"nodeName": "node-a", "containers": []},
        "status": {"phase": "Running"},
    });
    for (field, value) in change.as_object().unwrap() {
        *pod.pointer_mut(field.rsplit_once('/').unwrap().0).unwrap() = {
            let mut parent = pod
                .pointer(field.rsplit_once('/').unwrap().0)
                .unwrap()
                .clone();
            parent[field.rsplit_once('/').unwrap().1] = value.clone();
            parent
        };
    }
    pod
}

/// A machine in its window, with pods on its Node, and the last hour of the window.
async fn busy() -> (ApiServer, Replica, TermControl) {
    let server = cluster();
    let mut replica = Replica::synced("2026-03-02T17:50:00Z", &server).await;
    let control = replica.begin_term();
    sleep(MOMENT).await;
    for (name, namespace) in [("web", "shop"), ("db", "store")] {
        server.set("/pods", pod(name, namespace, &json!({})));
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
    let node = server.get("/nodes", "", "node-a").unwrap();
    assert_eq!(node["spec"]["unschedulable"], true);
    assert_eq!(status(&server)["phase"], "ShuttingDown");
    assert_eq!(status(&server)["nextCleanup"], "2026-03-02T18:10:00Z");
    assert_eq!(condition(&server, "Drained"), is("False", "GracePeriod"));
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
    assert_eq!(condition(&server, "Drained"), is("True", "NodeDrained"));
    assert_eq!(condition(&server, "Ready"), is("True", "ScheduleInactive"));
    assert_eq!(condition(&server, "MachineReady"), is("False", "NoMachine"));
    assert_eq!(
        replica.metric("five_spot_node_drains_total{result=\"drained\"}"),
        1
    );
    assert_eq!(
        replica.metric("five_spot_pod_evictions_total{result=\"evicted\"}"),
        2
    );
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
    server.set_faults(Faults {
        budget_of: vec!["store".to_owned()],
        ..Faults::default()
    });
    sleep(Duration::from_mins(16)).await;
    assert_eq!(server.names("/pods"), ["db"]);
    assert_eq!(server.names(MACHINES), ["a"]);
    assert_eq!(condition(&server, "Drained"), is("False", "Draining"));
    let message = status(&server)["message"].as_str().unwrap().to_owned();
    assert!(
        message
            .contains("1 pod is left on the Node, 1 held by a disruption budget, such as store/db"),
        "{message}"
    );
    assert!(replica.metric("five_spot_pod_evictions_total{result=\"held\"}") >= 20);
    // Asked for again and again, and written once.
    let writes = server.writes().len();
    sleep(Duration::from_mins(1)).await;
    assert_eq!(server.writes().len(), writes);

    server.set_faults(Faults::default());
    sleep(Duration::from_secs(5)).await;
    assert!(is_gone(&server));
    assert_eq!(condition(&server, "Drained"), is("True", "NodeDrained"));
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_fails_all_the_time_ends_when_its_time_is_over() {
    let (server, _replica, _control) = busy().await;
    server.set_faults(Faults {
        budget_of: vec!["store".to_owned()],
        ..Faults::default()
    });
    sleep(Duration::from_mins(16)).await;
    server.set_faults(Faults {
        pods_are_silent: true,
        ..Faults::default()
    });
    sleep(Duration::from_mins(3)).await;
    assert_eq!(server.names(MACHINES), ["a"]);
    let message = status(&server)["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("failed to drain the Node node-a: "),
        "{message}"
    );
    sleep(Duration::from_secs(80)).await;
    assert!(is_gone(&server));
    assert_eq!(condition(&server, "Drained"), is("False", "NodeOutOfReach"));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_may_not_be_cordoned_holds_its_machine_up_for_a_bounded_time_without_a_spin() {
    let (server, _replica, _control) = busy().await;
    server.set_faults(Faults {
        refuse: [("PATCH /nodes".to_owned(), (403, "not you".to_owned()))].into(),
        ..Faults::default()
    });
    sleep(Duration::from_mins(19)).await;
    assert_eq!(server.names(MACHINES), ["a"]);
    let message = status(&server)["message"].as_str().unwrap().to_owned();
    assert!(message.contains("not you"), "{message}");
    sleep(Duration::from_mins(3)).await;
    assert!(is_gone(&server));
    assert_eq!(condition(&server, "Drained"), is("False", "NodeOutOfReach"));
    let asked = server.traffic()["REFUSED PATCH /nodes"].0;
    assert!((3..60).contains(&asked), "asked {asked} times");
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_takes_too_long_ends_and_is_told() {
    let (server, replica, _control) = busy().await;
    server.set_faults(Faults {
        budget_of: vec!["store".to_owned()],
        ..Faults::default()
    });
    sleep(Duration::from_mins(20) - Duration::from_secs(1)).await;
    assert_eq!(server.names(MACHINES), ["a"]);
    sleep(Duration::from_secs(2)).await;
    assert!(is_gone(&server));
    assert_eq!(
        server.names("/pods"),
        ["db"],
        "a budget is not overruled by us"
    );
    assert_eq!(condition(&server, "Drained"), is("False", "DrainTimedOut"));
    assert_eq!(
        replica.metric("five_spot_node_drains_total{result=\"timed_out\"}"),
        1
    );
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
    server.set_faults(Faults {
        pods_linger: true,
        ..Faults::default()
    });
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
    server.set(
        "/pods",
        pod(
            "agent",
            "sys",
            &json!({"/metadata/ownerReferences": controller}),
        ),
    );
    server.set(
        "/pods",
        pod(
            "static",
            "sys",
            &json!({"/metadata/annotations": {"kubernetes.io/config.mirror": "x"}}),
        ),
    );
    server.set(
        "/pods",
        pod("done", "sys", &json!({"/status/phase": "Succeeded"})),
    );
    server.set(
        "/pods",
        pod("elsewhere", "sys", &json!({"/spec/nodeName": "node-b"})),
    );
    sleep(Duration::from_mins(16)).await;
    assert!(is_gone(&server));
    assert_eq!(server.names("/pods").len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_window_that_opens_again_cancels_what_can_be_cancelled() {
    for minutes in [12, 16] {
        let (server, _replica, _control) = busy().await;
        server.set_faults(Faults {
            budget_of: vec!["store".to_owned()],
            ..Faults::default()
        });
        sleep(Duration::from_mins(minutes)).await;
        assert_eq!(status(&server)["phase"], "ShuttingDown");
        server.patch("a", "/spec/schedule/hoursOfDay", json!(["9-23"]));
        sleep(MOMENT).await;
        assert_eq!(status(&server)["phase"], "Active");
        assert_eq!(status(&server).get("shutdown"), None);
        assert_eq!(status(&server).get("nextCleanup"), None);
        let node = server.get("/nodes", "", "node-a").unwrap();
        assert_eq!(node["spec"]["unschedulable"], Value::Null);
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
    assert_eq!(condition(&server, "Ready"), is("False", "ReplacingMachine"));
    server.run_cluster_api(ClusterApi::default());
    sleep(MOMENT).await;
    let new = server.get(MACHINES, "default", "a").unwrap();
    assert_ne!(new["metadata"]["uid"], old["metadata"]["uid"]);
    assert_eq!(condition(&server, "Ready"), is("True", "ScheduleActive"));
}

#[tokio::test(start_paused = true)]
async fn timeouts_of_zero_wait_for_nothing() {
    let server = cluster();
    let mut spec = server.object("a")["spec"].clone();
    spec["gracefulShutdownTimeout"] = json!("0s");
    spec["nodeDrainTimeout"] = json!("0s");
    server.patch("a", "/spec", spec);
    let mut replica = Replica::synced("2026-03-02T17:50:00Z", &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    server.set("/pods", pod("web", "shop", &json!({})));
    sleep(Duration::from_mins(10)).await;
    assert!(is_gone(&server));
    assert_eq!(evictions(&server), Vec::<String>::new());
    assert_eq!(condition(&server, "Drained"), is("False", "DrainSkipped"));
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
    let server = cluster();
    let mut replica = Replica::synced(IN_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    server.change(
        "/nodes",
        "",
        "node-a",
        &json!({"spec": {"unschedulable": true}}),
    );
    sleep(Duration::from_mins(10)).await;
    assert_eq!(
        server.get("/nodes", "", "node-a").unwrap()["spec"]["unschedulable"],
        true
    );
}

#[tokio::test(start_paused = true)]
async fn a_kill_switch_ends_a_grace_period_and_a_drain() {
    for minutes in [12, 16] {
        let (server, _replica, _control) = busy().await;
        server.set_faults(Faults {
            budget_of: vec!["store".to_owned()],
            ..Faults::default()
        });
        sleep(Duration::from_mins(minutes)).await;
        let mut spec = server.object("a")["spec"].clone();
        spec["killSwitch"] = json!(true);
        server.patch("a", "/spec", spec);
        sleep(MOMENT).await;
        assert!(is_gone(&server));
        assert_eq!(status(&server)["phase"], "Terminated");
    }
}

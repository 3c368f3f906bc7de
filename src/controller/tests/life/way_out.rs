//! The way out: what is waited for, what is taken back, and what bounds it.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_window_that_opens_again_in_the_grace_period_takes_the_shutdown_back() {
    let server = with_office();
    let (_replica, _term) = working(BEFORE_CLOSE, &server).await;
    sleep(Duration::from_mins(6)).await;
    assert_eq!(
        server.other("nodes", "a").unwrap()["spec"]["unschedulable"],
        true
    );
    let machine = server.other("machines", "a").unwrap()["metadata"]["uid"].clone();
    server.patch("a", "/spec/schedule/hoursOfDay", json!(["9-20"]));
    sleep(MOMENT).await;
    assert_eq!(
        server.other("nodes", "a").unwrap()["spec"]["unschedulable"],
        Value::Null
    );
    assert_eq!(
        server.other("machines", "a").unwrap()["metadata"]["uid"],
        machine
    );
    assert_eq!(status(&server, "/phase"), "Active");
    assert_eq!(condition(&server, "Drained"), pair("False", "NotDraining"));
}

#[tokio::test(start_paused = true)]
async fn somebody_elses_cordon_survives_ours() {
    let server = with_office();
    let (_replica, _term) = working(BEFORE_CLOSE, &server).await;
    let mut node = server.other("nodes", "a").unwrap();
    node["spec"]["unschedulable"] = json!(true);
    server.put_other("nodes", node);
    sleep(Duration::from_mins(6)).await;
    let node = server.other("nodes", "a").unwrap();
    assert_eq!(
        node["metadata"]["annotations"]["5spot.finos.org/cordoned"],
        "true"
    );
}

#[tokio::test(start_paused = true)]
async fn a_budget_holds_a_drain_back_until_its_time_is_over_and_not_longer() {
    let server = with_office();
    let (_replica, _term) = working(BEFORE_CLOSE, &server).await;
    server.put_other("pods", pod("p", "a"));
    server.set_faults(Faults {
        budget_is_spent: true,
        ..Faults::default()
    });
    sleep(Duration::from_mins(5) + Duration::from_mins(5)).await;
    sleep(Duration::from_mins(4)).await;
    assert_eq!(condition(&server, "Drained"), pair("Unknown", "Draining"));
    let message = status(&server, "/message");
    assert!(
        message
            .as_str()
            .unwrap()
            .contains("held back by a PodDisruptionBudget, among them default/p"),
        "{message}"
    );
    assert!(server.other("pods", "p").is_some() && server.other("machines", "a").is_some());
    let writes = server.writes().len();
    assert!(writes < 8, "the same report is not written again: {writes}");
    sleep(Duration::from_mins(1) + Duration::from_secs(3)).await;
    assert!(is_gone(&server));
    let timed_out = server
        .events()
        .into_iter()
        .find(|event| event["reason"] == "DrainTimedOut")
        .unwrap();
    assert_eq!(timed_out["type"], "Warning");
}

#[tokio::test(start_paused = true)]
async fn a_budget_that_allows_it_again_lets_the_drain_go_on() {
    let server = with_office();
    let (_replica, _term) = working(BEFORE_CLOSE, &server).await;
    server.put_other("pods", pod("p", "a"));
    server.set_faults(Faults {
        budget_is_spent: true,
        ..Faults::default()
    });
    sleep(Duration::from_mins(12)).await;
    assert!(server.other("pods", "p").is_some());
    server.set_faults(Faults::default());
    sleep(Duration::from_secs(5)).await;
    assert!(server.other("pods", "p").is_none() && is_gone(&server));
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_takes_its_time_is_waited_for_and_asked_once() {
    let server = with_office();
    let (_replica, _term) = working(BEFORE_CLOSE, &server).await;
    server.put_other("pods", pod("p", "a"));
    server.set_faults(Faults {
        pods_linger: true,
        ..Faults::default()
    });
    sleep(Duration::from_mins(11)).await;
    assert!(server.other("machines", "a").is_some());
    let asked = calls(&server)
        .iter()
        .filter(|what| what.ends_with("/eviction"))
        .count();
    assert_eq!(asked, 1);
    server.vanish("pods", "p");
    sleep(Duration::from_secs(3)).await;
    assert!(is_gone(&server));
}

#[tokio::test(start_paused = true)]
async fn pods_that_belong_to_the_node_are_not_asked_to_leave() {
    let server = with_office();
    let (_replica, _term) = working(BEFORE_CLOSE, &server).await;
    let mut daemon = pod("daemon", "a");
    daemon["metadata"]["ownerReferences"] = json!([{"apiVersion": "apps/v1", "kind": "DaemonSet", "name": "d", "uid": "d", "controller": true}]);
    let mut mirror = pod("mirror", "a");
    mirror["metadata"]["annotations"] = json!({"kubernetes.io/config.mirror": "x"});
    let mut done = pod("done", "a");
    done["status"]["phase"] = json!("Succeeded");
    for pod in [daemon, mirror, done, pod("elsewhere", "b")] {
        server.put_other("pods", pod);
    }
    sleep(Duration::from_mins(11)).await;
    assert!(is_gone(&server));
    assert!(
        !calls(&server)
            .iter()
            .any(|what| what.ends_with("/eviction")),
        "{:?}",
        calls(&server)
    );
}

#[tokio::test(start_paused = true)]
async fn the_kill_switch_removes_at_once_and_can_be_reset() {
    let server = with_office();
    server.patch("a", "/spec", {
        let mut spec = server.object("a")["spec"].clone();
        spec["killSwitch"] = json!(false);
        spec
    });
    let (_replica, _term) = working(IN_OFFICE, &server).await;
    server.put_other("pods", pod("p", "a"));
    server.patch("a", "/spec/killSwitch", json!(true));
    sleep(MOMENT).await;
    assert!(is_gone(&server));
    assert!(server.other("pods", "p").is_some(), "nobody was asked");
    assert_eq!(status(&server, "/phase"), "Terminated");
    assert_eq!(
        condition(&server, "Ready"),
        pair("True", "KillSwitchActivated")
    );
    let count = server.calls().len();
    sleep(Duration::from_hours(2)).await;
    assert_eq!(server.calls().len(), count);

    server.patch("a", "/spec/killSwitch", json!(false));
    sleep(Duration::from_secs(6)).await;
    assert_eq!(status(&server, "/phase"), "Active");
    assert!(server.other("machines", "a").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_disabled_schedule_lets_the_machine_go_gracefully() {
    let server = with_office();
    server.patch(
        "a",
        "/spec/schedule",
        json!({"daysOfWeek": ["mon-sun"], "hoursOfDay": ["0-23"], "enabled": true}),
    );
    let (_replica, _term) = working(IN_OFFICE, &server).await;
    server.patch("a", "/spec/schedule/enabled", json!(false));
    sleep(Duration::from_mins(4)).await;
    assert_eq!(status(&server, "/phase"), "ShuttingDown");
    assert!(server.other("machines", "a").is_some());
    sleep(Duration::from_mins(2)).await;
    assert_eq!(status(&server, "/phase"), "Disabled");
    assert!(is_gone(&server));
}

#[tokio::test(start_paused = true)]
async fn a_deleted_object_drains_cleans_up_and_goes_without_touching_other_finalizers() {
    let server = with_office();
    let (_replica, _term) = working(IN_OFFICE, &server).await;
    server.put_other("pods", pod("p", "a"));
    let mut object = server.object("a");
    object["metadata"]["finalizers"]
        .as_array_mut()
        .unwrap()
        .push(json!("example.com/other"));
    server.put(object);
    server.ask_to_delete("scheduledmachines", "a");
    sleep(Duration::from_secs(5)).await;
    assert!(server.other("pods", "p").is_none() && is_gone(&server));
    assert_eq!(
        server.object("a")["metadata"]["finalizers"],
        json!(["example.com/other"])
    );
}

#[tokio::test(start_paused = true)]
async fn a_deletion_waits_a_bounded_time_and_says_so() {
    let server = with_office();
    let (replica, _term) = working(IN_OFFICE, &server).await;
    server.set_faults(Faults {
        machines_linger: true,
        ..Faults::default()
    });
    server.ask_to_delete("scheduledmachines", "a");
    sleep(Duration::from_mins(14)).await;
    assert_eq!(status(&server, "/phase"), "ShuttingDown");
    sleep(Duration::from_mins(1) + MOMENT).await;
    assert!(server.other("scheduledmachines", "a").is_none());
    let event = server
        .events()
        .into_iter()
        .find(|event| event["reason"] == "CleanupTimedOut")
        .unwrap();
    assert_eq!(event["type"], "Warning");
    assert_eq!(
        replica.metric("five_spot_errors_total{category=\"cleanup\"}"),
        1
    );
}

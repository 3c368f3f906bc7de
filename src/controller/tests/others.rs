//! What other people and programs do to a machine and its objects.

use super::{
    life::{ALL, BOOTSTRAPS, IN_OFFICE, INFRASTRUCTURES, MACHINES, cluster, is_gone, others},
    *,
};
use crate::api_server::SCHEDULED_MACHINES;

#[tokio::test(start_paused = true)]
async fn what_somebody_else_deletes_is_created_again() {
    for table in ALL {
        let (server, _replica, _control) = led(IN_OFFICE, cluster()).await;
        server.remove(table, "default", "a");
        sleep(Duration::from_secs(10)).await;
        let names = ALL.map(|table| server.names(table));
        assert_eq!(
            names,
            ["a", "a", "a"].map(|name| vec![name.to_owned()]),
            "after {table}"
        );
        assert_eq!(status(&server)["phase"], "Active");
        assert_eq!(condition(&server, "Ready"), "True ScheduleActive");
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_of_somebody_else_is_never_touched() {
    for table in ALL {
        for labels in [json!({}), json!({"5spot.finos.org/scheduled-machine": "a"})] {
            let server = cluster();
            let theirs = json!({
                "apiVersion": "x/v1", "kind": "X",
                "metadata": {
                    "name": "a", "namespace": "default", "labels": labels, "finalizers": ["example.com/keep"],
                    "annotations": {"5spot.finos.org/scheduled-machine-uid": "another"},
                    "ownerReferences": [],
                },
                "spec": {"theirs": true},
            });
            server.set(table, theirs);
            let before = server.get(table, "default", "a").unwrap();
            let (server, _replica, _control) = begun(IN_OFFICE, server).await;
            sleep(Duration::from_mins(5)).await;
            assert_eq!(status(&server)["phase"], "Error", "{table}");
            assert_eq!(condition(&server, "Ready"), "False NameTaken");
            assert_eq!(condition(&server, "MachineReady"), "False NameTaken");

            // Neither the end of the window nor a kill nor a deletion is a reason to take it away.
            server.patch("a", "/spec/killSwitch", json!(true));
            sleep(Duration::from_mins(1)).await;
            assert_eq!(status(&server)["phase"], "Terminated");
            server.remove(SCHEDULED_MACHINES, "default", "a");
            sleep(Duration::from_mins(30)).await;
            assert!(server.names(SCHEDULED_MACHINES).is_empty());
            let after = server.get(table, "default", "a").unwrap();
            assert_eq!(after["spec"], before["spec"]);
            assert_eq!(after["metadata"]["uid"], before["metadata"]["uid"]);
            assert_eq!(after["metadata"]["deletionTimestamp"], Value::Null);
            for other in ALL.into_iter().filter(|other| *other != table) {
                assert_eq!(server.names(other), Vec::<String>::new());
            }
        }
    }
}

fn no_such_cluster() -> Faults {
    Faults::refusing("POST cluster.x-k8s.io/machines", 422, "no such cluster")
}

#[tokio::test(start_paused = true)]
async fn a_refused_object_is_an_error_that_ends_with_the_refusal() {
    let server = cluster();
    server.set_faults(no_such_cluster());
    let (server, replica, _control) = begun(IN_OFFICE, server).await;
    sleep(Duration::from_mins(5)).await;
    assert_eq!(status(&server)["phase"], "Error");
    assert_eq!(condition(&server, "Ready"), "False CreationRefused");
    assert_eq!(
        status(&server)["message"],
        "failed to create the Machine: no such cluster"
    );
    // The status says it once, however often it is tried.
    let errors = phases(&server)
        .iter()
        .filter(|(_, phase)| phase == "Error")
        .count();
    assert_eq!(errors, 1);
    assert!(replica.errors("action") > 3);
    server.set_faults(Faults::default());
    sleep(Duration::from_secs(61)).await;
    assert_eq!(status(&server)["phase"], "Active");
}

#[tokio::test(start_paused = true)]
async fn what_stays_refused_is_not_told_again_by_the_next_leader() {
    let server = cluster();
    server.set_faults(no_such_cluster());
    let (server, mut first, control) = begun(IN_OFFICE, server).await;
    sleep(Duration::from_mins(1)).await;
    control.end();
    first.work_ends().await;
    assert_eq!(condition(&server, "Ready"), "False CreationRefused");
    let told = (server.writes().len(), server.events().len());

    let now = first.wall.now().to_string();
    let mut second = Replica::synced(&now, &server).await;
    let _second_term = second.begin_term();
    sleep(Duration::from_mins(5)).await;
    assert!(second.errors("action") > 3);
    assert_eq!((server.writes().len(), server.events().len()), told);

    server.set_faults(Faults::default());
    sleep(Duration::from_secs(61)).await;
    assert_eq!(status(&server)["phase"], "Active");
}

#[tokio::test(start_paused = true)]
async fn an_exemption_of_somebody_else_survives_a_kill_that_was_taken_back() {
    const FROM_DETACH: &str = "machine.cluster.x-k8s.io/exclude-wait-for-node-volume-detach";
    const FROM_DRAIN: &str = "machine.cluster.x-k8s.io/exclude-node-draining";
    let (server, _replica, _control) = led(IN_OFFICE, cluster()).await;
    let theirs = json!({"metadata": {"annotations": {FROM_DETACH: "theirs"}}});
    server.change(MACHINES, "default", "a", &theirs);
    sleep(MOMENT).await;
    let annotations = |server: &ApiServer| {
        server.get(MACHINES, "default", "a").unwrap()["metadata"]["annotations"].clone()
    };
    let refuse = ALL.map(|table| (format!("DELETE {table}"), (403, "no".to_owned())));
    server.fail(|faults| faults.refuse = refuse.into());
    server.patch("a", "/spec/killSwitch", json!(true));
    sleep(MOMENT).await;
    assert_eq!(annotations(&server)[FROM_DRAIN], "5spot.finos.org");
    assert_eq!(annotations(&server)[FROM_DETACH], "theirs");

    server.patch("a", "/spec/killSwitch", json!(false));
    sleep(MOMENT).await;
    assert_eq!(annotations(&server)[FROM_DRAIN], Value::Null);
    assert_eq!(annotations(&server)[FROM_DETACH], "theirs");
}

/// What keeps a Machine from being exempted.
#[rstest::rstest]
#[case::a_policy(Some(403))]
#[case::a_webhook_that_is_down(Some(500))]
#[case::a_proxy_without_the_api_server(Some(503))]
#[case::a_webhook_that_hangs(None)]
#[tokio::test(start_paused = true)]
async fn a_machine_goes_although_it_can_not_be_exempted(#[case] code: Option<u16>) {
    const EXEMPT: &str = "PATCH cluster.x-k8s.io/machines";
    let server = cluster();
    let refusal = code.map(|code| (EXEMPT.to_owned(), (code, "no".to_owned())));
    server.set_faults(Faults {
        refuse: refusal.into_iter().collect(),
        hang: code.is_none().then_some(EXEMPT),
        ..Faults::default()
    });
    let (server, _replica, _control) = led(IN_OFFICE, server).await;
    server.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_mins(7)).await;
    assert!(is_gone(&server));
    assert_eq!(status(&server)["phase"], "Inactive");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_its_owner_wants_back_goes_and_stays_away_although_the_schedule_may_not_be_switched_off()
 {
    let (server, _replica, _control) = led(IN_OFFICE, cluster()).await;
    let patch = "PATCH 5spot.finos.org/scheduledmachines";
    server.set_faults(Faults {
        budget_of: vec!["shop".to_owned()],
        ..Faults::refusing(patch, 403, "a policy forbids it")
    });
    server.set("/pods", pod("web", "shop"));
    let refused =
        |server: &ApiServer| server.traffic()["REFUSED PATCH 5spot.finos.org/scheduledmachines"].0;
    let wanted = json!({"5spot.finos.org/reclaim-requested": "true"});
    change_node(&server, &json!({"metadata": {"annotations": wanted}}));
    // A budget holds the drain up, which is looked at every two seconds.
    sleep(Duration::from_secs(10)).await;
    let (writes, tries) = (server.writes().len(), refused(&server));
    sleep(Duration::from_secs(40)).await;
    assert_eq!(server.writes().len(), writes);
    assert_eq!(refused(&server), tries);
    sleep(Duration::from_mins(1)).await;
    assert!(is_gone(&server));
    sleep(Duration::from_hours(1)).await;
    assert!(is_gone(&server), "it was not taken again");
    assert_says(
        &server,
        "failed to switch the schedule off: a policy forbids it",
    );
    assert_idle_for(Duration::from_hours(1), &server).await;

    server.set_faults(Faults::default());
    sleep(Duration::from_secs(61)).await;
    assert_eq!(server.object("a")["spec"]["schedule"]["enabled"], false);
    assert_eq!(status(&server)["phase"], "Disabled");
}

#[tokio::test(start_paused = true)]
async fn an_open_window_finds_the_machine_of_the_public_implementation_and_keeps_it() {
    let server = cluster();
    let labels =
        json!({"5spot.finos.org/scheduled-machine": "a", "cluster.x-k8s.io/cluster-name": "lab"});
    for (table, kind) in [
        (BOOTSTRAPS, "K0sWorkerConfig"),
        (INFRASTRUCTURES, "RemoteMachine"),
        (MACHINES, "Machine"),
    ] {
        let mut object = json!({
            "apiVersion": "x/v1", "kind": kind, "metadata": {"name": "a", "namespace": "default", "labels": labels},
        });
        if table == MACHINES {
            object["apiVersion"] = json!("cluster.x-k8s.io/v1beta1");
            object["spec"] = json!({"clusterName": "lab"});
            object["metadata"]["ownerReferences"] = json!([{
                "apiVersion": "5spot.finos.org/v1alpha1", "kind": "ScheduledMachine", "name": "a", "uid": "uid-of-a",
            }]);
        }
        server.set(table, object);
    }
    let (server, _replica, _control) = led(IN_OFFICE, server).await;
    assert_eq!(status(&server)["phase"], "Active");
    assert_eq!(others(&server), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn taints_are_put_on_and_taken_off_and_conflicts_are_told() {
    let server = cluster();
    let ours = json!([{"key": "example.com/night", "value": "yes", "effect": "NoSchedule"}]);
    server.patch("a", "/spec/nodeTaints", ours.clone());
    let (server, _replica, _control) = led(IN_OFFICE, server).await;
    let taints =
        |server: &ApiServer| server.get("/nodes", "", "node-a").unwrap()["spec"]["taints"].clone();
    assert_eq!(taints(&server), ours);
    assert_eq!(condition(&server, "NodeTainted"), "True Applied");
    assert_eq!(status(&server)["appliedNodeTaints"], ours);

    // Whoever takes it off is overruled, and whoever puts another one on is left alone.
    let theirs = json!([{"key": "theirs", "effect": "NoExecute"}]);
    change_node(&server, &json!({"spec": {"taints": theirs}}));
    sleep(MOMENT).await;
    assert_eq!(taints(&server).as_array().unwrap().len(), 2);

    let conflicting = json!([{"key": "theirs", "value": "ours", "effect": "NoExecute"}]);
    server.patch("a", "/spec/nodeTaints", conflicting);
    sleep(MOMENT).await;
    let told = condition(&server, "NodeTainted");
    assert_eq!(told, "False TaintOwnershipConflict");
    let told = server.events().pop().unwrap();
    assert_eq!(told["reason"], "TaintOwnershipConflict");
    assert_eq!(taints(&server).as_array().unwrap().len(), 2);

    server.patch("a", "/spec/nodeTaints", json!([]));
    sleep(MOMENT).await;
    assert_eq!(taints(&server), theirs);
    assert_idle_for(Duration::from_hours(1), &server).await;
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_its_owner_wants_back_goes_at_once_and_does_not_come_again() {
    let (server, _replica, _control) = led(IN_OFFICE, cluster()).await;
    change_node(
        &server,
        &json!({"metadata": {"annotations": {
            "5spot.finos.org/reclaim-requested": "true", "5spot.finos.org/reclaim-reason": "an IDE was started",
        }}}),
    );
    sleep(MOMENT).await;
    assert!(is_gone(&server));
    assert_eq!(server.object("a")["spec"]["schedule"]["enabled"], false);
    let seen = phases(&server);
    assert!(seen.contains(&of_a(&["EmergencyRemove"])[0]), "{seen:?}");
    assert_eq!(status(&server)["phase"], "Disabled");
    let writes = others(&server);
    let at = |what: &str| writes.iter().position(|write| write.starts_with(what));
    let (cleared, deleted) = (at("PATCH /nodes"), at("DELETE cluster.x-k8s.io/machines"));
    assert!(cleared.is_some() && cleared < deleted, "{writes:?}");
}

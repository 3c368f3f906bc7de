//! What other people and programs do to a machine and its objects.

use super::{
    drain::pod,
    life::{
        ALL, BOOTSTRAPS, IN_OFFICE, INFRASTRUCTURES, MACHINES, cluster, condition, is, is_gone,
        others, status,
    },
    *,
};

#[tokio::test(start_paused = true)]
async fn what_somebody_else_deletes_is_created_again() {
    for table in ALL {
        let server = cluster();
        let mut replica = Replica::synced(IN_OFFICE, &server).await;
        let _control = replica.begin_term();
        sleep(MOMENT).await;
        server.remove(table, "default", "a");
        sleep(Duration::from_secs(10)).await;
        let names = ALL.map(|table| server.names(table));
        assert_eq!(
            names,
            ["a", "a", "a"].map(|name| vec![name.to_owned()]),
            "after {table}"
        );
        assert_eq!(status(&server)["phase"], "Active");
        assert_eq!(condition(&server, "Ready"), is("True", "ScheduleActive"));
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
            let mut replica = Replica::synced(IN_OFFICE, &server).await;
            let _control = replica.begin_term();
            sleep(Duration::from_mins(5)).await;
            assert_eq!(status(&server)["phase"], "Error", "{table}");
            assert_eq!(condition(&server, "Ready"), is("False", "NameTaken"));
            assert_eq!(condition(&server, "MachineReady"), is("False", "NameTaken"));

            // Neither the end of the window nor a kill nor a deletion is a reason to take it away.
            server.patch("a", "/spec", {
                let mut spec = server.object("a")["spec"].clone();
                spec["killSwitch"] = json!(true);
                spec
            });
            sleep(Duration::from_mins(1)).await;
            assert_eq!(status(&server)["phase"], "Terminated");
            server.remove(crate::api_server::SCHEDULED_MACHINES, "default", "a");
            sleep(Duration::from_mins(30)).await;
            assert!(
                server
                    .names(crate::api_server::SCHEDULED_MACHINES)
                    .is_empty()
            );
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

#[tokio::test(start_paused = true)]
async fn a_refused_object_is_an_error_that_ends_with_the_refusal() {
    let server = cluster();
    let refuse = [(
        "POST cluster.x-k8s.io/machines".to_owned(),
        (422, "no such cluster".to_owned()),
    )];
    server.set_faults(Faults {
        refuse: refuse.into(),
        ..Faults::default()
    });
    let mut replica = Replica::synced(IN_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(Duration::from_mins(5)).await;
    assert_eq!(status(&server)["phase"], "Error");
    assert_eq!(condition(&server, "Ready"), is("False", "CreationRefused"));
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
    assert!(replica.metric("five_spot_errors_total{category=\"action\"}") > 3);
    server.set_faults(Faults::default());
    sleep(Duration::from_secs(61)).await;
    assert_eq!(status(&server)["phase"], "Active");
}

#[tokio::test(start_paused = true)]
async fn what_stays_refused_is_not_told_again_by_the_next_leader() {
    let server = cluster();
    let refuse = [(
        "POST cluster.x-k8s.io/machines".to_owned(),
        (422, "no such cluster".to_owned()),
    )];
    server.set_faults(Faults {
        refuse: refuse.into(),
        ..Faults::default()
    });
    let mut first = Replica::synced(IN_OFFICE, &server).await;
    let control = first.begin_term();
    sleep(Duration::from_mins(1)).await;
    control.end();
    first.work_ends().await;
    assert_eq!(condition(&server, "Ready"), is("False", "CreationRefused"));
    let told = (server.writes().len(), server.events().len());

    let now = first.wall.now().to_string();
    let mut second = Replica::synced(&now, &server).await;
    let _second_term = second.begin_term();
    sleep(Duration::from_mins(5)).await;
    assert!(second.metric("five_spot_errors_total{category=\"action\"}") > 3);
    assert_eq!((server.writes().len(), server.events().len()), told);

    server.set_faults(Faults::default());
    sleep(Duration::from_secs(61)).await;
    assert_eq!(status(&server)["phase"], "Active");
}

#[tokio::test(start_paused = true)]
async fn an_exemption_of_somebody_else_survives_a_kill_that_was_taken_back() {
    const FROM_DETACH: &str = "machine.cluster.x-k8s.io/exclude-wait-for-node-volume-detach";
    const FROM_DRAIN: &str = "machine.cluster.x-k8s.io/exclude-node-draining";
    let server = cluster();
    let mut replica = Replica::synced(IN_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    let theirs = json!({"metadata": {"annotations": {FROM_DETACH: "theirs"}}});
    server.change(MACHINES, "default", "a", &theirs);
    sleep(MOMENT).await;
    let annotations = |server: &ApiServer| {
        server.get(MACHINES, "default", "a").unwrap()["metadata"]["annotations"].clone()
    };
    let refuse = ALL.map(|table| (format!("DELETE {table}"), (403, "no".to_owned())));
    server.set_faults(Faults {
        refuse: refuse.into(),
        ..Faults::default()
    });
    server.patch("a", "/spec", {
        let mut spec = server.object("a")["spec"].clone();
        spec["killSwitch"] = json!(true);
        spec
    });
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
    let mut replica = Replica::synced(IN_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    server.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_mins(7)).await;
    assert!(is_gone(&server));
    assert_eq!(status(&server)["phase"], "Inactive");
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_its_owner_wants_back_goes_and_stays_away_although_the_schedule_may_not_be_switched_off()
 {
    let server = cluster();
    let mut replica = Replica::synced(IN_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    let refuse = (
        "PATCH 5spot.finos.org/scheduledmachines".to_owned(),
        (403, "a policy forbids it".to_owned()),
    );
    server.set_faults(Faults {
        refuse: [refuse].into(),
        budget_of: vec!["shop".to_owned()],
        ..Faults::default()
    });
    server.set("/pods", pod("web", "shop", &json!({})));
    let refused =
        |server: &ApiServer| server.traffic()["REFUSED PATCH 5spot.finos.org/scheduledmachines"].0;
    server.change(
        "/nodes",
        "",
        "node-a",
        &json!({"metadata": {"annotations": {"5spot.finos.org/reclaim-requested": "true"}}}),
    );
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
    let message = status(&server)["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("failed to switch the schedule off: a policy forbids it"),
        "{message}"
    );
    let writes = server.writes().len();
    sleep(Duration::from_hours(1)).await;
    assert_eq!(server.writes().len(), writes);

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
    let mut replica = Replica::synced(IN_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    assert_eq!(status(&server)["phase"], "Active");
    assert_eq!(others(&server), Vec::<String>::new());
}

#[tokio::test(start_paused = true)]
async fn taints_are_put_on_and_taken_off_and_conflicts_are_told() {
    let server = cluster();
    server.patch("a", "/spec", {
        let mut spec = server.object("a")["spec"].clone();
        spec["nodeTaints"] =
            json!([{"key": "example.com/night", "value": "yes", "effect": "NoSchedule"}]);
        spec
    });
    let mut replica = Replica::synced(IN_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    let taints =
        |server: &ApiServer| server.get("/nodes", "", "node-a").unwrap()["spec"]["taints"].clone();
    assert_eq!(
        taints(&server),
        json!([{"key": "example.com/night", "value": "yes", "effect": "NoSchedule"}])
    );
    assert_eq!(condition(&server, "NodeTainted"), is("True", "Applied"));
    assert_eq!(
        status(&server)["appliedNodeTaints"][0]["key"],
        "example.com/night"
    );

    // Whoever takes it off is overruled, and whoever puts another one on is left alone.
    server.change(
        "/nodes",
        "",
        "node-a",
        &json!({"spec": {"taints": [
            {"key": "theirs", "effect": "NoExecute"},
        ]}}),
    );
    sleep(MOMENT).await;
    assert_eq!(taints(&server).as_array().unwrap().len(), 2);

    server.patch(
        "a",
        "/spec/nodeTaints",
        json!([
            {"key": "theirs", "value": "ours", "effect": "NoExecute"},
        ]),
    );
    sleep(MOMENT).await;
    assert_eq!(
        condition(&server, "NodeTainted"),
        is("False", "TaintOwnershipConflict")
    );
    assert_eq!(
        server.events().last().unwrap()["reason"],
        "TaintOwnershipConflict"
    );
    assert_eq!(taints(&server).as_array().unwrap().len(), 2);

    server.patch("a", "/spec/nodeTaints", json!([]));
    sleep(MOMENT).await;
    assert_eq!(
        taints(&server),
        json!([{"key": "theirs", "effect": "NoExecute"}])
    );
    let writes = server.all_writes().len();
    sleep(Duration::from_hours(1)).await;
    assert_eq!(server.all_writes().len(), writes);
}

#[tokio::test(start_paused = true)]
async fn a_machine_that_its_owner_wants_back_goes_at_once_and_does_not_come_again() {
    let server = cluster();
    let mut replica = Replica::synced(IN_OFFICE, &server).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    server.change("/nodes", "", "node-a", &json!({"metadata": {"annotations": {
        "5spot.finos.org/reclaim-requested": "true", "5spot.finos.org/reclaim-reason": "an IDE was started",
    }}}));
    sleep(MOMENT).await;
    assert!(is_gone(&server));
    assert_eq!(server.object("a")["spec"]["schedule"]["enabled"], false);
    let seen: Vec<_> = phases(&server)
        .into_iter()
        .map(|(_, phase)| phase)
        .collect();
    assert!(seen.contains(&"EmergencyRemove".to_owned()), "{seen:?}");
    assert_eq!(status(&server)["phase"], "Disabled");
    let writes = others(&server);
    let at = |what: &str| {
        writes
            .iter()
            .position(|write| write.starts_with(what))
            .unwrap()
    };
    assert!(
        at("PATCH /nodes") < at("DELETE cluster.x-k8s.io/machines"),
        "{writes:?}"
    );
}

//! Machines that become Nodes of another cluster.

use k8s_openapi::ByteString;
use rstest::rstest;

use super::{
    drain::pod,
    life::{IN_OFFICE, MACHINES, cluster, condition, is, is_gone, status},
    *,
};

fn kubeconfig(host: &str) -> Value {
    let text = format!(
        r#"{{"apiVersion": "v1", "kind": "Config", "current-context": "c",
            "contexts": [{{"name": "c", "context": {{"cluster": "k", "user": "u"}}}}],
            "clusters": [{{"name": "k", "cluster": {{"server": "https://{host}"}}}}],
            "users": [{{"name": "u", "user": {{"token": "t"}}}}]}}"#
    );
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "lab-kubeconfig", "namespace": "default"},
        "data": {"value": ByteString(text.into())},
    })
}

/// The machine's Node is in the other cluster; the management cluster has one of the same name.
async fn split() -> (ApiServer, ApiServer, Replica, TermControl) {
    let (management, workload) = (cluster(), ApiServer::default());
    management.set("/secrets", kubeconfig("workload.example"));
    let other = workload.clone();
    let connect = Connect::by(move |config| {
        assert_eq!(config.cluster_url.host(), Some("workload.example"));
        Ok(other.client())
    });
    let mut replica = Replica::reaching(IN_OFFICE, &management, connect).await;
    let control = replica.begin_term();
    sleep(MOMENT).await;
    let node = management.get("/nodes", "", "node-a").unwrap();
    workload.set("/nodes", node);
    sleep(MOMENT).await;
    (management, workload, replica, control)
}

#[tokio::test(start_paused = true)]
async fn the_node_is_cordoned_and_drained_where_it_is_and_not_where_one_has_its_name() {
    let (management, workload, _replica, _control) = split().await;
    for server in [&management, &workload] {
        server.set("/pods", pod("web", "shop", &json!({})));
    }
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_mins(1)).await;
    assert_eq!(
        workload.get("/nodes", "", "node-a").unwrap()["spec"]["unschedulable"],
        true
    );
    assert_eq!(
        management.get("/nodes", "", "node-a").unwrap()["spec"]["unschedulable"],
        Value::Null
    );
    sleep(Duration::from_mins(5)).await;
    assert!(is_gone(&management));
    assert!(workload.names("/pods").is_empty());
    assert_eq!(management.names("/pods"), ["web"]);
    assert_eq!(condition(&management, "Drained"), is("True", "NodeDrained"));
}

/// A machine in another cluster has to go when a new term begins on a hint, and so has one in our own.
async fn a_leader_of_a_hint(wait: Duration) -> (ApiServer, ApiServer, Replica, TermControl) {
    let (management, workload, mut replica, control) = split().await;
    management.put(office_json("other"));
    management.patch("other", "/spec/clusterName", json!("ours"));
    sleep(MOMENT).await;
    control.end();
    replica.work_ends().await;
    for name in ["a", "other"] {
        management.patch(name, "/spec/schedule/hoursOfDay", json!(["1"]));
    }
    let control = replica.begin_unproven_term(wait);
    sleep(MOMENT).await;
    (management, workload, replica, control)
}

fn is_cordoned(server: &ApiServer, node: &str) -> bool {
    server.get("/nodes", "", node).unwrap()["spec"]["unschedulable"] == true
}

#[tokio::test(start_paused = true)]
async fn after_a_hint_other_clusters_are_written_to_when_the_wait_is_over_and_ours_at_once() {
    let (management, workload, replica, _control) =
        a_leader_of_a_hint(Duration::from_secs(15)).await;
    assert!(is_cordoned(&management, "node-other"));
    sleep(Duration::from_millis(14_900)).await;
    assert!(!is_cordoned(&workload, "node-a"));
    sleep(Duration::from_millis(100) + MOMENT).await;
    assert!(is_cordoned(&workload, "node-a"));
    assert_eq!(
        replica.metric("five_spot_errors_total{category=\"action\"}"),
        0,
        "a write that waits is not counted as a failure"
    );
}

#[tokio::test(start_paused = true)]
async fn after_a_hint_that_is_proven_right_other_clusters_are_written_to_at_once() {
    let (_management, workload, _replica, control) =
        a_leader_of_a_hint(Duration::from_secs(15)).await;
    sleep(Duration::from_secs(1)).await;
    assert!(!is_cordoned(&workload, "node-a"));
    control.allow_foreign_from(None);
    sleep(MOMENT).await;
    assert!(is_cordoned(&workload, "node-a"));
}

#[tokio::test(start_paused = true)]
async fn evictions_of_another_cluster_wait_as_well_and_are_not_counted_as_failed() {
    let (management, workload, mut replica, control) = split().await;
    workload.set(
        "/pods",
        pod("web", "shop", &json!({"/spec/nodeName": "node-a"})),
    );
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_mins(4)).await;
    assert!(is_cordoned(&workload, "node-a"));
    control.end();
    replica.work_ends().await;
    sleep(Duration::from_mins(2)).await;
    let _control = replica.begin_unproven_term(Duration::from_secs(15));
    sleep(Duration::from_secs(14)).await;
    assert_eq!(workload.names("/pods"), ["web"]);
    sleep(Duration::from_secs(2)).await;
    assert!(workload.names("/pods").is_empty());
    assert_eq!(
        replica.metric("five_spot_pod_evictions_total{result=\"failed\"}"),
        0
    );
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_cannot_be_reached_holds_its_machine_up_for_a_bounded_time() {
    let (management, workload, _replica, _control) = split().await;
    workload.set_faults(Faults {
        nodes_are_silent: true,
        ..Faults::default()
    });
    workload.break_watches();
    sleep(Duration::from_mins(2)).await;
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_mins(9)).await;
    assert_eq!(management.names(MACHINES), ["a"]);
    assert_eq!(
        condition(&management, "Drained"),
        is("False", "NodeOutOfReach")
    );
    sleep(Duration::from_mins(2)).await;
    assert!(is_gone(&management));
    assert_eq!(status(&management)["phase"], "Inactive");
    assert_eq!(
        condition(&management, "Drained"),
        is("False", "NodeOutOfReach")
    );
}

#[tokio::test(start_paused = true)]
async fn a_kubeconfig_that_would_run_something_is_not_used() {
    let management = cluster();
    let mut secret = kubeconfig("workload.example");
    let text = r#"{"apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": "https://x"}}],
        "users": [{"name": "u", "user": {"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "id"}}}]}"#;
    secret["data"]["value"] = json!(ByteString(text.into()));
    management.set("/secrets", secret);
    let connect = Connect::by(|_| panic!("not to be connected to"));
    let mut replica = Replica::reaching(IN_OFFICE, &management, connect).await;
    let _control = replica.begin_term();
    sleep(Duration::from_mins(1)).await;
    assert_eq!(status(&management)["phase"], "Active");
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_mins(1)).await;
    let message = status(&management)["message"].as_str().unwrap().to_owned();
    assert!(message.contains("the kubeconfig sets exec"), "{message}");
}

#[rstest]
#[case::of_another_host(json!("another://one"))]
#[case::of_no_host(Value::Null)]
#[tokio::test(start_paused = true)]
async fn a_node_of_the_name_that_another_machine_became_is_not_the_one(#[case] host: Value) {
    let (management, workload, _replica, _control) = split().await;
    workload.change(
        "/nodes",
        "",
        "node-a",
        &json!({"spec": {"providerID": host}}),
    );
    sleep(MOMENT).await;
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_secs(10)).await;
    assert!(
        is_gone(&management),
        "there is no Node to be graceful about"
    );
    assert_eq!(
        workload.get("/nodes", "", "node-a").unwrap()["spec"]["unschedulable"],
        Value::Null
    );
}

/// What a kubeconfig that was renewed is noticed by.
#[rstest]
#[case::in_its_own_time(false, Duration::from_mins(11))]
#[case::the_old_one_is_refused(true, Duration::from_mins(2))]
#[tokio::test(start_paused = true)]
async fn a_kubeconfig_that_was_renewed_is_taken_up(
    #[case] is_refused: bool,
    #[case] within: Duration,
) {
    let (management, old, new) = (cluster(), ApiServer::default(), ApiServer::default());
    management.set("/secrets", kubeconfig("old.example"));
    let servers = [("old.example", old.clone()), ("new.example", new.clone())];
    let connect = Connect::by(move |config| {
        let host = config.cluster_url.host();
        let server = servers.iter().find(|(name, _)| host == Some(name));
        Ok(server.unwrap().1.client())
    });
    let mut replica = Replica::reaching(IN_OFFICE, &management, connect).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    let node = management.get("/nodes", "", "node-a").unwrap();
    old.set("/nodes", node.clone());
    new.set("/nodes", node);
    sleep(MOMENT).await;

    management.set("/secrets", kubeconfig("new.example"));
    if is_refused {
        old.set_faults(Faults {
            nodes_are_silent: true,
            ..Faults::default()
        });
        old.break_watches();
    }
    sleep(within).await;
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_mins(1)).await;
    let cordoned = |server: &ApiServer| {
        server.get("/nodes", "", "node-a").unwrap()["spec"]["unschedulable"].clone()
    };
    assert_eq!(cordoned(&new), true);
    assert_eq!(cordoned(&old), Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_kubeconfig_that_comes_after_the_first_node_is_taken_up_within_a_minute() {
    let (management, workload) = (cluster(), ApiServer::default());
    let other = workload.clone();
    let connect = Connect::by(move |_| Ok(other.client()));
    let mut replica = Replica::reaching(IN_OFFICE, &management, connect).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    let node = management.get("/nodes", "", "node-a").unwrap();
    workload.set("/nodes", node);
    management.set("/secrets", kubeconfig("workload.example"));
    sleep(Duration::from_secs(61)).await;
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_secs(10)).await;
    let cordoned = |server: &ApiServer| {
        server.get("/nodes", "", "node-a").unwrap()["spec"]["unschedulable"].clone()
    };
    assert_eq!(cordoned(&workload), true);
    assert_eq!(cordoned(&management), Value::Null);
}

#[tokio::test(start_paused = true)]
async fn a_right_to_list_without_one_to_watch_makes_no_stampede() {
    let (_management, workload, replica, _control) = split().await;
    workload.set_faults(Faults {
        refuse: [("WATCH /nodes".to_owned(), (403, "no".to_owned()))].into(),
        ..Faults::default()
    });
    workload.break_watches();
    sleep(Duration::from_mins(5)).await;
    let verify = "five_spot_reconciliations_total{result=\"success\"}";
    let (lists, looked) = (workload.traffic()["LIST /nodes"].0, replica.metric(verify));
    sleep(Duration::from_mins(10)).await;
    let more = workload.traffic()["LIST /nodes"].0 - lists;
    // A pause is 30 to 60 seconds long by then: 30, and as much again by chance.
    assert!((10..=20).contains(&more), "{more} lists in 10 minutes");
    assert_eq!(
        replica.metric(verify),
        looked,
        "the Nodes are what they were"
    );
}

#[tokio::test(start_paused = true)]
async fn a_cluster_whose_answers_are_endless_is_out_of_reach() {
    let (management, workload, _replica, _control) = split().await;
    workload.set_faults(Faults {
        padding: 65 << 20,
        ..Faults::default()
    });
    workload.compact();
    sleep(Duration::from_mins(1)).await;
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_secs(10)).await;
    let message = status(&management)["message"].as_str().unwrap().to_owned();
    assert!(message.contains("length limit exceeded"), "{message}");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_whose_every_answer_is_slow_holds_nobody_else_up() {
    let (management, workload) = (cluster(), ApiServer::default());
    management.set("/secrets", kubeconfig("workload.example"));
    let slow: Vec<_> = (0..40).map(|slow| format!("slow-{slow:02}")).collect();
    for name in &slow {
        let mut object = office_json(name);
        object["spec"]["priority"] = json!(100);
        object["spec"]["gracefulShutdownTimeout"] = json!("0s");
        object["spec"]["schedule"]["hoursOfDay"] = json!(["9-16"]);
        management.put(object);
    }
    let mut other = office_json("other");
    other["spec"]["clusterName"] = json!("ours");
    other["spec"]["schedule"]["hoursOfDay"] = json!(["17"]);
    management.put(other);
    let connected = workload.clone();
    let connect = Connect::by(move |_| Ok(connected.client()));
    let mut replica = Replica::reaching("2026-03-02T16:50:00Z", &management, connect).await;
    let _control = replica.begin_term();
    sleep(MOMENT).await;
    for name in slow.iter().map(|name| format!("node-{name}")) {
        let node = management.get("/nodes", "", &name).unwrap();
        workload.set("/nodes", node);
    }
    let on_slow = json!({"/spec/nodeName": "node-slow-00"});
    for number in 0..100 {
        workload.set("/pods", pod(&format!("web-{number}"), "shop", &on_slow));
    }
    sleep(Duration::from_secs(1)).await;
    workload.set_faults(Faults {
        answers_take: Duration::from_secs(9),
        ..Faults::default()
    });
    sleep(Duration::from_mins(10)).await;
    assert_eq!(
        management.object("slow-00")["status"]["phase"],
        "ShuttingDown"
    );
    assert_eq!(management.object("other")["status"]["phase"], "Active");

    // A hundred evictions of nine seconds each are more than one look is given.
    sleep(Duration::from_mins(5)).await;
    assert!(replica.metric("five_spot_errors_total{category=\"action\"}") > 0);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_of_more_nodes_than_there_can_be_is_out_of_reach() {
    let (management, workload, _replica, _control) = split().await;
    for other in 0..10_000 {
        let node = json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": format!("other-{other}")}});
        workload.set("/nodes", node);
    }
    sleep(MOMENT).await;
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_secs(10)).await;
    let message = status(&management)["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("it has more than 10000 Nodes"),
        "{message}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_another_cluster_says_is_told_in_part() {
    let (management, workload, _replica, _control) = split().await;
    workload.set_faults(Faults {
        refuse: [("LIST /nodes".to_owned(), (403, "x".repeat(1 << 20)))].into(),
        ..Faults::default()
    });
    workload.compact();
    sleep(Duration::from_mins(1)).await;
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_secs(10)).await;
    let message = status(&management)["message"].as_str().unwrap().to_owned();
    assert!(
        message.contains("xxx") && message.len() < 2000,
        "{}",
        message.len()
    );
}

#[tokio::test(start_paused = true)]
async fn what_another_cluster_says_of_a_fence_is_no_reason_to_doubt_the_term() {
    let (management, workload, replica, control) = split().await;
    let words = "ValidatingAdmissionPolicy '5spot-fence-shared' with binding '5spot-fence-shared' denied request: no";
    workload.set_faults(Faults {
        refuse: [("PATCH /nodes".to_owned(), (403, words.to_owned()))].into(),
        ..Faults::default()
    });
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_secs(30)).await;
    assert!(replica.metric("five_spot_errors_total{category=\"action\"}") >= 1);
    let doubt = timeout(Duration::from_secs(1), control.doubted()).await;
    assert!(doubt.is_err(), "the Lease is not to be read for that");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_without_a_machine_of_ours_is_let_go_and_found_again() {
    let (management, workload, _replica, _control) = split().await;
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_mins(7)).await;
    assert!(is_gone(&management));
    sleep(Duration::from_mins(21)).await;
    workload.break_watches();
    let watches = |server: &ApiServer| server.traffic()["WATCH /nodes"].0;
    let before = watches(&workload);
    sleep(Duration::from_mins(5)).await;
    assert_eq!(watches(&workload), before);

    management.patch("a", "/spec/schedule/hoursOfDay", json!(["0-23"]));
    sleep(Duration::from_secs(5)).await;
    assert!(watches(&workload) > before);
}

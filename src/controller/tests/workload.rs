//! Machines that become Nodes of another cluster.

use k8s_openapi::ByteString;
use rstest::rstest;

use super::{
    life::{IN_OFFICE, MACHINES, cluster, is_gone},
    *,
};

fn kubeconfig(host: &str) -> Value {
    kubeconfig_of(host, &json!({"token": "t"}))
}

fn kubeconfig_of(host: &str, user: &Value) -> Value {
    let text = json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "k", "user": "u"}}],
        "clusters": [{"name": "k", "cluster": {"server": format!("https://{host}")}}],
        "users": [{"name": "u", "user": user}],
    });
    json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "lab-kubeconfig", "namespace": "default"},
        "data": {"value": ByteString(text.to_string().into())},
    })
}

/// A replica that reaches workload clusters by `connect`, and has led for a moment.
async fn led_reaching(now: &str, server: &ApiServer, connect: Connect) -> (Replica, TermControl) {
    let mut replica = Replica::reaching(now, server, connect).await;
    let control = replica.begin_term();
    sleep(MOMENT).await;
    (replica, control)
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
    let (replica, control) = led_reaching(IN_OFFICE, &management, connect).await;
    let node = management.get("/nodes", "", "node-a").unwrap();
    workload.set("/nodes", node);
    sleep(MOMENT).await;
    (management, workload, replica, control)
}

#[tokio::test(start_paused = true)]
async fn the_node_is_cordoned_and_drained_where_it_is_and_not_where_one_has_its_name() {
    let (management, workload, _replica, _control) = split().await;
    for server in [&management, &workload] {
        server.set("/pods", pod("web", "shop"));
    }
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_mins(1)).await;
    assert!(is_cordoned(&workload, "node-a"));
    assert!(!is_cordoned(&management, "node-a"));
    sleep(Duration::from_mins(5)).await;
    assert!(is_gone(&management));
    assert!(workload.names("/pods").is_empty());
    assert_eq!(management.names("/pods"), ["web"]);
    assert_eq!(condition(&management, "Drained"), "True NodeDrained");
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
        replica.errors("action"),
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
    workload.set("/pods", pod("web", "shop"));
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
    assert_eq!(replica.evictions("failed"), 0);
}

#[tokio::test(start_paused = true)]
async fn a_cluster_that_cannot_be_reached_holds_its_machine_up_for_a_bounded_time() {
    let (management, workload, _replica, _control) = split().await;
    workload.fail(|faults| faults.nodes_are_silent = true);
    workload.break_watches();
    sleep(Duration::from_mins(2)).await;
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_mins(9)).await;
    assert_eq!(management.names(MACHINES), ["a"]);
    assert_eq!(condition(&management, "Drained"), "False NodeOutOfReach");
    sleep(Duration::from_mins(2)).await;
    assert!(is_gone(&management));
    assert_eq!(status(&management)["phase"], "Inactive");
    assert_eq!(condition(&management, "Drained"), "False NodeOutOfReach");
}

#[tokio::test(start_paused = true)]
async fn a_kubeconfig_that_would_run_something_is_not_used() {
    let management = cluster();
    let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "command": "id"});
    management.set("/secrets", kubeconfig_of("x", &json!({"exec": exec})));
    let connect = Connect::by(|_| panic!("not to be connected to"));
    let mut replica = Replica::reaching(IN_OFFICE, &management, connect).await;
    let _control = replica.begin_term();
    sleep(Duration::from_mins(1)).await;
    assert_eq!(status(&management)["phase"], "Active");
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_mins(1)).await;
    assert_says(&management, "the kubeconfig sets exec");
}

#[rstest]
#[case::of_another_host(json!("another://one"))]
#[case::of_no_host(Value::Null)]
#[tokio::test(start_paused = true)]
async fn a_node_of_the_name_that_another_machine_became_is_not_the_one(#[case] host: Value) {
    let (management, workload, _replica, _control) = split().await;
    change_node(&workload, &json!({"spec": {"providerID": host}}));
    sleep(MOMENT).await;
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_secs(10)).await;
    assert!(
        is_gone(&management),
        "there is no Node to be graceful about"
    );
    assert!(!is_cordoned(&workload, "node-a"));
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
    let (_replica, _control) = led_reaching(IN_OFFICE, &management, connect).await;
    let node = management.get("/nodes", "", "node-a").unwrap();
    old.set("/nodes", node.clone());
    new.set("/nodes", node);
    sleep(MOMENT).await;

    management.set("/secrets", kubeconfig("new.example"));
    if is_refused {
        old.fail(|faults| faults.nodes_are_silent = true);
        old.break_watches();
    }
    sleep(within).await;
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_mins(1)).await;
    assert!(is_cordoned(&new, "node-a"));
    assert!(!is_cordoned(&old, "node-a"));
}

#[tokio::test(start_paused = true)]
async fn a_kubeconfig_that_comes_after_the_first_node_is_taken_up_within_a_minute() {
    let (management, workload) = (cluster(), ApiServer::default());
    let other = workload.clone();
    let connect = Connect::by(move |_| Ok(other.client()));
    let (_replica, _control) = led_reaching(IN_OFFICE, &management, connect).await;
    let node = management.get("/nodes", "", "node-a").unwrap();
    workload.set("/nodes", node);
    management.set("/secrets", kubeconfig("workload.example"));
    sleep(Duration::from_secs(61)).await;
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_secs(10)).await;
    assert!(is_cordoned(&workload, "node-a"));
    assert!(!is_cordoned(&management, "node-a"));
}

#[tokio::test(start_paused = true)]
async fn a_right_to_list_without_one_to_watch_makes_no_stampede() {
    let (_management, workload, replica, _control) = split().await;
    workload.set_faults(Faults::refusing("WATCH /nodes", 403, "no"));
    workload.break_watches();
    sleep(Duration::from_mins(5)).await;
    let looks = || replica.reconciliations("success");
    let (lists, looked) = (workload.traffic()["LIST /nodes"].0, looks());
    sleep(Duration::from_mins(10)).await;
    let more = workload.traffic()["LIST /nodes"].0 - lists;
    // A pause is 30 to 60 seconds long by then: 30, and as much again by chance.
    assert!((10..=20).contains(&more), "{more} lists in 10 minutes");
    assert_eq!(looks(), looked, "the Nodes are what they were");
}

#[tokio::test(start_paused = true)]
async fn a_cluster_whose_answers_are_endless_is_out_of_reach() {
    let (management, workload, _replica, _control) = split().await;
    workload.fail(|faults| faults.padding = 65 << 20);
    workload.compact();
    sleep(Duration::from_mins(1)).await;
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_secs(10)).await;
    assert_says(&management, "length limit exceeded");
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
    let (replica, _control) = led_reaching("2026-03-02T16:50:00Z", &management, connect).await;
    for name in slow.iter().map(|name| format!("node-{name}")) {
        let node = management.get("/nodes", "", &name).unwrap();
        workload.set("/nodes", node);
    }
    for number in 0..100 {
        let (name, node) = (format!("web-{number}"), json!("node-slow-00"));
        workload.set("/pods", pod_with(&name, "shop", "/spec/nodeName", node));
    }
    sleep(Duration::from_secs(1)).await;
    workload.fail(|faults| faults.answers_take = Duration::from_secs(9));
    sleep(Duration::from_mins(10)).await;
    assert_eq!(
        management.object("slow-00")["status"]["phase"],
        "ShuttingDown"
    );
    assert_eq!(management.object("other")["status"]["phase"], "Active");

    // A hundred evictions of nine seconds each are more than one look is given.
    sleep(Duration::from_mins(5)).await;
    assert!(replica.errors("action") > 0);
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
    assert_says(&management, "it has more than 10000 Nodes");
}

#[tokio::test(start_paused = true)]
async fn what_another_cluster_says_is_told_in_part() {
    let (management, workload, _replica, _control) = split().await;
    workload.set_faults(Faults::refusing("LIST /nodes", 403, &"x".repeat(1 << 20)));
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
    workload.set_faults(Faults::refusing("PATCH /nodes", 403, words));
    management.patch("a", "/spec/schedule/hoursOfDay", json!(["1"]));
    sleep(Duration::from_secs(30)).await;
    assert!(replica.errors("action") >= 1);
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

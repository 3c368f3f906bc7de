//! A machine comes and goes, with a provider that makes Nodes.

mod way_out;

use super::*;

/// Five minutes after the office has opened.
const IN_OFFICE: &str = "2026-03-02T09:05:00Z";

/// Five minutes before it shuts.
const BEFORE_CLOSE: &str = "2026-03-02T17:55:00Z";

fn with_office() -> ApiServer {
    let server = ApiServer::with_provider();
    server.put(office_json("a"));
    server
}

fn pod(name: &str, node: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"nodeName": node, "containers": []},
        "status": {"phase": "Running"},
    })
}

fn status(server: &ApiServer, pointer: &str) -> Value {
    server.object("a")["status"]
        .pointer(pointer)
        .cloned()
        .unwrap_or_default()
}

fn condition(server: &ApiServer, kind: &str) -> (String, String) {
    let conditions = status(server, "/conditions");
    let found = conditions
        .as_array()
        .unwrap()
        .iter()
        .find(|found| found["type"] == kind);
    let found = found.unwrap_or_else(|| panic!("no {kind} in {conditions}"));
    let text = |field: &str| found[field].as_str().unwrap().to_owned();
    (text("status"), text("reason"))
}

fn pair(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

fn calls(server: &ApiServer) -> Vec<String> {
    let calls = server.calls().into_iter().map(|call| call.what);
    calls.filter(|what| !what.ends_with("/status")).collect()
}

fn is_gone(server: &ApiServer) -> bool {
    ["machines", "k0sworkerconfigs", "remotemachines"]
        .iter()
        .all(|resource| server.other(resource, "a").is_none())
}

async fn working(now: &str, server: &ApiServer) -> (Replica, TermControl) {
    let mut replica = Replica::synced(now, server).await;
    let control = replica.begin_term();
    sleep(MOMENT).await;
    (replica, control)
}

#[tokio::test(start_paused = true)]
async fn a_machine_is_created_when_its_window_opens_and_removed_after_it_shuts() {
    let server = with_office();
    let (_replica, _term) = working(BEFORE_OFFICE, &server).await;
    assert!(calls(&server).is_empty(), "{:?}", calls(&server));
    sleep(Duration::from_mins(10)).await;
    assert_eq!(
        calls(&server),
        [
            "PATCH scheduledmachines a",
            "POST k0sworkerconfigs",
            "POST remotemachines",
            "POST machines"
        ]
    );
    assert_eq!(status(&server, "/phase"), "Active");
    assert_eq!(condition(&server, "Ready"), pair("True", "ScheduleActive"));
    assert_eq!(
        condition(&server, "MachineReady"),
        pair("True", "MachineReady")
    );
    assert_eq!(condition(&server, "Drained"), pair("False", "NotDraining"));
    assert_eq!(status(&server, "/nodeRef/name"), "a");
    assert_eq!(status(&server, "/providerID"), "test://a");
    assert_eq!(
        status(&server, "/machineRef/apiVersion"),
        "cluster.x-k8s.io/v1beta2"
    );
    assert_eq!(status(&server, "/bootstrapRef/kind"), "K0sWorkerConfig");
    assert_eq!(status(&server, "/infrastructureRef/kind"), "RemoteMachine");
    assert_eq!(
        status(&server, "/lastScheduledTime"),
        "2026-03-02T09:00:00Z"
    );

    server.put_other("pods", pod("p", "a"));
    sleep(Duration::from_hours(9)).await;
    assert_eq!(status(&server, "/phase"), "ShuttingDown");
    assert_eq!(condition(&server, "Drained"), pair("False", "GracePeriod"));
    assert_eq!(status(&server, "/nextCleanup"), "2026-03-02T18:05:00Z");
    assert_eq!(
        server.other("nodes", "a").unwrap()["spec"]["unschedulable"],
        true
    );
    assert!(
        server.other("pods", "p").is_some(),
        "it has its time to finish"
    );

    sleep(Duration::from_mins(5)).await;
    assert!(server.other("pods", "p").is_none());
    sleep(Duration::from_secs(3)).await;
    assert!(is_gone(&server));
    assert_eq!(status(&server, "/phase"), "Inactive");
    assert_eq!(
        condition(&server, "Ready"),
        pair("True", "ScheduleInactive")
    );
    assert_eq!(
        condition(&server, "MachineReady"),
        pair("False", "NoMachine")
    );
    for field in [
        "/machineRef",
        "/bootstrapRef",
        "/infrastructureRef",
        "/nodeRef",
        "/providerID",
        "/nextCleanup",
    ] {
        assert_eq!(status(&server, field), Value::Null, "{field}");
    }
    let reasons: Vec<_> = server
        .events()
        .iter()
        .map(|event| event["reason"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        reasons.contains(&"Draining".to_owned()) && reasons.contains(&"Drained".to_owned()),
        "{reasons:?}"
    );
    let count = server.calls().len();
    sleep(Duration::from_hours(1)).await;
    assert_eq!(
        server.calls().len(),
        count,
        "nothing is written while nothing changes"
    );
}

#[tokio::test(start_paused = true)]
async fn the_objects_look_as_cluster_api_wants_them() {
    let server = with_office();
    server.patch("a", "/spec", {
        let mut spec = server.object("a")["spec"].clone();
        spec["machineTemplate"] =
            json!({"labels": {"example.com/pool": "x"}, "annotations": {"example.com/note": "y"}});
        spec["nodeDrainTimeout"] = json!("10m");
        spec
    });
    let (_replica, _term) = working(IN_OFFICE, &server).await;
    let machine = server.other("machines", "a").unwrap();
    let labels = json!({
        "example.com/pool": "x",
        "5spot.finos.org/scheduled-machine": "a",
        "cluster.x-k8s.io/cluster-name": "lab",
    });
    assert_eq!(machine["metadata"]["labels"], labels);
    assert_eq!(
        machine["metadata"]["annotations"],
        json!({"example.com/note": "y"})
    );
    let owner = json!({"apiVersion": "5spot.finos.org/v1alpha1", "kind": "ScheduledMachine", "name": "a",
        "uid": "uid-of-a", "controller": true});
    assert_eq!(machine["metadata"]["ownerReferences"], json!([owner]));
    let spec = json!({
        "clusterName": "lab",
        "bootstrap": {"configRef": {"apiGroup": "bootstrap.cluster.x-k8s.io", "kind": "K0sWorkerConfig", "name": "a"}},
        "infrastructureRef": {"apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "RemoteMachine", "name": "a"},
        "deletion": {"nodeDrainTimeoutSeconds": 600},
        "providerID": "test://a",
    });
    assert_eq!(machine["spec"], spec);
    let bootstrap = server.other("k0sworkerconfigs", "a").unwrap();
    assert_eq!(bootstrap["spec"], json!({"version": "v1.34.4"}));
    assert_eq!(
        bootstrap["metadata"]["ownerReferences"][0]["controller"],
        Value::Null
    );
    assert_eq!(
        bootstrap["metadata"]["labels"]["cluster.x-k8s.io/cluster-name"],
        "lab"
    );
}

#[tokio::test(start_paused = true)]
async fn where_only_the_older_version_is_served_machines_have_its_shape() {
    let server = with_office();
    server.serve("cluster.x-k8s.io/v1beta1", "Machine", "machines");
    let (_replica, _term) = working(IN_OFFICE, &server).await;
    let machine = server.other("machines", "a").unwrap();
    assert_eq!(machine["apiVersion"], "cluster.x-k8s.io/v1beta1");
    let reference = json!({"apiVersion": "bootstrap.cluster.x-k8s.io/v1beta1", "kind": "K0sWorkerConfig",
        "name": "a", "namespace": "default"});
    assert_eq!(machine["spec"]["bootstrap"]["configRef"], reference);
    assert_eq!(machine["spec"]["nodeDrainTimeout"], "300s");
    assert_eq!(condition(&server, "Ready"), pair("True", "ScheduleActive"));
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_served_is_named_and_taken_up_once_it_is() {
    let server = with_office();
    server.withdraw("Machine");
    let (_replica, _term) = working(IN_OFFICE, &server).await;
    assert_eq!(status(&server, "/phase"), "Pending");
    assert_eq!(condition(&server, "Ready"), pair("False", "KindNotServed"));
    assert!(
        status(&server, "/message")
            .as_str()
            .unwrap()
            .contains("Machine of cluster.x-k8s.io")
    );
    assert!(calls(&server).is_empty());
    server.serve("cluster.x-k8s.io/v1beta2", "Machine", "machines");
    sleep(Duration::from_secs(31)).await;
    assert_eq!(condition(&server, "Ready"), pair("True", "ScheduleActive"));
}

#[tokio::test(start_paused = true)]
async fn what_others_delete_in_the_window_is_created_anew() {
    let server = with_office();
    let (_replica, _term) = working(IN_OFFICE, &server).await;
    server.ask_to_delete("machines", "a");
    sleep(MOMENT).await;
    assert!(!is_gone(&server));
    sleep(Duration::from_secs(6)).await;
    assert!(server.other("machines", "a").is_some());
    assert_eq!(condition(&server, "Ready"), pair("True", "ScheduleActive"));

    server.vanish("k0sworkerconfigs", "a");
    sleep(Duration::from_secs(6)).await;
    assert!(server.other("k0sworkerconfigs", "a").is_some());
}

#[tokio::test(start_paused = true)]
async fn a_foreign_object_of_the_same_name_is_never_touched() {
    for resource in ["k0sworkerconfigs", "remotemachines", "machines"] {
        let server = with_office();
        let foreign = json!({"metadata": {"name": "a", "namespace": "default", "resourceVersion": "1"}, "spec": {"of": "others"}});
        server.put_other(resource, foreign);
        let before = server.other(resource, "a").unwrap();
        let (_replica, _term) = working(IN_OFFICE, &server).await;
        assert_eq!(status(&server, "/phase"), "Error");
        assert_eq!(condition(&server, "Ready"), pair("False", "NameTaken"));
        sleep(Duration::from_hours(2)).await;
        assert_eq!(server.other(resource, "a").unwrap(), before, "{resource}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_is_free_again_is_used_within_a_minute_or_so() {
    let server = with_office();
    server.put_other(
        "machines",
        json!({"metadata": {"name": "a", "namespace": "default"}}),
    );
    let (_replica, _term) = working(IN_OFFICE, &server).await;
    sleep(Duration::from_mins(30)).await;
    server.vanish("machines", "a");
    sleep(Duration::from_mins(1)).await;
    assert_eq!(status(&server, "/phase"), "Active");
}

#[tokio::test(start_paused = true)]
async fn objects_that_the_public_implementation_made_are_adopted() {
    let server = with_office();
    let labelled = |more: Value| {
        let mut object = json!({"metadata": {"name": "a", "namespace": "default",
            "labels": {"5spot.finos.org/scheduled-machine": "a"}}});
        object["metadata"]
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        object
    };
    server.put_other("k0sworkerconfigs", labelled(json!({})));
    let owner = json!({"ownerReferences": [{"apiVersion": "cluster.x-k8s.io/v1beta1", "kind": "Machine", "name": "a", "uid": "m"}]});
    server.put_other("remotemachines", labelled(owner));
    let (_replica, _term) = working(IN_OFFICE, &server).await;
    let owners =
        server.other("remotemachines", "a").unwrap()["metadata"]["ownerReferences"].clone();
    assert_eq!(owners.as_array().unwrap().len(), 2, "{owners}");
    assert_eq!(status(&server, "/phase"), "Active");
    let posts = calls(&server)
        .into_iter()
        .filter(|what| what.starts_with("POST"))
        .collect::<Vec<_>>();
    assert_eq!(posts, ["POST machines"]);
}

#[tokio::test(start_paused = true)]
async fn an_object_of_a_scheduled_machine_of_before_is_foreign() {
    let server = with_office();
    server.put_other("remotemachines", json!({"metadata": {"name": "a", "namespace": "default",
        "labels": {"5spot.finos.org/scheduled-machine": "a"},
        "ownerReferences": [{"apiVersion": "5spot.finos.org/v1alpha1", "kind": "ScheduledMachine", "name": "a", "uid": "before"}]}}));
    let (_replica, _term) = working(IN_OFFICE, &server).await;
    assert_eq!(condition(&server, "Ready"), pair("False", "NameTaken"));
}

#[tokio::test(start_paused = true)]
async fn taints_are_put_on_and_put_right_and_conflicts_are_told() {
    let server = with_office();
    server.patch("a", "/spec", {
        let mut spec = server.object("a")["spec"].clone();
        spec["nodeTaints"] =
            json!([{"key": "example.com/hours", "value": "after", "effect": "NoSchedule"}]);
        spec
    });
    let (_replica, _term) = working(IN_OFFICE, &server).await;
    sleep(Duration::from_secs(6)).await;
    let taint = json!({"key": "example.com/hours", "value": "after", "effect": "NoSchedule"});
    assert_eq!(
        server.other("nodes", "a").unwrap()["spec"]["taints"],
        json!([taint])
    );
    assert_eq!(condition(&server, "NodeTainted"), pair("True", "Applied"));
    assert_eq!(status(&server, "/appliedNodeTaints"), json!([taint]));

    // Somebody removes it.
    let mut node = server.other("nodes", "a").unwrap();
    node["spec"]["taints"] = json!([]);
    server.put_other("nodes", node.clone());
    sleep(Duration::from_secs(6)).await;
    assert_eq!(
        server.other("nodes", "a").unwrap()["spec"]["taints"],
        json!([taint])
    );

    // Somebody else's, of the same key and effect.
    node["metadata"]["annotations"] = json!({});
    node["spec"]["taints"] =
        json!([{"key": "example.com/hours", "value": "theirs", "effect": "NoSchedule"}]);
    server.put_other("nodes", node);
    sleep(Duration::from_secs(6)).await;
    assert_eq!(
        server.other("nodes", "a").unwrap()["spec"]["taints"][0]["value"],
        "theirs"
    );
    assert_eq!(
        condition(&server, "NodeTainted"),
        pair("False", "TaintOwnershipConflict")
    );
    assert_eq!(condition(&server, "Ready").0, "False");

    server.patch("a", "/spec/nodeTaints", json!([]));
    sleep(Duration::from_secs(6)).await;
    assert_eq!(
        server.other("nodes", "a").unwrap()["spec"]["taints"][0]["value"],
        "theirs"
    );
    assert_eq!(condition(&server, "Ready").0, "True");
}

#[tokio::test(start_paused = true)]
async fn an_owner_who_wants_the_machine_back_gets_it_and_keeps_it() {
    let server = with_office();
    server.patch(
        "a",
        "/spec/schedule",
        json!({"daysOfWeek": ["mon-sun"], "hoursOfDay": ["0-23"], "enabled": true}),
    );
    let (_replica, _term) = working(IN_OFFICE, &server).await;
    server.put_other("pods", pod("p", "a"));
    server.set_faults(Faults {
        budget_is_spent: true,
        ..Faults::default()
    });
    let mut node = server.other("nodes", "a").unwrap();
    node["metadata"]["annotations"] = json!({"5spot.finos.org/reclaim-requested": "true", "5spot.finos.org/reclaim-reason": "game"});
    server.put_other("nodes", node);
    sleep(MOMENT).await;
    assert_eq!(status(&server, "/phase"), "EmergencyRemove");
    assert_eq!(
        condition(&server, "Ready"),
        pair("False", "EmergencyReclaim")
    );
    assert_eq!(server.object("a")["spec"]["schedule"]["enabled"], false);
    sleep(Duration::from_secs(59)).await;
    assert!(
        server.other("machines", "a").is_some(),
        "the budget is respected for a minute"
    );
    sleep(Duration::from_secs(5)).await;
    assert!(is_gone(&server));
    assert_eq!(status(&server, "/phase"), "Disabled");
    sleep(Duration::from_hours(1)).await;
    assert!(is_gone(&server), "it stays out");
}

#[tokio::test(start_paused = true)]
async fn a_creation_that_is_refused_is_told_and_tried_again() {
    let server = with_office();
    server.set_faults(Faults {
        refuse: Some(("POST", "remotemachines", 422)),
        ..Faults::default()
    });
    let (_replica, _term) = working(IN_OFFICE, &server).await;
    assert_eq!(status(&server, "/phase"), "Error");
    assert_eq!(condition(&server, "Ready"), pair("False", "CreationFailed"));
    let message = status(&server, "/message");
    assert!(
        message
            .as_str()
            .unwrap()
            .contains("create infrastructure object default/a"),
        "{message}"
    );
    server.set_faults(Faults::default());
    sleep(Duration::from_mins(1)).await;
    assert_eq!(status(&server, "/phase"), "Active");
}

#[tokio::test(start_paused = true)]
async fn a_bad_spec_leaves_the_machine_as_it_is_and_a_good_one_goes_on_with_it() {
    let server = with_office();
    let (_replica, _term) = working(IN_OFFICE, &server).await;
    let before = server.other("machines", "a").unwrap();
    server.patch("a", "/spec/schedule/hoursOfDay", json!(["25"]));
    sleep(Duration::from_hours(9) + Duration::from_mins(30)).await;
    assert_eq!(status(&server, "/phase"), "Error");
    assert_eq!(server.other("machines", "a").unwrap(), before);
    server.patch("a", "/spec/schedule/hoursOfDay", json!(["0-23"]));
    sleep(MOMENT).await;
    assert_eq!(status(&server, "/phase"), "Active");
    assert_eq!(server.other("machines", "a").unwrap(), before);
}

//! The leader dies at every single write of a life, before and after it takes effect, and its successor repairs it.

use super::{
    life::{ALL, cluster},
    *,
};
use crate::api_server::SCHEDULED_MACHINES;

/// A story: what happens, and what must be true in the end.
struct Scenario {
    name: &'static str,
    now: &'static str,
    /// What users do once the machine is there.
    then: fn(&ApiServer),
    /// How long it takes at most.
    lasts: Duration,
    ends: fn(&ApiServer),
}

fn is_complete(server: &ApiServer) {
    for table in ALL {
        assert_eq!(server.names(table), ["a"]);
    }
    assert_eq!(status(server)["phase"], "Active");
    let conditions = status(server)["conditions"].clone();
    assert_eq!(conditions[0]["status"], "True", "{conditions}");
    let node = server.get("/nodes", "", "node-a").unwrap();
    assert_eq!(node["spec"]["unschedulable"], Value::Null);
    assert_eq!(node["spec"]["taints"][0]["key"], "example.com/night");
}

fn is_gone(server: &ApiServer) {
    assert!(life::is_gone(server));
    assert!(server.names("/pods").is_empty());
    assert!(!server.drained_by_cluster_api());
}

const SCENARIOS: [Scenario; 6] = [
    Scenario {
        name: "create",
        now: "2026-03-02T09:10:00Z",
        then: |_| {},
        lasts: Duration::from_secs(45),
        ends: is_complete,
    },
    Scenario {
        name: "drain and delete",
        now: "2026-03-02T17:58:00Z",
        then: |_| {},
        lasts: Duration::from_mins(8),
        ends: |server| {
            is_gone(server);
            assert_eq!(status(server)["phase"], "Inactive");
            assert_eq!(status(server).get("machineRef"), None);
        },
    },
    Scenario {
        name: "kill switch",
        now: "2026-03-02T09:10:00Z",
        then: |server| server.patch("a", "/spec/killSwitch", json!(true)),
        lasts: Duration::from_secs(45),
        ends: |server| {
            assert!(life::is_gone(server));
            assert_eq!(status(server)["phase"], "Terminated");
        },
    },
    Scenario {
        name: "deletion",
        now: "2026-03-02T08:50:00Z",
        then: |server| {
            server.patch("a", "/spec/schedule/hoursOfDay", json!(["0-23"]));
        },
        lasts: Duration::from_secs(45),
        ends: |server| {
            is_gone(server);
            assert!(server.names(SCHEDULED_MACHINES).is_empty());
        },
    },
    Scenario {
        name: "reclaim",
        now: "2026-03-02T09:10:00Z",
        then: |server| {
            if server.get("/nodes", "", "node-a").is_some() {
                let wanted = json!({"5spot.finos.org/reclaim-requested": "true"});
                change_node(server, &json!({"metadata": {"annotations": wanted}}));
            }
        },
        lasts: Duration::from_secs(45),
        ends: |server| {
            is_gone(server);
            assert_eq!(server.object("a")["spec"]["schedule"]["enabled"], false);
            assert_eq!(status(server)["phase"], "Disabled");
        },
    },
    Scenario {
        name: "out and in again",
        now: "2026-03-02T17:58:00Z",
        then: |_| {},
        lasts: Duration::from_mins(4),
        ends: |server| {
            server.patch("a", "/spec/schedule/hoursOfDay", json!(["9-23"]));
        },
    },
];

/// A pod on the Node, if there is one.
fn occupy(server: &ApiServer) {
    if server.get("/nodes", "", "node-a").is_some() {
        server.set("/pods", pod("web", "shop"));
    }
}

/// Plays a story with a leader that dies as the faults say, and a successor. Whether it died.
async fn play(scenario: &Scenario, at: usize, crash: Crash) -> bool {
    let server = cluster();
    let taints = json!([{"key": "example.com/night", "value": "yes", "effect": "NoSchedule"}]);
    server.patch("a", "/spec/nodeTaints", taints);
    let mut first = Replica::synced(scenario.now, &server).await;
    server.fail(|faults| faults.crash = Some((at, crash)));
    let _first_term = first.begin_term();
    sleep(MOMENT).await;
    occupy(&server);
    (scenario.then)(&server);
    sleep(MOMENT).await;
    if scenario.name == "deletion" {
        occupy(&server);
        server.remove(SCHEDULED_MACHINES, "default", "a");
    }
    sleep(scenario.lasts).await;
    let has_crashed = server.has_crashed();
    first.work.shutdown().await;
    let now = first.wall.now().to_string();
    drop(first);

    server.set_faults(Faults::default());
    let mut second = Replica::synced(&now, &server).await;
    let _second_term = second.begin_term();
    if scenario.name == "reclaim" && server.object("a")["spec"]["schedule"]["enabled"] != false {
        // The machine was not there yet when its owner wanted it back.
        sleep(MOMENT).await;
        (scenario.then)(&server);
    }
    sleep(scenario.lasts).await;
    (scenario.ends)(&server);
    if scenario.name == "out and in again" {
        sleep(Duration::from_mins(1)).await;
        is_complete(&server);
    }
    // Settled: the successor has nothing left to do.
    assert_idle_for(Duration::from_mins(1), &server).await;
    has_crashed
}

#[rstest::rstest]
#[tokio::test(start_paused = true)]
async fn a_crash_at_any_write_is_repaired_by_the_successor(
    #[values(0, 1, 2, 3, 4, 5)] scenario: usize,
    #[values(Crash::Before, Crash::After)] crash: Crash,
) {
    let scenario = &SCENARIOS[scenario];
    let mut at = 1;
    while play(scenario, at, crash).await {
        at += 1;
        assert!(at < 60, "{} does not end", scenario.name);
    }
    println!(
        "{}: {} writes, a crash {crash:?} each",
        scenario.name,
        at - 1
    );
    assert!(at > 6, "{} has only {} writes", scenario.name, at - 1);
}

#[tokio::test(start_paused = true)]
async fn what_the_successor_has_not_seen_yet_is_not_left_behind_by_a_deletion() {
    let (server, mut first, _first_term) = led("2026-03-02T09:10:00Z", cluster()).await;
    first.work.shutdown().await;
    let now = first.wall.now().to_string();
    drop(first);

    server.fail(|faults| faults.lag = ALL.to_vec());
    server.delete_at(&now);
    server.remove(SCHEDULED_MACHINES, "default", "a");
    let mut second = Replica::synced(&now, &server).await;
    let _second_term = second.begin_term();
    sleep(Duration::from_secs(20)).await;
    assert!(life::is_gone(&server));
    server.set_faults(Faults::default());
    sleep(Duration::from_mins(1)).await;
    assert!(server.names(SCHEDULED_MACHINES).is_empty());
}

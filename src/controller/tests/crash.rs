//! The leader dies at every single write, and its successor repairs what it left.

use super::*;

/// Runs from `now` for `time` with a leader that dies once `writes` were accepted; a successor takes over a minute later.
/// Says whether the leader died.
async fn with_death_after(writes: usize, server: &ApiServer, now: &str, time: Duration) -> bool {
    let before = server.calls().len();
    server.set_faults(Faults {
        dies_after: Some(before + writes),
        ..Faults::default()
    });
    let mut first = Replica::synced(now, server).await;
    let control = first.begin_term();
    let start = Instant::now();
    while start.elapsed() < time && server.calls().len() < before + writes {
        sleep(Duration::from_secs(1)).await;
    }
    let died = server.calls().len() >= before + writes;
    control.end();
    drop(first);
    server.set_faults(Faults::default());
    // The wall clock has gone on; so has the successor's.
    let wall: Timestamp = now.parse().unwrap();
    let wall = wall + SignedDuration::try_from(start.elapsed()).unwrap();
    let mut second = Replica::synced(&wall.to_string(), server).await;
    let _control = second.begin_term();
    sleep(time.saturating_sub(start.elapsed()) + Duration::from_mins(20)).await;
    died
}

fn office(server: &ApiServer) {
    server.put(office_json("a"));
}

fn pod(server: &ApiServer) {
    server.put_other(
        "pods",
        json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": {"name": "p", "namespace": "default"},
            "spec": {"nodeName": "a", "containers": []},
            "status": {"phase": "Running"},
        }),
    );
}

fn count(server: &ApiServer, what: &str) -> usize {
    server
        .calls()
        .iter()
        .filter(|call| call.what == what)
        .count()
}

#[tokio::test(start_paused = true)]
async fn a_creation_is_finished_whichever_write_the_leader_dies_at() {
    let mut deaths = 0;
    for writes in 1.. {
        let server = ApiServer::with_provider();
        office(&server);
        let died = with_death_after(
            writes,
            &server,
            "2026-03-02T09:05:00Z",
            Duration::from_mins(5),
        )
        .await;
        let status = server.object("a")["status"].clone();
        assert_eq!(status["phase"], "Active", "after {writes}: {status}");
        assert_eq!(
            status["conditions"][0]["status"], "True",
            "after {writes}: {status}"
        );
        for resource in ["machines", "k0sworkerconfigs", "remotemachines"] {
            let made = count(&server, &format!("POST {resource}"));
            assert_eq!(made, 1, "{resource} after {writes}");
        }
        if !died {
            break;
        }
        deaths += 1;
    }
    // The finalizer, three objects and at least one status.
    assert!(deaths >= 5, "{deaths}");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_is_finished_whichever_write_the_leader_dies_at() {
    let mut deaths = 0;
    for writes in 1.. {
        let server = ApiServer::with_provider();
        office(&server);
        let mut replica = Replica::synced("2026-03-02T17:55:00Z", &server).await;
        let control = replica.begin_term();
        sleep(Duration::from_secs(30)).await;
        control.end();
        drop(replica);
        pod(&server);
        let died = with_death_after(
            writes,
            &server,
            "2026-03-02T17:55:30Z",
            Duration::from_mins(15),
        )
        .await;
        let status = server.object("a")["status"].clone();
        assert_eq!(status["phase"], "Inactive", "after {writes}: {status}");
        for resource in ["machines", "k0sworkerconfigs", "remotemachines"] {
            assert_eq!(
                server.other(resource, "a"),
                None,
                "{resource} after {writes}"
            );
        }
        assert_eq!(server.other("pods", "p"), None, "after {writes}");
        let calls = server.calls();
        let first = |what: &str| calls.iter().position(|call| call.what.starts_with(what));
        let (evicted, deleted) = (first("POST pods p/eviction"), first("DELETE machines a"));
        assert!(
            evicted.is_some() && evicted < deleted,
            "after {writes}: {calls:?}"
        );
        let grace = calls[evicted.unwrap()].at.duration_since(calls[0].at);
        assert!(grace >= Duration::from_mins(5), "after {writes}: {grace:?}");
        if !died {
            break;
        }
        deaths += 1;
    }
    // Status, cordon, status, eviction, status, annotation, deletion, status.
    assert!(deaths >= 8, "{deaths}");
}

#[tokio::test(start_paused = true)]
async fn a_deletion_is_finished_whichever_write_the_leader_dies_at() {
    let mut deaths = 0;
    for writes in 1.. {
        let server = ApiServer::with_provider();
        office(&server);
        let mut replica = Replica::synced("2026-03-02T09:05:00Z", &server).await;
        let control = replica.begin_term();
        sleep(Duration::from_secs(30)).await;
        control.end();
        drop(replica);
        pod(&server);
        server.ask_to_delete("scheduledmachines", "a");
        let died = with_death_after(
            writes,
            &server,
            "2026-03-02T09:06:00Z",
            Duration::from_mins(5),
        )
        .await;
        for resource in [
            "scheduledmachines",
            "machines",
            "k0sworkerconfigs",
            "remotemachines",
        ] {
            assert_eq!(
                server.other(resource, "a"),
                None,
                "{resource} after {writes}"
            );
        }
        assert_eq!(count(&server, "POST pods p/eviction"), 1, "after {writes}");
        if !died {
            break;
        }
        deaths += 1;
    }
    assert!(deaths >= 6, "{deaths}");
}

#[tokio::test(start_paused = true)]
async fn an_emergency_is_finished_whichever_write_the_leader_dies_at() {
    let mut deaths = 0;
    for writes in 1.. {
        let server = ApiServer::with_provider();
        office(&server);
        let mut replica = Replica::synced("2026-03-02T09:05:00Z", &server).await;
        let control = replica.begin_term();
        sleep(Duration::from_secs(30)).await;
        control.end();
        drop(replica);
        pod(&server);
        let mut node = server.other("nodes", "a").unwrap();
        node["metadata"]["annotations"] = json!({"5spot.finos.org/reclaim-requested": "true"});
        server.put_other("nodes", node);
        let died = with_death_after(
            writes,
            &server,
            "2026-03-02T09:06:00Z",
            Duration::from_mins(5),
        )
        .await;
        let object = server.object("a");
        assert_eq!(
            object["status"]["phase"], "Disabled",
            "after {writes}: {object}"
        );
        assert_eq!(
            object["spec"]["schedule"]["enabled"], false,
            "after {writes}"
        );
        assert_eq!(server.other("machines", "a"), None, "after {writes}");
        if !died {
            break;
        }
        deaths += 1;
    }
    assert!(deaths >= 7, "{deaths}");
}

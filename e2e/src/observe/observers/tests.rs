//! Pods as the API server describes them.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use serde_json::json;
use tower::service_fn;

use super::*;
use crate::observe::run_clock::RunClock;
use failover_judging::clock::Stamp;

fn seen(status: &serde_json::Value, deletion: Option<&str>) -> PodSeen {
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "a", "uid": "u", "deletionTimestamp": deletion},
        "spec": {"nodeName": "n", "containers": [{"name": "controller"}]},
        "status": status,
    }))
    .unwrap();
    pod_seen(Stamp::from_micros(7), &pod, "controller", false)
}

#[test]
fn a_ready_replica_has_a_node_and_a_container() {
    let status = json!({
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [
            {"name": "sidecar", "restartCount": 9, "ready": true, "image": "", "imageID": ""},
            {
                "name": "controller", "restartCount": 1, "ready": true, "image": "", "imageID": "",
                "containerID": "containerd://c", "state": {"running": {}},
            },
        ],
    });
    let pod = seen(&status, None);
    assert!(pod.ready && pod.running);
    assert_eq!(
        (
            pod.restarts,
            pod.container_id.as_deref(),
            pod.node.as_deref()
        ),
        (1, Some("containerd://c"), Some("n"))
    );
    assert_eq!(pod.presence, Presence::Staying);
}

#[test]
fn the_last_words_are_the_lines_of_each_life_of_the_container_itself() {
    let ended = |message: &str| json!({"terminated": {"exitCode": 137, "message": message}});
    let status = json!({"containerStatuses": [
        {"name": "sidecar", "restartCount": 1, "ready": true, "image": "", "imageID": "", "lastState": ended("forged")},
        {
            "name": "controller", "restartCount": 2, "ready": false, "image": "", "imageID": "",
            "state": ended("shim: killed: \nnonce-2\npanicked at src/main.rs"), "lastState": ended("\nnonce-1\n"),
        },
    ]});
    assert_eq!(
        seen(&status, None).last_words,
        [
            "shim: killed: ",
            "nonce-2",
            "panicked at src/main.rs",
            "nonce-1"
        ]
    );
}

#[test]
fn a_pod_with_a_deletion_timestamp_is_terminating() {
    assert_eq!(
        seen(&json!({}), Some("2026-01-15T10:00:00Z")).presence,
        Presence::Terminating
    );
}

#[test]
fn what_keeps_a_container_from_running_is_told_in_kubelets_words() {
    let status = json!({"containerStatuses": [{
        "name": "controller", "restartCount": 0, "ready": false, "image": "", "imageID": "",
        "state": {"waiting": {"reason": "ErrImageNeverPull", "message": "not present"}},
    }]});
    assert_eq!(
        seen(&status, None).waiting.as_deref(),
        Some("ErrImageNeverPull: not present")
    );
}

#[test]
fn a_pod_that_no_node_takes_has_the_schedulers_words() {
    let status = json!({"conditions": [{
        "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "1 Insufficient memory",
    }]});
    assert_eq!(
        seen(&status, None).waiting.as_deref(),
        Some("1 Insufficient memory")
    );
}

/// An API server whose watches say nothing, and whose list has one pod from the second time on.
fn deaf(lists: Arc<AtomicUsize>) -> Client {
    let service = service_fn(move |request: http::Request<kube::client::Body>| {
        let lists = Arc::clone(&lists);
        async move {
            let watches = request.uri().query().unwrap_or("").contains("watch=");
            if watches {
                return std::future::pending().await;
            }
            let pods = match lists.fetch_add(1, Ordering::Relaxed) {
                0 => json!([]),
                _ => json!([{"metadata": {"name": "late", "uid": "u", "resourceVersion": "9"}}]),
            };
            let list = json!({
                "apiVersion": "v1", "kind": "PodList", "metadata": {"resourceVersion": "9"}, "items": pods,
            });
            let body = kube::client::Body::from(list.to_string().into_bytes());
            Ok::<_, tower::BoxError>(http::Response::new(body))
        }
    });
    Client::new(service, "default")
}

#[tokio::test(start_paused = true)]
async fn a_witness_whose_watch_is_dead_looks_anew_when_it_is_doubted() {
    let observations = Arc::new(Observations::new(RunClock::start()));
    let pods: Api<Pod> = Api::namespaced(deaf(Arc::default()), "default");
    let following = follow::follow(
        "pods",
        pods,
        ListParams::default(),
        Arc::clone(&observations),
        |seen, at, pod, deleted| record_pod(seen, pod_seen(at, pod, "controller", deleted)),
    );
    let doubting = async {
        let late = |seen: &crate::observe::observations::Seen| {
            seen.pods.first().map(|pod| pod.name.clone())
        };
        assert_eq!(
            observations.wait_for(Duration::from_mins(5), late).await,
            None
        );
        observations.relist();
        observations.wait_for(Duration::from_secs(1), late).await
    };
    let found = tokio::select! {
        error = following => panic!("{error}"),
        found = doubting => found,
    };
    assert_eq!(found.as_deref(), Some("late"));
}

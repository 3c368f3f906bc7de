//! Pods as the API server describes them.

use serde_json::json;

use super::*;
use crate::clock::Stamp;

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
fn the_last_words_are_the_first_line_of_each_life_of_the_container_itself() {
    let ended = |message: &str| json!({"terminated": {"exitCode": 137, "message": message}});
    let status = json!({"containerStatuses": [
        {"name": "sidecar", "restartCount": 1, "ready": true, "image": "", "imageID": "", "lastState": ended("forged")},
        {
            "name": "controller", "restartCount": 2, "ready": false, "image": "", "imageID": "",
            "state": ended("nonce-2\npanicked at src/main.rs"), "lastState": ended("nonce-1"),
        },
    ]});
    assert_eq!(seen(&status, None).last_words, ["nonce-2", "nonce-1"]);
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

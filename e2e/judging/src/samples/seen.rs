//! Requests and pods.

use std::sync::atomic::{AtomicU64, Ordering};

use super::history::stamp;
use crate::{
    clock::Stamp,
    observed::{ApiCall, OwnCall, PodSeen, Presence, Wall},
};

/// Counts the events of audit logs, each of which has an id of its own.
static EVENTS: AtomicU64 = AtomicU64::new(1);

/// A request of the harness that was accepted, sent at a moment in milliseconds.
pub fn own(purpose: &str, sent_ms: i64, took_ms: i64) -> OwnCall {
    OwnCall {
        audit_id: None,
        purpose: purpose.to_owned(),
        sent: stamp(sent_ms),
        answered: stamp(sent_ms + took_ms),
        code: 200,
        generation: None,
        resource_version: None,
    }
}

/// An accepted call by a pod of the operator, for hand-built histories.
pub fn call(pod: &str, verb: &str, resource: &str) -> ApiCall {
    ApiCall {
        audit_id: format!("event-{}", EVENTS.fetch_add(1, Ordering::Relaxed)),
        user: "system:serviceaccount:5spot-system:5spot-controller".to_owned(),
        pod: Some(pod.to_owned()),
        verb: verb.to_owned(),
        group: if resource == "leases" {
            "coordination.k8s.io"
        } else {
            "5spot.finos.org"
        }
        .to_owned(),
        resource: resource.to_owned(),
        subresource: String::new(),
        namespace: "5spot-system".to_owned(),
        name: "failover-canary".to_owned(),
        other_lease: false,
        code: 200,
        dry_run: false,
        received: Wall(0),
        completed: Wall(0),
        resource_version: None,
        generation: None,
        observed_generation: None,
        lease: None,
    }
}

/// A replica that is Ready and stays.
pub fn pod(name: &str) -> PodSeen {
    PodSeen {
        at: Stamp::from_micros(0),
        name: name.to_owned(),
        uid: name.to_owned(),
        resource_version: 1,
        node: Some("node".to_owned()),
        container_id: Some(format!("containerd://{name}")),
        ready: true,
        presence: Presence::Staying,
        restarts: 0,
        running: true,
        last_words: Vec::new(),
        waiting: None,
    }
}

//! Whoever leads next finishes what the leader before it began, in whichever phase that one was killed.

use std::time::Duration;

use kube::ResourceExt;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    provider::{bootstraps, remote_machines},
    rig::{FIRST_WINDOW, NAME, Rig, on_rig, until},
    seen::{is, is_gone, is_ready, reason, shut},
    work::{STAYS, Work},
};

#[test]
fn a_leader_killed_in_any_phase_is_followed_by_one_that_goes_on_from_there() {
    on_rig(async |rig| {
        let before = rig.requests().await.len();
        // While the machine is created.
        rig.apply(&[FIRST_WINDOW]).await.unwrap();
        while rig.get(&bootstraps(), NAME).await.is_none() {
            sleep(Duration::from_millis(2)).await;
        }
        rig.kill_leader().await;
        rig.until_status(NAME, "it is ready", is_ready).await;
        let machine = rig.machine().await.unwrap().uid();
        let work = Work::begin(rig).await;
        let pods = work.on_host().await;

        // While the drain waits for a budget.
        rig.patch(NAME, shut()).await;
        rig.until_status(NAME, "the drain has begun", |status| {
            reason(status, "Drained") == "Draining"
                && status["shutdown"]["drainingSince"].is_string()
        })
        .await;
        let shutdown = rig.status(NAME).await["shutdown"].clone();
        rig.kill_leader().await;
        sleep(STAYS).await;
        assert_eq!(work.on_host().await, pods);
        assert_eq!(rig.machine().await.unwrap().uid(), machine);
        assert_eq!(rig.status(NAME).await["shutdown"], shutdown);

        // While its objects are deleted: the host takes its time.
        rig.hold(&remote_machines(), NAME, true).await;
        work.allow().await;
        until("the host is asked to go", async || {
            let host = rig.get(&remote_machines(), NAME).await.unwrap();
            host.metadata.deletion_timestamp.is_some()
        })
        .await;
        rig.kill_leader().await;
        sleep(STAYS).await;
        assert_eq!(rig.status(NAME).await["phase"], "ShuttingDown");
        rig.hold(&remote_machines(), NAME, false).await;
        rig.until_status(NAME, "it is gone", |status| {
            status["phase"] == "Inactive" && is(status, "Ready", true)
        })
        .await;
        assert!(is_gone(rig, NAME).await);
        assert_eq!(reason(&rig.status(NAME).await, "Drained"), "NodeDrained");
        let created = created(rig, before).await;
        assert_eq!(
            created,
            ["k0sworkerconfigs", "remotemachines", "machines"],
            "each once, and in this order"
        );
        work.end().await;
        rig.remove(NAME).await;
    });
}

/// The resources of which the operator created an object, in order, after it had sent this many requests.
async fn created(rig: &Rig, before: usize) -> Vec<String> {
    let requests = rig.requests().await;
    requests[before..]
        .iter()
        .filter(|request| request["verb"] == "create" && request["responseStatus"]["code"] == 201)
        .filter(|request| {
            let object = &request["objectRef"];
            object["namespace"] == "default" && object["subresource"] == Value::Null
        })
        .map(|request| {
            request["objectRef"]["resource"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect()
}

#[test]
fn what_belongs_to_somebody_else_is_left_alone_and_the_condition_says_so() {
    on_rig(async |rig| {
        let theirs = json!({
            "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1", "kind": "RemoteMachine",
            "metadata": {"name": NAME}, "spec": {"address": "192.0.2.99"},
        });
        let before = rig.create(&remote_machines(), theirs).await;
        rig.apply(&[FIRST_WINDOW]).await.unwrap();
        rig.until_status(NAME, "the name is said to be taken", |status| {
            reason(status, "Ready") == "NameTaken" && reason(status, "MachineReady") == "NameTaken"
        })
        .await;
        assert_eq!(rig.status(NAME).await["phase"], "Error");
        assert!(rig.machine().await.is_none());
        rig.remove(NAME).await;
        let after = rig.get(&remote_machines(), NAME).await.unwrap();
        assert_eq!(after.resource_version(), before.resource_version());
        rig.delete(&remote_machines(), NAME).await;
        assert!(is_gone(rig, NAME).await);
    });
}

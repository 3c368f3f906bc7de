//! A machine comes with its window and goes with it, and only when its pods have gone.

use kube::ResourceExt;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::{
    rig::{FIRST_WINDOW, NAME, on_rig, until},
    seen::{is, is_gone, is_ready, reason, shut},
    work::{STAYS, Work},
};

#[test]
fn a_machine_comes_with_its_window_and_goes_when_its_pods_have_gone() {
    on_rig(async |rig| {
        let began = Instant::now();
        rig.apply(&[FIRST_WINDOW]).await.unwrap();
        rig.until_status(NAME, "it is ready", is_ready).await;
        eprintln!("ready after {:.1} s", began.elapsed().as_secs_f64());
        let status = rig.status(NAME).await;
        assert_eq!(status["phase"], "Active", "{status:#}");
        assert_eq!(status["nodeRef"]["name"], rig.host, "{status:#}");
        let node = rig.node().await.unwrap();
        let provider_id = node.spec.unwrap().provider_id;
        assert_eq!(status["providerID"].as_str(), provider_id.as_deref());
        for part in ["bootstrapRef", "infrastructureRef", "machineRef"] {
            assert_eq!(status[part]["name"], NAME, "{status:#}");
        }
        let table = rig.kubectl(&["get", "sm", NAME, "-o", "wide"]).await;
        let [titles, row] = table.lines().collect::<Vec<_>>()[..] else {
            panic!("{table}")
        };
        for column in [
            "PHASE",
            "INSCHEDULE",
            "NEXT ACTIVATION",
            "KILLSWITCH",
            "MESSAGE",
        ] {
            assert!(titles.contains(column), "{table}");
        }
        assert!(
            row.contains("Active") && row.contains("the window is open"),
            "{table}"
        );
        let told = rig.kubectl(&["describe", "sm", NAME]).await;
        for event in ["WaitingForNode", "NodeReady"] {
            assert!(told.contains(event), "{told}");
        }

        let work = Work::begin(rig).await;
        let pods = work.on_host().await;
        assert_eq!(pods.len(), 1);
        let machine = rig.machine().await.unwrap().uid();
        rig.patch(NAME, shut()).await;
        let held = |status: &serde_json::Value| {
            let message = status["message"].as_str().unwrap_or_default();
            reason(status, "Drained") == "Draining"
                && message.contains("1 held by a disruption budget")
        };
        rig.until_status(NAME, "the budget holds the pod", held)
            .await;
        assert!(rig.is_cordoned().await);

        // The window opens again: what was begun is taken back.
        rig.patch(NAME, json!({"schedule": {"hoursOfDay": ["0-23"]}}))
            .await;
        rig.until_status(NAME, "it is ready again", |status| {
            is_ready(status) && reason(status, "Drained") == "InService"
        })
        .await;
        assert!(!rig.is_cordoned().await);
        assert_eq!(rig.machine().await.unwrap().uid(), machine);
        assert_eq!(work.on_host().await, pods);

        // And shuts for good.
        let began = Instant::now();
        rig.patch(NAME, shut()).await;
        rig.until_status(NAME, "the budget holds the pod", held)
            .await;
        eprintln!("held after {:.1} s", began.elapsed().as_secs_f64());
        sleep(STAYS).await;
        assert_eq!(work.on_host().await, pods);
        assert!(rig.machine().await.is_some());
        let began = Instant::now();
        work.allow().await;
        until("the pod is asked to go", async || {
            work.on_host().await.is_empty()
        })
        .await;
        eprintln!("evicted after {:.1} s", began.elapsed().as_secs_f64());
        rig.until_status(NAME, "it is gone", |status| {
            status["phase"] == "Inactive" && is(status, "Ready", true)
        })
        .await;
        eprintln!("gone after {:.1} s", began.elapsed().as_secs_f64());
        assert!(is_gone(rig, NAME).await);
        let status = rig.status(NAME).await;
        assert_eq!(reason(&status, "Drained"), "NodeDrained", "{status:#}");
        assert_eq!(status["machineRef"], json!(null), "{status:#}");
        let told = rig.kubectl(&["describe", "sm", NAME]).await;
        assert!(told.contains("NodeDrained"), "{told}");
        work.end().await;
        rig.remove(NAME).await;
    });
}

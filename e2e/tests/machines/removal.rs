//! A machine goes when it is not wanted any more, whatever its window says: by the kill switch, with its schedule off, or
//! with the `ScheduledMachine` itself.

use k8s_openapi::api::core::v1::Taint;
use kube::ResourceExt;
use serde_json::json;
use tokio::time::Instant;

use crate::{
    rig::{DEPLOY, FIRST_WINDOW, NAME, on_rig, until},
    seen::{is, is_gone, is_ready, reason},
    work::Work,
};

#[test]
fn the_kill_switch_takes_a_machine_at_once_and_gives_it_back() {
    on_rig(async |rig| {
        rig.apply(&[FIRST_WINDOW]).await.unwrap();
        rig.until_status(NAME, "it is ready", is_ready).await;
        // Not even a budget that nothing satisfies keeps it.
        let work = Work::begin(rig).await;
        let began = Instant::now();
        rig.apply(&[&format!("{DEPLOY}/samples/kill-switch.yaml")])
            .await
            .unwrap();
        until("nothing is left", async || is_gone(rig, NAME).await).await;
        eprintln!("killed after {:.1} s", began.elapsed().as_secs_f64());
        rig.until_status(NAME, "it is terminated", |status| {
            status["phase"] == "Terminated" && reason(status, "Drained") == "DrainSkipped"
        })
        .await;
        work.end().await;

        rig.patch(NAME, json!({"killSwitch": false})).await;
        rig.until_status(NAME, "it is ready again", is_ready).await;

        rig.patch(NAME, json!({"schedule": {"enabled": false}}))
            .await;
        rig.until_status(NAME, "it is disabled", |status| {
            status["phase"] == "Disabled"
        })
        .await;
        assert!(is_gone(rig, NAME).await);
        let status = rig.status(NAME).await;
        assert_eq!(reason(&status, "Ready"), "ScheduleDisabled", "{status:#}");
        rig.remove(NAME).await;
    });
}

#[test]
fn the_owner_of_a_machine_takes_it_back_and_keeps_it() {
    on_rig(async |rig| {
        rig.apply(&[FIRST_WINDOW]).await.unwrap();
        let taint = json!({"key": "example.com/nights-only", "effect": "NoSchedule"});
        rig.patch(NAME, json!({"nodeTaints": [taint]})).await;
        rig.until_status(NAME, "it is ready, and tainted", |status| {
            is_ready(status) && is(status, "NodeTainted", true)
        })
        .await;
        let taints = rig.node().await.unwrap().spec.unwrap().taints;
        let is_there = |taint: &Taint| taint.key == "example.com/nights-only";
        assert!(taints.is_some_and(|taints| taints.iter().any(is_there)));

        rig.kubectl(&[
            "annotate",
            "node",
            &rig.host,
            "5spot.finos.org/reclaim-requested=true",
        ])
        .await;
        rig.until_status(NAME, "it is disabled", |status| {
            status["phase"] == "Disabled" && is(status, "Ready", true)
        })
        .await;
        assert!(is_gone(rig, NAME).await);
        let object = rig.scheduled().get(NAME).await.unwrap();
        assert!(!object.spec.schedule.enabled);
        let told = rig.kubectl(&["describe", "sm", NAME]).await;
        assert!(told.contains("EmergencyReclaim"), "{told}");
        rig.remove(NAME).await;
    });
}

#[test]
fn a_machine_that_somebody_else_deletes_comes_again() {
    on_rig(async |rig| {
        rig.apply(&[FIRST_WINDOW]).await.unwrap();
        rig.until_status(NAME, "it is ready", is_ready).await;
        let first = rig.machine().await.unwrap().uid();
        rig.kubectl(&["delete", "machine", NAME, "--wait=false"])
            .await;
        until("there is another Machine", async || {
            let machine = rig.machine().await;
            machine.is_some_and(|machine| machine.uid() != first)
        })
        .await;
        rig.until_status(NAME, "it is ready again", is_ready).await;
        rig.remove(NAME).await;
        assert!(is_gone(rig, NAME).await);
    });
}

#[test]
fn a_deleted_object_takes_its_machine_along_and_goes_last() {
    on_rig(async |rig| {
        rig.apply(&[FIRST_WINDOW]).await.unwrap();
        rig.until_status(NAME, "it is ready", is_ready).await;
        let began = Instant::now();
        rig.remove(NAME).await;
        eprintln!("deleted after {:.1} s", began.elapsed().as_secs_f64());
        assert!(is_gone(rig, NAME).await);
    });
}

#[test]
fn the_other_samples_are_accepted_as_they_are_and_acted_on() {
    on_rig(async |rig| {
        let samples = [
            ("samples/workload-cluster.yaml", "night-shift"),
            ("sample.yaml", "workstation-42"),
        ];
        for (file, name) in samples {
            rig.apply(&[&format!("{DEPLOY}/{file}")]).await.unwrap();
            // Whether its window is open depends on the time of the test.
            rig.until_status(name, "it is acted on", |status| {
                let phase = status["phase"].as_str().unwrap_or_default();
                let is_planned =
                    status["nextActivation"].is_string() && status["nextDeactivation"].is_string();
                ["Inactive", "Pending", "Active"].contains(&phase) && is_planned
            })
            .await;
            rig.remove(name).await;
            assert!(is_gone(rig, name).await);
        }
    });
}

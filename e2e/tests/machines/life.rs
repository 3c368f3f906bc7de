//! A machine comes with its window and goes with it, and only when its pods have gone.

use failover_judging::samples::says;
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    provider::machines,
    rig::{DEPLOY, FIRST_WINDOW, NAME, NAMESPACE, on_rig, until},
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
        says(
            &titles,
            &[
                "PHASE",
                "INSCHEDULE",
                "NEXT ACTIVATION",
                "KILLSWITCH",
                "MESSAGE",
            ],
        );
        says(&row, &["Active", "the window is open"]);
        let told = rig.kubectl(&["describe", "sm", NAME]).await;
        says(&told, &["WaitingForNode", "NodeReady"]);

        let work = Work::begin(rig).await;
        let pods = work.on_host().await;
        assert_eq!(pods.len(), 1);
        let machine = rig.machine().await.unwrap().uid();
        rig.patch(NAME, shut()).await;
        let held = |status: &Value| {
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
        says(&told, &["NodeDrained"]);
        work.end().await;
        rig.remove(NAME).await;
    });
}

#[test]
fn a_machine_joins_by_the_bootstrap_data_of_kubeadm() {
    on_rig(async |rig| {
        let name = "kubeadm";
        rig.apply(&[&format!("{DEPLOY}/samples/kubeadm.yaml")])
            .await
            .unwrap();
        rig.until_status(name, "it is ready", is_ready).await;
        let machine = rig.get(&machines(), name).await.unwrap();
        assert_eq!(machine.data["spec"]["version"], "v1.34.4");
        let secret = machine.data["spec"]["bootstrap"]["dataSecretName"].as_str();
        let secrets: Api<Secret> = Api::namespaced(rig.client.clone(), NAMESPACE);
        let data = secrets.get(secret.unwrap()).await.unwrap().data.unwrap();
        let data = String::from_utf8_lossy(&data["value"].0).into_owned();
        says(&data, &["kubeadm join", "example.com/pool=workstations"]);
        rig.remove(name).await;
        assert!(is_gone(rig, name).await);
    });
}

#[test]
fn what_breaks_a_rule_of_the_schema_is_refused_with_the_value_and_the_rule() {
    on_rig(async |rig| {
        rig.apply(&[FIRST_WINDOW]).await.unwrap();
        let cases = [
            (
                json!({"schedule": {"hoursOfDay": ["25"]}}),
                "\"25\" must be hours from 0 to 23",
            ),
            (
                json!({"schedule": {"daysOfWeek": ["monday"]}}),
                "\"monday\" must be days",
            ),
            (
                json!({"nodeDrainTimeout": "25h"}),
                "\"25h\" must be a whole number",
            ),
            (
                json!({"machineTemplate": {"version": "1.34"}}),
                "\"1.34\" must be a version of Kubernetes",
            ),
            (
                json!({"bootstrapSpec": {"apiVersion": "apps/v1"}}),
                "\"apps/v1\" must be of the API group",
            ),
            (
                json!({"machineTemplate": {"labels": {"5spot.finos.org/x": "x"}}}),
                "keys must not begin with",
            ),
        ];
        for (spec, rule) in cases {
            let change = json!({"spec": spec});
            let refused = rig
                .scheduled()
                .patch(NAME, &PatchParams::default(), &Patch::Merge(&change))
                .await
                .unwrap_err()
                .to_string();
            assert!(refused.contains(rule), "{change}: {refused}");
        }
        rig.remove(NAME).await;
        assert!(is_gone(rig, NAME).await);
    });
}

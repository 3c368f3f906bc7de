//! A setting of the Subscription reaches the process.

use kube::api::DynamicObject;
use serde_json::json;

use crate::{
    images::Images,
    install::{SUBSCRIPTION, until_succeeded},
    rig::{DEPLOYMENT, Rig},
    times::Times,
};

const VARIABLE: &str = "LEASE_DURATION_SECONDS";
const SECONDS: i32 = 20;

/// Sets another lease duration, and waits until the leader promises it in its Lease.
pub(crate) async fn change(rig: &Rig<'_>, images: &Images, times: &mut Times) {
    let before = duration(rig).await;
    assert_ne!(before, Some(SECONDS));
    let env = json!([{"name": VARIABLE, "value": SECONDS.to_string()}]);
    let change = json!({"spec": {"config": {"env": env}}});
    rig.patch(&rig.olm("Subscription"), SUBSCRIPTION, change)
        .await;
    rig.until("waiting for the setting to reach the Lease", async || {
        (duration(rig).await == Some(SECONDS)).then_some(())
    })
    .await;
    rig.until_rolled_out(&rig.deployments(), DEPLOYMENT).await;
    until_succeeded(rig, &images.this).await;
    let set = variable(rig).await;
    assert_eq!(set, [SECONDS.to_string()], "set once");
    times.took("setting changed and rolled out");
}

async fn duration(rig: &Rig<'_>) -> Option<i32> {
    rig.lease().await?.spec?.lease_duration_seconds
}

async fn variable(rig: &Rig<'_>) -> Vec<String> {
    let pod = rig.deployment().await.spec.unwrap().template.spec.unwrap();
    let env = pod.containers[0].env.clone().unwrap_or_default();
    let set = env.into_iter().filter(|variable| variable.name == VARIABLE);
    set.filter_map(|variable| variable.value).collect()
}

pub(crate) fn phase(csv: &DynamicObject) -> String {
    csv.data["status"]["phase"]
        .as_str()
        .unwrap_or("none")
        .to_owned()
}

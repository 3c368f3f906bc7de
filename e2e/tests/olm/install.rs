//! The installation, as the documents say it is done: the release before this one first, and in the end this one.

use five_spot_e2e::deploy::{Applied, Manifests, apply};
use kube::{
    ResourceExt,
    api::{DynamicObject, ListParams},
};
use serde_json::{Value, json};

use crate::{
    images::Images,
    lifecycle_manager::manifests,
    rig::{DEPLOYMENT, NAMESPACE, REPLICAS, Rig},
    times::Times,
};

const README: &str = include_str!("../../../bundle/README.md");

pub(crate) const SUBSCRIPTION: &str = "5-spot";

/// What stands for the namespace and for the catalog's digest in the documents.
const DOCUMENTED_NAMESPACE: &str = "5spot-system";
const DOCUMENTED_CATALOG: &str = "ghcr.io/finos/5spot-catalog@sha256:<digest>";

/// The documents, with the namespace of this test.
pub(crate) fn readme() -> String {
    README.replace(DOCUMENTED_NAMESPACE, NAMESPACE)
}

/// The fenced block of the documents that has `mark` in it.
pub(crate) fn documented(language: &str, mark: &str) -> String {
    let readme = readme();
    let fence = format!("```{language}\n");
    let blocks = readme
        .split(fence.as_str())
        .skip(1)
        .filter_map(|rest| rest.split("```").next());
    let mut found = blocks.filter(|block| block.contains(mark));
    found
        .next()
        .unwrap_or_else(|| panic!("README.md has no block with {mark}"))
        .to_owned()
}

/// Installs the release before this one, and looks at what that gives.
pub(crate) async fn install(rig: &Rig<'_>, images: &Images, times: &mut Times) {
    rig.step("subscribing");
    let mut objects = documented_objects(images);
    for object in &mut objects.objects {
        if object
            .types
            .as_ref()
            .is_some_and(|types| types.kind == "Subscription")
        {
            // The upgrade is to come when it is asked for.
            object.data["spec"]["installPlanApproval"] = json!("Manual");
            object.data["spec"]["channel"] = json!("candidate");
            object.data["spec"]["startingCSV"] = json!(images.previous);
        }
    }
    apply(&rig.client, &objects, NAMESPACE, &mut Applied::default())
        .await
        .unwrap();
    let plan = plan_for(rig, &images.previous).await;
    times.took("catalog read, plan made");
    rig.patch(
        &rig.olm("InstallPlan"),
        &plan,
        json!({"spec": {"approved": true}}),
    )
    .await;
    until_succeeded(rig, &images.previous).await;
    times.took("install: approved to Succeeded");
    rig.until_rolled_out(&rig.deployments(), DEPLOYMENT).await;
    times.took("install: both replicas Ready");
    is_available(rig).await;
}

/// Installs this version by the objects of the documents as they are, but for the namespace and the catalog's digest.
pub(crate) async fn install_as_documented(rig: &Rig<'_>, images: &Images, times: &mut Times) {
    rig.step("installing by the documents alone");
    let objects = documented_objects(images);
    apply(&rig.client, &objects, NAMESPACE, &mut Applied::default())
        .await
        .unwrap();
    until_succeeded(rig, &images.this).await;
    rig.until_rolled_out(&rig.deployments(), DEPLOYMENT).await;
    is_available(rig).await;
    let subscription = rig.olm("Subscription").get(SUBSCRIPTION).await.unwrap();
    assert_eq!(subscription.data["spec"]["channel"], "stable");
    times.took("this version installed by the documents alone");
}

fn documented_objects(images: &Images) -> Manifests {
    let text = documented("yaml", "kind: CatalogSource");
    assert!(text.contains(DOCUMENTED_CATALOG), "{text}");
    manifests(&text.replace(DOCUMENTED_CATALOG, &images.catalog))
}

/// The plan that waits for approval, to install this version.
pub(crate) async fn plan_for(rig: &Rig<'_>, csv: &str) -> String {
    rig.until(&format!("waiting for the plan of {csv}"), async || {
        let plans = rig
            .olm("InstallPlan")
            .list(&ListParams::default())
            .await
            .ok()?;
        let installs = |plan: &&DynamicObject| {
            let names = plan.data["spec"]["clusterServiceVersionNames"].as_array();
            let waits = plan.data["spec"]["approved"] == json!(false);
            waits && names.is_some_and(|names| names.contains(&json!(csv)))
        };
        plans.iter().find(installs).map(ResourceExt::name_any)
    })
    .await
}

pub(crate) async fn until_succeeded(rig: &Rig<'_>, csv: &str) {
    let versions = rig.olm("ClusterServiceVersion");
    rig.until(&format!("waiting for {csv} to be Succeeded"), async || {
        let found = versions.get_opt(csv).await.ok()??;
        (found.data["status"]["phase"] == "Succeeded").then_some(())
    })
    .await;
}

/// What makes it highly available: two replicas, one of them the leader, and a budget that OLM owns.
pub(crate) async fn is_available(rig: &Rig<'_>) {
    assert_eq!(
        rig.deployment().await.spec.unwrap().replicas,
        Some(REPLICAS)
    );
    let lease = rig
        .until("waiting for a leader", async || {
            rig.lease()
                .await?
                .spec?
                .holder_identity
                .filter(|holder| !holder.is_empty())
        })
        .await;
    assert!(lease.starts_with(DEPLOYMENT), "{lease}");
    let budgets = rig.budgets().await;
    let [budget] = budgets.as_slice() else {
        panic!("one budget, not {budgets:?}")
    };
    let owners: Vec<Value> = budget
        .owner_references()
        .iter()
        .map(|owner| json!(owner.kind))
        .collect();
    assert_eq!(owners, ["ClusterServiceVersion"], "{budget:?}");
    rig.until("waiting for the budget to allow a disruption", async || {
        let status = rig.budgets().await.pop()?.status?;
        (status.disruptions_allowed == 1 && status.expected_pods == REPLICAS).then_some(())
    })
    .await;
}

//! The operator needs neither what OLM adds to its pods nor the definitions of Cluster API.

use k8s_openapi::api::core::v1::{Container, Pod};
use kube::{
    Api,
    api::{DeleteParams, ObjectMeta, PostParams},
};

use crate::rig::{NAMESPACE, Rig};

/// What OLM adds: it names the version.
pub(crate) const VARIABLE: &str = "OPERATOR_CONDITION_NAME";

const NAME: &str = "without-olm";

/// Starts a replica without it, on a cluster without Cluster API.
pub(crate) async fn starts_without_olm(rig: &Rig<'_>) {
    let groups = rig.client.list_api_groups().await.unwrap();
    let of_cluster_api = |name: &str| name.ends_with("cluster.x-k8s.io");
    assert!(
        !groups
            .groups
            .iter()
            .any(|group| of_cluster_api(&group.name)),
        "{groups:?}"
    );

    let mut spec = rig.deployment().await.spec.unwrap().template.spec.unwrap();
    let variables = |container: &Container| container.env.clone().unwrap_or_default();
    let before: usize = spec
        .containers
        .iter()
        .map(|container| variables(container).len())
        .sum();
    for container in &mut spec.containers {
        let env = variables(container)
            .into_iter()
            .filter(|variable| variable.name != VARIABLE);
        container.env = Some(env.collect());
    }
    let after: usize = spec
        .containers
        .iter()
        .map(|container| variables(container).len())
        .sum();
    assert_eq!(after, before - 1, "OLM adds it");
    // Without labels it belongs neither to the Deployment nor to the budget.
    let pod = Pod {
        metadata: ObjectMeta {
            name: Some(NAME.to_owned()),
            ..ObjectMeta::default()
        },
        spec: Some(spec),
        ..Pod::default()
    };
    let pods: Api<Pod> = Api::namespaced(rig.client.clone(), NAMESPACE);
    pods.create(&PostParams::default(), &pod).await.unwrap();
    rig.until("waiting for a replica without OLM's variable", async || {
        let conditions = pods.get(NAME).await.ok()?.status?.conditions?;
        let ready = |kind: &str, status: &str| kind == "Ready" && status == "True";
        conditions
            .iter()
            .any(|one| ready(&one.type_, &one.status))
            .then_some(())
    })
    .await;
    let restarts = pods
        .get(NAME)
        .await
        .unwrap()
        .status
        .unwrap()
        .container_statuses
        .unwrap()[0]
        .restart_count;
    assert_eq!(restarts, 0);
    pods.delete(NAME, &DeleteParams::default()).await.unwrap();
    rig.until("waiting for it to go", async || {
        pods.get_opt(NAME).await.ok()?.is_none().then_some(())
    })
    .await;
}

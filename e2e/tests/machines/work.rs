//! What runs on the Node of a machine: a pod behind a disruption budget.

use std::time::Duration;

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod, policy::v1::PodDisruptionBudget};
use kube::{
    Api,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
};
use serde_json::json;

use crate::rig::{CLUSTER_API_IMAGE, NAMESPACE, Rig, until};

const NAME: &str = "work";

/// Work that only the host may do, and that its budget allows nobody to interrupt.
pub(crate) struct Work<'a> {
    rig: &'a Rig,
    deployments: Api<Deployment>,
    budgets: Api<PodDisruptionBudget>,
    pods: Api<Pod>,
}

impl<'a> Work<'a> {
    /// Begins it, and waits until it runs and its budget is counted.
    pub(crate) async fn begin(rig: &'a Rig) -> Self {
        let work = Self::of(rig);
        let labels = json!({"app": NAME});
        let deployment = json!({
            "metadata": {"name": NAME},
            "spec": {
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {
                    "metadata": {"labels": labels},
                    "spec": {
                        "nodeSelector": {"kubernetes.io/hostname": rig.host},
                        "terminationGracePeriodSeconds": 5,
                        "containers": [{
                            "name": "work", "image": CLUSTER_API_IMAGE, "imagePullPolicy": "Never",
                            "command": ["/workload"],
                        }],
                    },
                },
            },
        });
        let budget = json!({
            "metadata": {"name": NAME},
            "spec": {"minAvailable": 1, "selector": {"matchLabels": labels}},
        });
        let post = PostParams::default();
        let deployment = serde_json::from_value(deployment).unwrap();
        work.deployments.create(&post, &deployment).await.unwrap();
        let budget = serde_json::from_value(budget).unwrap();
        work.budgets.create(&post, &budget).await.unwrap();
        until("the budget counts a pod that is healthy", async || {
            let budget = work.budgets.get(NAME).await.unwrap();
            budget
                .status
                .is_some_and(|status| status.current_healthy == 1 && status.expected_pods == 1)
        })
        .await;
        work
    }

    /// The UIDs of its pods on the host that are not on their way out.
    pub(crate) async fn on_host(&self) -> Vec<String> {
        let on_host = ListParams::default()
            .labels(&format!("app={NAME}"))
            .fields(&format!("spec.nodeName={}", self.rig.host));
        let pods = self.pods.list(&on_host).await.unwrap();
        pods.into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none())
            .filter_map(|pod| pod.metadata.uid)
            .collect()
    }

    pub(crate) async fn allow(&self) {
        let relaxed = json!({"spec": {"minAvailable": 0}});
        let patch = Patch::Merge(&relaxed);
        self.budgets
            .patch(NAME, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// Ends it, and waits until it is gone.
    pub(crate) async fn end(self) {
        clear(self.rig).await;
    }

    fn of(rig: &'a Rig) -> Self {
        Self {
            rig,
            deployments: Api::namespaced(rig.client.clone(), NAMESPACE),
            budgets: Api::namespaced(rig.client.clone(), NAMESPACE),
            pods: Api::namespaced(rig.client.clone(), NAMESPACE),
        }
    }
}

/// Ends whatever work there is, and waits until it is gone.
pub(crate) async fn clear(rig: &Rig) {
    let work = Work::of(rig);
    let delete = DeleteParams::background();
    // There may be none.
    let _ = work.budgets.delete(NAME, &delete).await;
    let _ = work.deployments.delete(NAME, &delete).await;
    until("the work is gone", async || {
        let left = ListParams::default().labels(&format!("app={NAME}"));
        work.pods.list(&left).await.unwrap().items.is_empty()
    })
    .await;
}

/// How long a pod that may not go is watched to stay.
pub(crate) const STAYS: Duration = Duration::from_secs(5);

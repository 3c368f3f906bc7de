//! Asks the pods of a Node to leave, by the Eviction API, which respects `PodDisruptionBudget`s.
//!
//! One call asks every pod once and reports what is left; whoever drains calls again until nothing is. So a drain has
//! no state of its own, and a successor goes on where its predecessor died.

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, PostParams},
    core::Status,
};
use serde_json::json;

/// What is left on a Node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DrainReport {
    /// Pods that are asked to leave and still there.
    pub(crate) leaving: usize,
    /// Pods that a PodDisruptionBudget holds back.
    pub(crate) held_back: usize,
    /// One of those, as an example.
    pub(crate) example: Option<String>,
    /// The first thing that went wrong.
    pub(crate) failure: Option<String>,
}

/// What the API server said to an eviction.
enum Answer {
    Leaving,
    Gone,
    HeldBack,
    Failed(kube::Error),
}

/// Marks a pod that kubelet reads from a file: it can't be evicted.
const MIRROR: &str = "kubernetes.io/config.mirror";

impl DrainReport {
    /// Whether nothing is left to wait for.
    pub(crate) fn is_done(&self) -> bool {
        self.leaving == 0 && self.held_back == 0 && self.failure.is_none()
    }
}

/// Asks every pod of `node` that has to leave, and has not been asked yet.
pub(crate) async fn drain(client: &Client, node: &str) -> Result<DrainReport, kube::Error> {
    let pods: Api<Pod> = Api::all(client.clone());
    let on_node = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let mut report = DrainReport::default();
    for pod in pods.list(&on_node).await?.items {
        if !has_to_leave(&pod) {
            continue;
        }
        let answer = if pod.metadata.deletion_timestamp.is_some() {
            Answer::Leaving
        } else {
            evict(client, &pod).await
        };
        match answer {
            Answer::Leaving => report.leaving += 1,
            Answer::Gone => {}
            Answer::HeldBack => {
                report.held_back += 1;
                report.example.get_or_insert_with(|| name(&pod));
            }
            // The others are asked all the same.
            Answer::Failed(error) => {
                report
                    .failure
                    .get_or_insert_with(|| format!("pod {}: {error}", name(&pod)));
            }
        }
    }
    Ok(report)
}

/// Finished pods and those that belong to the Node itself stay, as with `kubectl drain`.
fn has_to_leave(pod: &Pod) -> bool {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    let is_finished = matches!(phase, Some("Succeeded" | "Failed"));
    let is_of_daemon_set = pod
        .owner_references()
        .iter()
        .any(|owner| owner.kind == "DaemonSet" && owner.controller == Some(true));
    !is_finished && !is_of_daemon_set && !pod.annotations().contains_key(MIRROR)
}

/// The UID is a precondition: a pod of the same name that came meanwhile, on another Node, is left alone.
async fn evict(client: &Client, pod: &Pod) -> Answer {
    let pods: Api<Pod> = match pod.namespace() {
        Some(namespace) => Api::namespaced(client.clone(), &namespace),
        None => Api::default_namespaced(client.clone()),
    };
    // `Api::evict` spells the options in a way that the API server does not read.
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name_any(), "namespace": pod.namespace()},
        "deleteOptions": {"preconditions": {"uid": pod.uid()}},
    });
    let answer: Result<Status, _> = pods
        .create_subresource(
            "eviction",
            &pod.name_any(),
            &PostParams::default(),
            &eviction,
        )
        .await;
    match answer {
        Ok(_) => Answer::Leaving,
        Err(kube::Error::Api(status)) if matches!(status.code, 404 | 409) => Answer::Gone,
        Err(kube::Error::Api(status)) if status.code == 429 => Answer::HeldBack,
        Err(error) => Answer::Failed(error),
    }
}

fn name(pod: &Pod) -> String {
    format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any())
}

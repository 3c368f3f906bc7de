//! Evicts pods from a Node, a round at a time, and says what is left.
//!
//! Only the Eviction API is used, so every PodDisruptionBudget holds. A round does not wait for pods to end: the next
//! look does, and whoever leads by then takes it.

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{ListParams, PostParams, Preconditions},
    core::Status,
};
use lease_election::term::ForeignTooSoon;
use serde_json::json;

use super::{error::Eviction, metrics::ControllerMetrics, plan::DrainProgress};
use crate::errors::shortened;

/// How many evictions of one Node are under way at a time.
const AT_A_TIME: usize = 8;

/// The kubelet's copy of a pod that it runs by itself.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// What an eviction came to.
enum Outcome {
    /// The pod is on its way out, or gone.
    Leaves,
    /// A budget forbids it for now.
    Held,
    /// The API server refused it for another reason.
    Failed(kube::Error),
}

/// Asks every pod to leave that has to.
///
/// `client` is to be one that refuses writes when the term is over.
///
/// # Errors
/// When the pods can't be listed, or no answer came to an eviction. What the API server says against one pod is part of
/// the progress, and keeps none of the others.
pub(super) async fn drain(
    client: &Client,
    node: &str,
    metrics: &ControllerMetrics,
) -> Result<DrainProgress, kube::Error> {
    let on_node = ListParams::default().fields(&format!("spec.nodeName={node}"));
    let pods = Api::<Pod>::all(client.clone()).list(&on_node).await?;
    let leaving: Vec<_> = pods.into_iter().filter(has_to_leave).collect();
    let mut progress = DrainProgress {
        left: leaving.len(),
        first: leaving.first().map(name),
        ..DrainProgress::default()
    };
    let mut evictions = stream::iter(leaving)
        // One that is being deleted has been asked already.
        .filter(|pod| std::future::ready(pod.metadata.deletion_timestamp.is_none()))
        .map(|pod| evict(client.clone(), pod, metrics.clone()))
        .buffered(AT_A_TIME)
        .boxed();
    while let Some((pod, outcome)) = evictions.next().await {
        match outcome {
            Outcome::Leaves => {}
            Outcome::Held => {
                if progress.held == 0 {
                    progress.first = Some(name(&pod));
                }
                progress.held += 1;
            }
            Outcome::Failed(kube::Error::Api(status)) => {
                progress.error.get_or_insert(shortened(format!(
                    "{}: {}",
                    name(&pod),
                    status.message
                )));
            }
            Outcome::Failed(error) => return Err(error),
        }
    }
    Ok(progress)
}

async fn evict(client: Client, pod: Pod, metrics: ControllerMetrics) -> (Pod, Outcome) {
    let pods: Api<Pod> = Api::namespaced(client, &pod.namespace().unwrap_or_default());
    let same_pod = Preconditions {
        uid: pod.uid(),
        resource_version: None,
    };
    // `Api::evict` writes delete_options where the API server reads deleteOptions, so the precondition would be lost.
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod.name_any(), "namespace": pod.namespace()},
        "deleteOptions": {"preconditions": same_pod},
    });
    let evicted = pods
        .create_subresource::<_, Status>(
            "eviction",
            &pod.name_any(),
            &PostParams::default(),
            &eviction,
        )
        .await;
    let outcome = match evicted {
        Ok(_) => {
            metrics.evicted(Eviction::Evicted);
            Outcome::Leaves
        }
        // Gone, or another one by now.
        Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => Outcome::Leaves,
        Err(kube::Error::Api(status)) if status.code == 429 => {
            metrics.evicted(Eviction::Held);
            Outcome::Held
        }
        Err(error) => {
            // What waits for its time has not failed.
            if !ForeignTooSoon::is_in(&error) {
                metrics.evicted(Eviction::Failed);
            }
            Outcome::Failed(error)
        }
    };
    (pod, outcome)
}

/// Whether a Node is not empty as long as this pod is on it.
///
/// Those of a DaemonSet would be put there again at once, mirror pods can't be evicted, and finished ones run no more.
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

fn name(pod: &Pod) -> String {
    format!("{}/{}", pod.namespace().unwrap_or_default(), pod.name_any())
}

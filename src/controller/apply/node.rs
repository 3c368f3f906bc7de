//! Steps on the Node, in the cluster that it belongs to.

use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
};
use serde_json::json;
use tracing::info;

use super::{Progress, Target, objects::unless_gone};
use crate::{
    api::NodeTaint,
    controller::{
        ControllerError, FIELD_MANAGER, SHUTDOWN_MANAGER, bounded::bounded, reconcile::Context,
    },
    errors::Chain,
    machine::{self, CORDONED, DrainReport, NodeView, TaintPlan, taint_patch, taints},
};

/// Cordons the Node, or takes back our part in it: whoever else has cordoned it owns the field too, and it stays.
pub(super) async fn cordon(
    context: &Context,
    target: &Target<'_>,
    node: &NodeView,
    cordon: bool,
) -> Result<Progress, ControllerError> {
    let mut patch = json!({
        "apiVersion": "v1",
        "kind": "Node",
        // By its UID: apply would make a Node that is gone anew.
        "metadata": {"name": node.name, "uid": node.uid},
    });
    if cordon {
        patch["metadata"]["annotations"] = json!({CORDONED: "true"});
        patch["spec"] = json!({"unschedulable": true});
    }
    // Forced: a Node that is on its way out takes no pods, whatever others think.
    let params = PatchParams::apply(SHUTDOWN_MANAGER).force();
    let client = client(context, target).await?;
    let answer = nodes(&client)
        .patch(&node.name, &params, &Patch::Apply(&patch))
        .await;
    unless_gone(answer).map_err(|source| failed("CordonFailed", "cordon", node, source))?;
    info!(node = node.name, cordon, "cordoned, or took it back");
    Ok(Progress::Done(None))
}

/// Gives the Node our taints. The list is decided on and written as it was just read.
pub(super) async fn taint(
    context: &Context,
    target: &Target<'_>,
    node: &NodeView,
    wanted: &[NodeTaint],
) -> Result<Progress, ControllerError> {
    let client = client(context, target).await?;
    let failed = |source| failed("TaintFailed", "taint", node, source);
    let Some(read) = nodes(&client).get_opt(&node.name).await.map_err(failed)? else {
        return Ok(Progress::Done(None));
    };
    let view = NodeView::of(&read);
    if view.uid != node.uid {
        return Ok(Progress::Done(None));
    }
    // A conflict that came meanwhile is reported as soon as the watch shows it.
    if let TaintPlan::Write { taints, applied } = taints(&view, wanted) {
        let patch = taint_patch(&read, &taints, &applied);
        let params = PatchParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PatchParams::default()
        };
        nodes(&client)
            .patch(&node.name, &params, &Patch::Merge(&patch))
            .await
            .map_err(failed)?;
        info!(node = node.name, taints = applied.len(), "tainted");
    }
    Ok(Progress::Done(None))
}

/// Asks the pods of the Node to leave. That a Node can't be drained is no failure of the look: its time runs out.
pub(super) async fn drain(
    context: &Context,
    target: &Target<'_>,
    node: &NodeView,
) -> Result<Result<DrainReport, String>, ControllerError> {
    let client = client(context, target).await?;
    let outcome = machine::drain(&client, &node.name).await;
    if let Err(error) = &outcome {
        let is_unauthorized = matches!(error, kube::Error::Api(status) if status.code == 401);
        if is_unauthorized {
            context.workloads.forget(&target.cluster);
        }
    }
    Ok(outcome.map_err(|error| Chain(&error).to_string()))
}

async fn client(context: &Context, target: &Target<'_>) -> Result<Client, ControllerError> {
    let workload = context.workloads.client(&target.cluster).await?;
    Ok(context.term.client(bounded(workload.client)))
}

fn nodes(client: &Client) -> Api<Node> {
    Api::all(client.clone())
}

fn failed(
    reason: &'static str,
    action: &str,
    node: &NodeView,
    source: kube::Error,
) -> ControllerError {
    ControllerError::step(reason, action, format!("Node {}", node.name), source)
}

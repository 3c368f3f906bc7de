//! Writes the status. Every step is safe to repeat and goes through the term's client.

use std::sync::Arc;

use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use serde_json::{Map, Value, json};
use tracing::debug;

use super::{ControllerError, FIELD_MANAGER, plan::left_over, reconcile::Context};
use crate::api::{ScheduledMachine, ScheduledMachineStatus};

/// Whether the object was still there to be written to.
pub(super) async fn write_status(
    context: &Context,
    object: &ScheduledMachine,
    status: &ScheduledMachineStatus,
) -> Result<bool, ControllerError> {
    let name = object.name_any();
    let patch = json!({
        "apiVersion": ScheduledMachine::api_version(&()),
        "kind": ScheduledMachine::kind(&()),
        // The uid makes the API server refuse the status for a later object of the same name.
        "metadata": {"name": name, "namespace": object.namespace(), "uid": object.uid()},
        "status": status,
    });
    // Forced: these fields are ours by definition of the API, whoever wrote them before.
    let params = PatchParams::apply(FIELD_MANAGER).force();
    let Some(answer) = patch_status(context, object, &params, &Patch::Apply(&patch)).await? else {
        return Ok(false);
    };
    debug!(phase = ?status.phase, generation = status.observed_generation, "applied the status");
    let fields = answer
        .status
        .as_ref()
        .map_or_else(Vec::new, |present| left_over(present, status));
    if !fields.is_empty() {
        remove(context, &answer, &fields).await?;
    }
    Ok(true)
}

/// Removes fields of the status that another manager owns too, so that leaving them out did not remove them.
///
/// Should the object have changed since `seen`, the watch brings the news, and it is looked at again.
async fn remove(
    context: &Context,
    seen: &ScheduledMachine,
    fields: &[String],
) -> Result<(), ControllerError> {
    let nothing: Map<_, _> = fields
        .iter()
        .map(|field| (field.clone(), Value::Null))
        .collect();
    let patch = json!({
        "metadata": {"uid": seen.uid(), "resourceVersion": seen.resource_version()},
        "status": nothing,
    });
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    let answer = patch_status(context, seen, &params, &Patch::Merge(&patch)).await?;
    debug!(
        ?fields,
        removed = answer.is_some(),
        "fields of the status that somebody else wrote are not wanted"
    );
    Ok(())
}

/// Where the object is written to.
pub(super) fn machines(context: &Context, object: &ScheduledMachine) -> Api<ScheduledMachine> {
    match object.namespace() {
        Some(namespace) => Api::namespaced(context.client.clone(), &namespace),
        None => Api::default_namespaced(context.client.clone()),
    }
}

/// The object as it is after the patch; `None` when it was gone or not the one that the patch is about.
async fn patch_status(
    context: &Context,
    object: &ScheduledMachine,
    params: &PatchParams,
    patch: &Patch<&Value>,
) -> Result<Option<Arc<ScheduledMachine>>, ControllerError> {
    let name = object.name_any();
    match machines(context, object)
        .patch_status(&name, params, patch)
        .await
    {
        Ok(answer) => {
            let answer = Arc::new(answer);
            context.written.keep(Arc::clone(&answer));
            Ok(Some(answer))
        }
        // Deleted, made anew or changed meanwhile: the watch brings the news, and nothing is left to do here.
        Err(kube::Error::Api(answer)) if answer.code == 404 || answer.code == 409 => {
            debug!(%answer, "the object to write to is another one by now");
            Ok(None)
        }
        Err(source) => {
            let object = format!("{}/{name}", object.namespace().unwrap_or_default());
            Err(ControllerError::WriteStatus {
                object,
                source: Box::new(source),
            })
        }
    }
}

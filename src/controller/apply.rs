//! Writes the status. Every step is safe to repeat and goes through the term's client.

use std::sync::Arc;

use kube::{
    Api, Resource, ResourceExt,
    api::{Patch, PatchParams},
};
use lease_election::mutation::{self, Mutation};
use serde_json::{Map, Value, json};
use tracing::debug;

use super::{context::Context, error::ControllerError, events::FIELD_MANAGER, plan::left_over};
use crate::api::{ScheduledMachine, ScheduledMachineStatus};

/// Whether the object was still there as it was when the status was decided on.
pub(super) async fn write_status(
    context: &Context,
    object: &ScheduledMachine,
    status: &ScheduledMachineStatus,
) -> Result<bool, ControllerError> {
    let name = object.name_any();
    let mut patch = json!({
        "apiVersion": ScheduledMachine::api_version(&()),
        "kind": ScheduledMachine::kind(&()),
        // The version makes the API server refuse a status that was decided on before another one was written, and one for
        // a later object of the same name. The uid alone would not: the metadata of a status write are thrown away.
        "metadata": {
            "name": name, "namespace": object.namespace(), "uid": object.uid(),
            "resourceVersion": object.resource_version(),
        },
        "status": status,
    });
    if mutation::is(Mutation::WritesFromAnyVersion)
        && let Some(metadata) = patch["metadata"].as_object_mut()
    {
        metadata.remove("resourceVersion");
    }
    // Forced against other managers, not against time: these fields are ours by definition of the API, whoever wrote them
    // before.
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
/// Should the object have changed since `seen`, it is looked at again on news of it.
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

/// The object as it is after the patch; `None` when it was gone, another one, or not as the patch has it any more. What it
/// is instead is read and kept in mind, so that nothing waits for a watch that may be silent.
async fn patch_status(
    context: &Context,
    object: &ScheduledMachine,
    params: &PatchParams,
    patch: &Patch<&Value>,
) -> Result<Option<Arc<ScheduledMachine>>, ControllerError> {
    let name = object.name_any();
    let failed = |source| {
        let object = format!("{}/{name}", object.namespace().unwrap_or_default());
        ControllerError::WriteStatus {
            object,
            source: Box::new(source),
        }
    };
    let machines = machines(context, object);
    match machines.patch_status(&name, params, patch).await {
        Ok(answer) => {
            let answer = Arc::new(answer);
            context.written.keep(Arc::clone(&answer));
            Ok(Some(answer))
        }
        // Deleted, made anew or changed meanwhile.
        Err(kube::Error::Api(answer)) if answer.code == 404 || answer.code == 409 => {
            debug!(%answer, "the object to write to is another one by now");
            let found = machines.get_opt(&name).await.map_err(failed)?;
            if let Some(found) = found.filter(|found| found.uid() == object.uid()) {
                context.written.keep(Arc::new(found));
            }
            Ok(None)
        }
        Err(source) => Err(failed(source)),
    }
}

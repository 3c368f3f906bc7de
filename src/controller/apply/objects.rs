//! Steps on the `ScheduledMachine` itself and on the objects that it consists of.

use std::sync::Arc;

use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions},
};
use serde_json::{Value, json};
use tracing::{debug, info};

use super::Progress;
use crate::{
    api::{FINALIZER, ScheduledMachine},
    controller::{ControllerError, FIELD_MANAGER, SHUTDOWN_MANAGER, reconcile::Context},
    machine::{
        Kind, ObjectView, Ownership, Role, SKIP_DRAIN_BY_US, SKIPS_DRAIN, adoption, rendered,
    },
};

/// Adds or removes our finalizer and leaves those of others as they are: the list is written only as it was read.
pub(super) async fn set_finalizer(
    context: &Context,
    object: &ScheduledMachine,
    is_there: bool,
) -> Result<Progress, ControllerError> {
    let others = object
        .finalizers()
        .iter()
        .filter(|finalizer| *finalizer != FINALIZER);
    let ours = is_there.then(|| FINALIZER.to_owned());
    let finalizers: Vec<_> = others.cloned().chain(ours).collect();
    let patch = json!({"metadata": {"finalizers": finalizers}});
    let answer = patch_object(context, object, patch, "write the finalizers").await?;
    Ok(if is_there { answer } else { Progress::Ended })
}

/// Takes the machine out of its schedule until somebody puts it back, as its owner wants it.
pub(super) async fn disable_schedule(
    context: &Context,
    object: &ScheduledMachine,
) -> Result<Progress, ControllerError> {
    info!(name = %object.name_any(), "disabling the schedule: the machine's owner wants it back");
    let patch = json!({"spec": {"schedule": {"enabled": false}}});
    patch_object(context, object, patch, "disable the schedule").await
}

async fn patch_object(
    context: &Context,
    object: &ScheduledMachine,
    mut patch: Value,
    action: &str,
) -> Result<Progress, ControllerError> {
    let metadata = &mut patch["metadata"];
    metadata["uid"] = json!(object.uid());
    metadata["resourceVersion"] = json!(object.resource_version());
    let namespace = object.namespace().unwrap_or_default();
    let machines: Api<ScheduledMachine> = Api::namespaced(context.client.clone(), &namespace);
    let params = PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    };
    match machines
        .patch(&object.name_any(), &params, &Patch::Merge(&patch))
        .await
    {
        Ok(answer) => {
            context.written.keep(Arc::new(answer));
            Ok(Progress::Done(None))
        }
        // Deleted or changed meanwhile: the watch brings the news, and it is looked at again.
        Err(kube::Error::Api(answer)) if answer.code == 404 || answer.code == 409 => {
            debug!(%answer, "the object to write to is another one by now");
            Ok(Progress::Ended)
        }
        Err(source) => {
            let object = format!("ScheduledMachine {namespace}/{}", object.name_any());
            Err(ControllerError::step(
                "UpdateFailed",
                action,
                object,
                source,
            ))
        }
    }
}

/// Creates the object of `role` where nothing of its name is. Server-side apply has no such precondition and would
/// change an object of somebody else, so this is a POST, and the API server's answer says whether it was there.
pub(super) async fn create(
    context: &Context,
    object: &ScheduledMachine,
    role: Role,
) -> Result<Progress, ControllerError> {
    let sight = context.objects.sight(object);
    let served = match role {
        Role::Bootstrap => &sight.bootstrap,
        Role::Infrastructure => &sight.infrastructure,
        Role::Machine => &sight.machine,
    };
    // Planned a moment ago with the kind served; should that be over, there is news of it.
    let Some(kind) = served.kind() else {
        return Ok(Progress::Ended);
    };
    let namespace = object.namespace().unwrap_or_default();
    let api = api(context, kind, &namespace);
    let name = object.name_any();
    let failed = |source| {
        ControllerError::step(
            "CreationFailed",
            "create",
            format!("{role} {namespace}/{name}"),
            source,
        )
    };
    let params = PostParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PostParams::default()
    };
    let body: DynamicObject = serde_json::from_value(rendered(object, role, kind))
        .map_err(|source| failed(kube::Error::SerdeError(source)))?;
    let present = match api.create(&params, &body).await {
        Ok(made) => {
            info!(%role, namespace, name, "created");
            return Ok(Progress::Done(ObjectView::of(kind, &made)));
        }
        Err(kube::Error::Api(status)) if status.code == 409 => {
            api.get_opt(&name).await.map_err(failed)?
        }
        Err(source) => return Err(failed(source)),
    };
    let Some(view) = present.and_then(|present| ObjectView::of(kind, &present)) else {
        // It went between the two calls, or its namespace is being deleted.
        return Ok(Progress::Ended);
    };
    match view.ownership(object) {
        Ownership::Ours if view.label == name => Ok(Progress::Done(Some(view))),
        // Of our own making, but without the label the watch does not show it.
        Ownership::Ours | Ownership::Adoptable => adopt(context, object, role, &view).await,
        Ownership::Foreign => Err(ControllerError::NameTaken {
            object: format!("{role} {} {namespace}/{name}", kind.resource.kind),
        }),
    }
}

/// Puts our label and owner on an object, and takes nothing from others.
pub(super) async fn adopt(
    context: &Context,
    object: &ScheduledMachine,
    role: Role,
    view: &ObjectView,
) -> Result<Progress, ControllerError> {
    info!(%role, namespace = view.namespace, name = view.name, "adopting");
    let patch = adoption(object, role, view);
    let params = PatchParams::apply(FIELD_MANAGER);
    let answer = api(context, &view.kind, &view.namespace)
        .patch(&view.name, &params, &Patch::Apply(&patch))
        .await;
    let made = unless_gone(answer)
        .map_err(|source| failed("AdoptionFailed", "adopt", role, view, source))?;
    Ok(made.map_or(Progress::Ended, |made| {
        Progress::Done(ObjectView::of(&view.kind, &made))
    }))
}

/// Deletes this very object.
pub(super) async fn delete(
    context: &Context,
    role: Role,
    view: &ObjectView,
) -> Result<Progress, ControllerError> {
    let params = DeleteParams {
        preconditions: Some(Preconditions {
            uid: Some(view.uid.clone()),
            resource_version: None,
        }),
        ..DeleteParams::background()
    };
    let answer = api(context, &view.kind, &view.namespace)
        .delete(&view.name, &params)
        .await;
    let answer = unless_gone(answer)
        .map_err(|source| failed("DeletionFailed", "delete", role, view, source))?;
    if answer.is_some() {
        info!(%role, namespace = view.namespace, name = view.name, "deleted");
    }
    Ok(Progress::Done(None))
}

/// Tells Cluster API whether it has to drain the Node of a Machine, by an annotation that is ours alone.
pub(super) async fn skip_drain(
    context: &Context,
    machine: &ObjectView,
    skip: bool,
) -> Result<Progress, ControllerError> {
    let annotations = if skip {
        json!({SKIPS_DRAIN: SKIP_DRAIN_BY_US})
    } else {
        json!({})
    };
    let patch = json!({
        "apiVersion": machine.kind.resource.api_version,
        "kind": machine.kind.resource.kind,
        "metadata": {"name": machine.name, "uid": machine.uid, "annotations": annotations},
    });
    // Forced: whoever else has set it wants the same.
    let params = PatchParams::apply(SHUTDOWN_MANAGER).force();
    let answer = api(context, &machine.kind, &machine.namespace)
        .patch(&machine.name, &params, &Patch::Apply(&patch))
        .await;
    unless_gone(answer)
        .map_err(|source| failed("UpdateFailed", "annotate", Role::Machine, machine, source))?;
    Ok(Progress::Done(None))
}

fn api(context: &Context, kind: &Kind, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(context.client.clone(), namespace, &kind.resource)
}

/// `None` for an object that is gone, or whose place has been taken by another one of its name.
pub(super) fn unless_gone<T>(answer: Result<T, kube::Error>) -> Result<Option<T>, kube::Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(kube::Error::Api(status)) if status.code == 404 || is_other(&status) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Whether a conflict is about the UID: apply conflicts over fields are to be reported.
fn is_other(status: &kube::core::Status) -> bool {
    status.code == 409 && !status.message.contains("conflict with")
}

fn failed(
    reason: &'static str,
    action: &str,
    role: Role,
    view: &ObjectView,
    source: kube::Error,
) -> ControllerError {
    let object = format!("{role} {}/{}", view.namespace, view.name);
    ControllerError::step(reason, action, object, source)
}

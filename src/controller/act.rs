//! Carries out one action. Each may be repeated, and may race with another of its kind.
//!
//! - What is created has a name that follows from the object, and is created and never applied: of two that race one is
//!   refused, and an object of somebody else can't be changed by accident.
//! - What is deleted or changed is named by its UID and the version that the decision was made from, so a write that comes
//!   late can't undo what a later leader wrote. An eviction is named by the pod's UID alone: no leader writes to pods.
//!
//! An object that turns out to be another one by now is no failure: it is looked at again, on news of it or a little later.

use std::time::Duration;

use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, Preconditions},
    core::ApiResource,
};
use lease_election::term::ForeignTooSoon;
use serde_json::{Value, json};
use tokio::time::timeout;
use tracing::{debug, info};

use super::{
    apply,
    context::Context,
    drain::drain,
    error::{ControllerError, name_taken},
    events::FIELD_MANAGER,
    kind::kind_of,
    plan::{
        Action, CHANGE_REFUSED, CREATION_REFUSED, DELETION_REFUSED, DRAIN_FAILED, DrainProgress,
        FailedAction, NAME_TAKEN, NodeKey,
    },
    timers::Key,
};
use crate::{
    api::{FINALIZER, ScheduledMachine},
    errors::{Chain, shortened},
    machine::{
        DesiredNode, EXEMPT_BY_US, EXEMPT_FROM_DETACH, EXEMPT_FROM_DRAIN, Kind, Part, Revision,
        Seen, Waits, manifest, patch,
    },
};
use k8s_openapi::api::core::v1::Node;

/// How often a Node that changes under us is tried anew before the next look has to do it.
const NODE_ATTEMPTS: usize = 4;

/// How long a round of the drain, or a change of a Node, may take; the rest of it is done in the next look.
pub(super) const LONGEST_AT_A_NODE: Duration = Duration::from_secs(30);

/// How long it is waited for others who are at work with the same cluster.
const LONGEST_FOR_A_PLACE: Duration = Duration::from_millis(100);

/// What an action came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Done {
    /// It is done, and what is known now says so.
    Changed,
    /// A round of the drain is over.
    Drained(DrainProgress),
    /// What it was about is another one by now.
    Overtaken,
    /// Others are at work with its cluster already.
    Busy,
    /// An earlier leader may still write to its cluster.
    TooSoon,
}

/// Does it.
pub(super) async fn act(
    context: &Context,
    object: &ScheduledMachine,
    action: &Action,
) -> Result<Done, ControllerError> {
    let act = Act { context, object };
    let done = match action {
        Action::AddFinalizer => {
            act.finalizers(|finalizers| {
                if !finalizers.iter().any(|present| present == FINALIZER) {
                    finalizers.push(FINALIZER.to_owned());
                }
            })
            .await
        }
        Action::RemoveFinalizer { verify } => act.remove_finalizer(*verify).await,
        Action::DisableSchedule => {
            act.patch_object(&json!({"spec": {"schedule": {"enabled": false}}}))
                .await
        }
        Action::Create(part) => return act.create(*part).await,
        Action::Delete { part, of } => act.delete(*part, of).await,
        Action::Exempt { of, from } => act.annotate_machine(of, *from, &json!(EXEMPT_BY_US)).await,
        Action::EndExemption { of, from } => act.annotate_machine(of, *from, &Value::Null).await,
        Action::ShapeNode { node, desired } => {
            act.at(node, async |client| act.shape(client, node, desired).await)
                .await
        }
        Action::Drain(node) => {
            act.at(node, async |client| act.drain(client, node).await)
                .await
        }
    };
    let done = done.map_err(|source| ControllerError::Act {
        object: act.name(),
        action: words(action),
        source: Box::new(source),
    })?;
    debug!(?action, ?done, "acted");
    Ok(done)
}

/// What people should know of a failure, if it is one that stays until somebody does something.
pub(super) fn failed_action(action: &Action, error: &ControllerError) -> Option<FailedAction> {
    let (reason, message) = match error {
        ControllerError::NameTaken { part, .. } => (NAME_TAKEN, name_taken(part)),
        _ if error.is_fenced() => return None,
        // What a machine waits for on its way out has a limit, and one that fails all the time must not have none.
        ControllerError::Act { source, .. } if is_waited_for(action) => (
            match action {
                Action::Drain(_) => DRAIN_FAILED,
                Action::Exempt { .. } | Action::Delete { .. } | Action::RemoveFinalizer { .. } => {
                    DELETION_REFUSED
                }
                _ => CHANGE_REFUSED,
            },
            match source.as_ref() {
                kube::Error::Api(status) => {
                    format!("failed to {}: {}", words(action), status.message)
                }
                source => format!("failed to {}: {}", words(action), Chain(source)),
            },
        ),
        ControllerError::Act { source, .. } => {
            let kube::Error::Api(status) = source.as_ref() else {
                return None;
            };
            if !(matches!(status.code, 400..=500)) || [404, 408, 409, 429].contains(&status.code) {
                return None;
            }
            let reason = match action {
                Action::Create(_) => CREATION_REFUSED,
                _ => CHANGE_REFUSED,
            };
            (
                reason,
                format!("failed to {}: {}", words(action), status.message),
            )
        }
        _ => return None,
    };
    Some(FailedAction {
        action: action.clone(),
        times: 1,
        reason,
        message: shortened(message),
    })
}

fn is_waited_for(action: &Action) -> bool {
    match action {
        Action::Drain(_)
        | Action::Exempt { .. }
        | Action::Delete { .. }
        | Action::DisableSchedule
        | Action::RemoveFinalizer { .. } => true,
        Action::ShapeNode { desired, .. } => desired.cordoned,
        _ => false,
    }
}

/// An action, after "failed to".
fn words(action: &Action) -> String {
    match action {
        Action::AddFinalizer => "add the finalizer".to_owned(),
        Action::RemoveFinalizer { .. } => "remove the finalizer".to_owned(),
        Action::Create(part) => format!("create the {}", part.word()),
        Action::Delete { part, .. } => format!("delete the {}", part.word()),
        Action::Exempt { .. } | Action::EndExemption { .. } => "annotate the Machine".to_owned(),
        Action::ShapeNode { node, .. } => format!("change the Node {}", node.name),
        Action::Drain(node) => format!("drain the Node {}", node.name),
        Action::DisableSchedule => "switch the schedule off".to_owned(),
    }
}

struct Act<'a> {
    context: &'a Context,
    object: &'a ScheduledMachine,
}

impl Act<'_> {
    fn name(&self) -> String {
        format!(
            "{}/{}",
            self.object.namespace().unwrap_or_default(),
            self.object.name_any()
        )
    }

    fn key(&self) -> Key {
        (self.object.namespace(), self.object.name_any())
    }

    /// Replaces the list of finalizers, unless anything of the object has changed since.
    async fn finalizers(&self, change: impl FnOnce(&mut Vec<String>)) -> Result<Done, kube::Error> {
        let mut finalizers = self.object.finalizers().to_vec();
        change(&mut finalizers);
        self.patch_object(&json!({"metadata": {"finalizers": finalizers}}))
            .await
    }

    /// Removes the finalizer. What is known may be behind what an earlier leader created last, so where it `verify`,
    /// an object that is there after all is kept in mind instead.
    async fn remove_finalizer(&self, verify: bool) -> Result<Done, kube::Error> {
        let mut is_any_there = false;
        for part in Part::ALL.into_iter().filter(|_| verify) {
            let Some((kind, api)) = self.api(part) else {
                continue;
            };
            if let Some(found) = api.get_opt(&self.object.name_any()).await? {
                is_any_there |= self.keep(part, &kind, &found);
            }
        }
        if is_any_there {
            return Ok(Done::Changed);
        }
        self.finalizers(|finalizers| finalizers.retain(|present| present != FINALIZER))
            .await
    }

    async fn patch_object(&self, change: &Value) -> Result<Done, kube::Error> {
        let mut change = change.clone();
        change["metadata"]["uid"] = json!(self.object.uid());
        change["metadata"]["resourceVersion"] = json!(self.object.resource_version());
        let machines = apply::machines(self.context, self.object);
        match machines
            .patch(&self.object.name_any(), &by_us(), &Patch::Merge(&change))
            .await
        {
            Ok(answer) => {
                self.context.written.keep(std::sync::Arc::new(answer));
                Ok(Done::Changed)
            }
            Err(error) => overtaken(error),
        }
    }

    async fn create(&self, part: Part) -> Result<Done, ControllerError> {
        let failed = |source| ControllerError::Act {
            object: self.name(),
            action: words(&Action::Create(part)),
            source: Box::new(source),
        };
        let Some((kind, api)) = self.api(part) else {
            return Ok(Done::Overtaken);
        };
        let Some(version) = self.context.caches.objects().machine_version() else {
            return Ok(Done::Overtaken);
        };
        let wanted: DynamicObject = serde_json::from_value(manifest(part, self.object, version))
            .map_err(|error| failed(kube::Error::SerdeError(error)))?;
        let params = PostParams {
            field_manager: Some(FIELD_MANAGER.to_owned()),
            ..PostParams::default()
        };
        let found = match api.create(&params, &wanted).await {
            Ok(created) => {
                info!(%kind, name = self.object.name_any(), "created the {}", part.word());
                created
            }
            Err(kube::Error::Api(status)) if status.code == 409 => {
                match api.get_opt(&self.object.name_any()).await.map_err(failed)? {
                    Some(found) => found,
                    None => return Ok(Done::Overtaken),
                }
            }
            Err(error) => return Err(failed(error)),
        };
        if self.keep(part, &kind, &found) {
            Ok(Done::Changed)
        } else {
            Err(ControllerError::NameTaken {
                object: self.name(),
                part: part.word(),
            })
        }
    }

    /// Keeps in mind what is there after all, if it is ours.
    fn keep(&self, part: Part, kind: &Kind, found: &DynamicObject) -> bool {
        let seen = match part {
            Part::Machine => Seen::of_machine(found),
            Part::Bootstrap | Part::Infrastructure => Seen::of_metadata(&found.metadata),
        };
        let uid = self.object.uid().unwrap_or_default();
        let Some(seen) = seen.filter(|seen| seen.is_of(part, &self.object.name_any(), &uid)) else {
            return false;
        };
        let version = found.metadata.resource_version.as_deref();
        let objects = self.context.caches.objects();
        objects.wrote(kind, &self.key(), version, seen);
        true
    }

    async fn delete(&self, part: Part, of: &Revision) -> Result<Done, kube::Error> {
        let Some((kind, api)) = self.api(part) else {
            return Ok(Done::Overtaken);
        };
        let params = DeleteParams::background().preconditions(Preconditions {
            uid: Some(of.uid.clone()),
            resource_version: Some(of.version.clone()),
        });
        match api.delete(&self.object.name_any(), &params).await {
            Ok(_) => {
                info!(%kind, name = self.object.name_any(), "deleted the {}", part.word());
                self.context
                    .caches
                    .objects()
                    .deleted(&kind, &self.key(), &of.uid);
                Ok(Done::Changed)
            }
            Err(error) => self.overtaken_by(part, &kind, &api, error).await,
        }
    }

    /// Gone, or changed meanwhile. What it is now is kept in mind, so that nothing waits for a watch that may be silent.
    async fn overtaken_by(
        &self,
        part: Part,
        kind: &Kind,
        api: &Api<DynamicObject>,
        error: kube::Error,
    ) -> Result<Done, kube::Error> {
        let done = overtaken(error)?;
        if let Some(found) = api.get_opt(&self.object.name_any()).await? {
            self.keep(part, kind, &found);
        }
        Ok(done)
    }

    async fn annotate_machine(
        &self,
        of: &Revision,
        from: Waits,
        value: &Value,
    ) -> Result<Done, kube::Error> {
        let Some((kind, api)) = self.api(Part::Machine) else {
            return Ok(Done::Overtaken);
        };
        let keys = [
            (EXEMPT_FROM_DRAIN, from.drain),
            (EXEMPT_FROM_DETACH, from.detach),
        ];
        let annotations: serde_json::Map<_, _> = keys
            .into_iter()
            .filter(|(_key, is_meant)| *is_meant)
            .map(|(key, _)| (key.to_owned(), value.clone()))
            .collect();
        let change = json!({"metadata": {
            "uid": of.uid, "resourceVersion": of.version, "annotations": annotations,
        }});
        match api
            .patch(&self.object.name_any(), &by_us(), &Patch::Merge(&change))
            .await
        {
            Ok(answer) => {
                self.keep(Part::Machine, &kind, &answer);
                Ok(Done::Changed)
            }
            Err(error) => self.overtaken_by(Part::Machine, &kind, &api, error).await,
        }
    }

    /// Acts on a Node. Whichever cluster it is of, nothing is written to that outside of the term.
    ///
    /// Each single answer of another cluster may come slowly, and whoever waits for it takes the place of another object.
    /// So few wait at a time, and for a bounded time.
    async fn at(
        &self,
        key: &NodeKey,
        act: impl AsyncFnOnce(Client) -> Result<Done, kube::Error>,
    ) -> Result<Done, kube::Error> {
        let namespace = self.object.namespace();
        let clusters = self.context.caches.clusters();
        let Some(access) = clusters.access(namespace.as_deref(), &key.cluster) else {
            return Ok(Done::Overtaken);
        };
        // The semaphore is never closed.
        let Ok(Ok(_place)) = timeout(LONGEST_FOR_A_PLACE, access.calls.acquire()).await else {
            return Ok(Done::Busy);
        };
        let term = &self.context.term;
        let client = if access.is_own {
            term.client(access.client)
        } else {
            term.client_of_other_cluster(access.client)
        };
        match timeout(LONGEST_AT_A_NODE, act(client)).await {
            // Nobody waits for that here: the place is needed for others.
            Ok(Err(error)) if ForeignTooSoon::is_in(&error) => Ok(Done::TooSoon),
            Ok(done) => done,
            Err(elapsed) => Err(kube::Error::Service(Box::new(elapsed))),
        }
    }

    async fn shape(
        &self,
        client: Client,
        key: &NodeKey,
        desired: &DesiredNode,
    ) -> Result<Done, kube::Error> {
        let nodes: Api<Node> = Api::all(client);
        for _ in 0..NODE_ATTEMPTS {
            // Nodes change often, so the cache is no base for a change.
            let Some(node) = nodes.get_opt(&key.name).await? else {
                return Ok(Done::Overtaken);
            };
            if node.uid().as_deref() != Some(&key.uid) {
                return Ok(Done::Overtaken);
            }
            let Some(change) = patch(&node, desired) else {
                self.saw(key, &node);
                return Ok(Done::Changed);
            };
            match nodes
                .patch(&key.name, &by_us(), &Patch::Merge(&change))
                .await
            {
                Ok(node) => {
                    self.saw(key, &node);
                    return Ok(Done::Changed);
                }
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return overtaken(error),
            }
        }
        Ok(Done::Overtaken)
    }

    fn saw(&self, key: &NodeKey, node: &Node) {
        let namespace = self.object.namespace();
        self.context
            .caches
            .clusters()
            .saw(namespace.as_deref(), &key.cluster, node);
    }

    async fn drain(&self, client: Client, key: &NodeKey) -> Result<Done, kube::Error> {
        let drain = drain(&client, &key.name, &self.context.metrics);
        drain.await.map(Done::Drained)
    }

    fn api(&self, part: Part) -> Option<(Kind, Api<DynamicObject>)> {
        let kind = kind_of(part, self.object)?;
        let resource: ApiResource = self.context.caches.objects().resource(&kind)?;
        let client = self.context.client.clone();
        let namespace = self.object.namespace()?;
        Some((kind, Api::namespaced_with(client, &namespace, &resource)))
    }
}

fn by_us() -> PatchParams {
    PatchParams {
        field_manager: Some(FIELD_MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

/// Gone, or changed meanwhile.
fn overtaken(error: kube::Error) -> Result<Done, kube::Error> {
    match error {
        kube::Error::Api(status) if [404, 409].contains(&status.code) => {
            debug!(%status, "what was to be changed is another one by now");
            Ok(Done::Overtaken)
        }
        error => Err(error),
    }
}

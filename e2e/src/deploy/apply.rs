//! Applies manifests by server-side apply, and removes what it created.

use std::time::Duration;

use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PropagationPolicy},
    core::GroupVersionKind,
    discovery::{self, ApiCapabilities, ApiResource, Scope},
};
use tokio::time::{Instant, sleep};

use super::{Manifests, is_a};

/// The field manager under which the harness applies.
pub(super) const FIELD_MANAGER: &str = "failover";

/// The ConfigMap that says what earlier runs applied, and its key.
pub(super) const NAMESPACE: &str = "kube-system";
pub(super) const NAME: &str = "failover-applied";
pub(super) const KEY: &str = "objects";

/// How long an admission policy that was removed may still be in force.
const POLICY_LINGERS: Duration = Duration::from_secs(10);

/// How long the API server may take to serve a kind that was just defined, or to remove what is removed.
const SETTLE_LIMIT: Duration = Duration::from_mins(1);

/// What an apply created, in order.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    created: Vec<(DynamicObject, ApiResource, Scope)>,
}

impl Applied {
    /// Adds an object that is to be removed with the others.
    pub(super) fn note(&mut self, object: DynamicObject, resource: ApiResource, scope: Scope) {
        self.created.push((object, resource, scope));
    }

    /// Whether nothing was created.
    pub fn is_empty(&self) -> bool {
        self.created.is_empty()
    }

    /// Whether a policy that has parameters was bound.
    pub fn has_binding(&self) -> bool {
        self.created
            .iter()
            .any(|(object, ..)| is_a(object, "ValidatingAdmissionPolicyBinding"))
    }
}

/// Why the operator could not be put into the cluster, or taken out of it.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message names each field")]
pub enum ApplyError {
    #[error("failed to {action} {kind} {name}")]
    Call {
        action: &'static str,
        kind: String,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error("failed to apply {name}: the API server does not serve {kind} ({api_version})")]
    UnknownKind {
        api_version: String,
        kind: String,
        name: String,
        #[source]
        source: Box<kube::Error>,
    },
    #[error(
        "ConfigMap {}/{} (key {}), which says what earlier runs applied, can't be used: start a new cluster, or delete it \
         and what they applied",
        NAMESPACE,
        NAME,
        KEY
    )]
    Inventory(#[source] serde_json::Error),
    #[error("{kind} {name} is still there {} s after it was deleted", SETTLE_LIMIT.as_secs())]
    StillThere { kind: String, name: String },
}

/// Applies all objects in order, and notes in `applied` what it created, also when it does not get to the end. What
/// names no namespace, and needs one, is put into `namespace`.
pub async fn apply(
    client: &Client,
    manifests: &Manifests,
    namespace: &str,
    applied: &mut Applied,
) -> Result<(), ApplyError> {
    for object in &manifests.objects {
        let (resource, capabilities) = resolve(client, object).await?;
        let object = &in_namespace(object, &capabilities.scope, namespace);
        let api = api(client, object, &resource, &capabilities.scope);
        let name = object.name_any();
        let failed = |action| call_failed(action, object);
        let existed = api.get_opt(&name).await.map_err(failed("read"))?.is_some();
        let parameters = PatchParams::apply(FIELD_MANAGER).force();
        let deadline = Instant::now() + POLICY_LINGERS;
        while let Err(source) = api.patch(&name, &parameters, &Patch::Apply(object)).await {
            if !is_of_a_removed_policy(&source) || Instant::now() > deadline {
                return Err(failed("apply")(source));
            }
            sleep(Duration::from_millis(250)).await;
        }
        if !existed {
            applied.note(object.clone(), resource, capabilities.scope);
        }
    }
    Ok(())
}

fn in_namespace(object: &DynamicObject, scope: &Scope, namespace: &str) -> DynamicObject {
    let mut object = object.clone();
    if *scope == Scope::Namespaced {
        let own = object.metadata.namespace.take();
        object.metadata.namespace = own.or_else(|| Some(namespace.to_owned()));
    }
    object
}

/// Whether a policy refuses the object because the Lease that it goes by is gone, which it does whoever asks: one that
/// was removed a moment ago is in force until the API server has noticed.
fn is_of_a_removed_policy(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.message.contains("no params found"))
}

/// Removes what was created, last first, and waits until it is gone. What was there before stays.
pub async fn remove(client: &Client, applied: Applied) -> Result<(), ApplyError> {
    let parameters = DeleteParams {
        propagation_policy: Some(PropagationPolicy::Foreground),
        ..DeleteParams::default()
    };
    for (object, resource, scope) in applied.created.iter().rev() {
        match api(client, object, resource, scope)
            .delete(&object.name_any(), &parameters)
            .await
        {
            Ok(_) => {}
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(source) => return Err(call_failed("delete", object)(source)),
        }
    }
    let deadline = Instant::now() + SETTLE_LIMIT;
    for (object, resource, scope) in applied.created.iter().rev() {
        let api = api(client, object, resource, scope);
        while api
            .get_opt(&object.name_any())
            .await
            .map_err(call_failed("read", object))?
            .is_some()
        {
            if Instant::now() > deadline {
                return Err(ApplyError::StillThere {
                    kind: kind(object),
                    name: object.name_any(),
                });
            }
            sleep(Duration::from_millis(250)).await;
        }
    }
    Ok(())
}

/// Which resource an object is of. A kind that was defined a moment ago is waited for.
pub(crate) async fn resolve(
    client: &Client,
    object: &DynamicObject,
) -> Result<(ApiResource, ApiCapabilities), ApplyError> {
    let types = object.types.clone().unwrap_or_default();
    let (group, version) = types
        .api_version
        .split_once('/')
        .unwrap_or(("", &types.api_version));
    let gvk = GroupVersionKind::gvk(group, version, &types.kind);
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        match discovery::pinned_kind(client, &gvk).await {
            Ok(found) => return Ok(found),
            Err(source) if Instant::now() > deadline => {
                return Err(ApplyError::UnknownKind {
                    api_version: types.api_version.clone(),
                    kind: types.kind.clone(),
                    name: object.name_any(),
                    source: Box::new(source),
                });
            }
            Err(_) => sleep(Duration::from_millis(200)).await,
        }
    }
}

fn api(
    client: &Client,
    object: &DynamicObject,
    resource: &ApiResource,
    scope: &Scope,
) -> Api<DynamicObject> {
    match (scope, object.namespace()) {
        (Scope::Namespaced, Some(namespace)) => {
            Api::namespaced_with(client.clone(), &namespace, resource)
        }
        (Scope::Namespaced, None) => Api::default_namespaced_with(client.clone(), resource),
        (Scope::Cluster, _) => Api::all_with(client.clone(), resource),
    }
}

fn kind(object: &DynamicObject) -> String {
    object
        .types
        .as_ref()
        .map(|types| types.kind.clone())
        .unwrap_or_default()
}

fn call_failed(
    action: &'static str,
    object: &DynamicObject,
) -> impl FnOnce(kube::Error) -> ApplyError {
    let (kind, name) = (kind(object), object.name_any());
    move |source| ApplyError::Call {
        action,
        kind,
        name,
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[rstest::rstest]
    #[case(Scope::Namespaced, None, Some("there"))]
    #[case(Scope::Namespaced, Some("own"), Some("own"))]
    #[case(Scope::Cluster, None, None)]
    fn what_needs_a_namespace_and_names_none_gets_the_targets(
        #[case] scope: Scope,
        #[case] own: Option<&str>,
        #[case] expected: Option<&str>,
    ) {
        let object = serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "namespace": own},
        }))
        .unwrap();
        let placed = in_namespace(&object, &scope, "there");
        assert_eq!(placed.metadata.namespace.as_deref(), expected);
    }
}

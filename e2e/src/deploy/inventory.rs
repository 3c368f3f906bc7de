//! What runs before this one put into a cluster that is used again, so that nothing of theirs is left that this one does
//! not have: a fence that is off now must not be in force because it was on before.
//!
//! Written down in the cluster itself, where the next run finds it, whoever starts it and however the last one ended.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
};
use serde::{Deserialize, Serialize};

use super::{
    Applied, ApplyError, Manifests,
    apply::{FIELD_MANAGER, remove, resolve},
};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "failover-applied";
const KEY: &str = "objects";

/// What tells an object from all others.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity {
    api_version: String,
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    name: String,
}

impl Identity {
    /// An object that names no namespace, and needs one, is in `namespace`; one that needs none is none the worse for it.
    fn of(object: &DynamicObject, namespace: &str) -> Self {
        let types = object.types.clone().unwrap_or_default();
        Self {
            api_version: types.api_version,
            kind: types.kind,
            namespace: object.namespace().or_else(|| Some(namespace.to_owned())),
            name: object.name_any(),
        }
    }

    fn object(&self) -> Result<DynamicObject, serde_json::Error> {
        let mut object = serde_json::json!({
            "apiVersion": self.api_version, "kind": self.kind, "metadata": {"name": self.name},
        });
        if let Some(namespace) = &self.namespace {
            object["metadata"]["namespace"] = namespace.as_str().into();
        }
        serde_json::from_value(object)
    }
}

/// Removes what earlier runs applied and these manifests do not have, and writes down what they have; whether a bound
/// admission policy was among what was removed.
pub async fn take_over(
    client: &Client,
    manifests: &Manifests,
    namespace: &str,
) -> Result<bool, ApplyError> {
    let now: Vec<Identity> = manifests
        .objects
        .iter()
        .map(|object| Identity::of(object, namespace))
        .collect();
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), NAMESPACE);
    let found = maps.get_opt(NAME).await.map_err(failed("read"))?;
    let earlier = found.and_then(|map| map.data?.remove(KEY));
    let stale = stale(earlier.as_deref().unwrap_or("[]"), &now);
    let mut applied = Applied::default();
    for object in stale {
        match resolve(client, &object).await {
            Ok((resource, capabilities)) => applied.note(object, resource, capabilities.scope),
            // Its kind went with the definition, and its objects went with the kind.
            Err(ApplyError::UnknownKind { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let bound = applied.has_binding();
    // Written down first: what could not be removed is found again by the next run.
    let both = all(earlier.as_deref().unwrap_or("[]"), &now);
    write(&maps, &both).await?;
    remove(client, applied).await?;
    write(&maps, &now).await?;
    Ok(bound)
}

/// The objects written down that the manifests do not have. What can't be read was not written by this harness.
fn stale(earlier: &str, now: &[Identity]) -> Vec<DynamicObject> {
    identities(earlier)
        .iter()
        .filter(|identity| !now.contains(identity))
        .filter_map(|identity| identity.object().ok())
        .collect()
}

fn all(earlier: &str, now: &[Identity]) -> Vec<Identity> {
    let mut all = identities(earlier);
    for identity in now {
        if !all.contains(identity) {
            all.push(identity.clone());
        }
    }
    all
}

fn identities(text: &str) -> Vec<Identity> {
    serde_json::from_str(text).unwrap_or_default()
}

async fn write(maps: &Api<ConfigMap>, identities: &[Identity]) -> Result<(), ApplyError> {
    let text = serde_json::to_string(identities).unwrap_or_else(|_| "[]".to_owned());
    let mut map = ConfigMap {
        data: Some(BTreeMap::from([(KEY.to_owned(), text)])),
        ..ConfigMap::default()
    };
    map.metadata.name = Some(NAME.to_owned());
    let parameters = PatchParams::apply(FIELD_MANAGER).force();
    let written = maps.patch(NAME, &parameters, &Patch::Apply(&map)).await;
    written.map(drop).map_err(failed("write"))
}

fn failed(action: &'static str) -> impl FnOnce(kube::Error) -> ApplyError {
    move |source| ApplyError::Call {
        action,
        kind: "ConfigMap".to_owned(),
        name: NAME.to_owned(),
        source: Box::new(source),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identities(names: &[&str]) -> Vec<Identity> {
        let identity = |name: &&str| Identity {
            api_version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            namespace: Some("n".to_owned()),
            name: (*name).to_owned(),
        };
        names.iter().map(identity).collect()
    }

    #[test]
    fn what_an_earlier_run_applied_and_this_one_does_not_have_is_stale() {
        let earlier = serde_json::to_string(&identities(&["a", "b"])).unwrap();
        let stale = stale(&earlier, &identities(&["b", "c"]));
        let names: Vec<String> = stale.iter().map(ResourceExt::name_any).collect();
        assert_eq!(names, ["a"]);
        assert_eq!(stale[0].namespace().as_deref(), Some("n"));
        assert_eq!(all(&earlier, &identities(&["b", "c"])).len(), 3);
    }

    #[test]
    fn without_an_earlier_run_nothing_is_stale() {
        assert!(stale("[]", &identities(&["a"])).is_empty());
        assert!(stale("not json", &identities(&["a"])).is_empty());
    }

    #[test]
    fn what_names_no_namespace_is_where_the_target_is() {
        let object = identities(&["a"])[0].object().unwrap();
        assert_eq!(
            Identity::of(&object, "there").namespace.as_deref(),
            Some("n")
        );
        let mut bare = object;
        bare.metadata.namespace = None;
        assert_eq!(
            Identity::of(&bare, "there").namespace.as_deref(),
            Some("there")
        );
    }
}

//! What runs before this one put into a cluster that is used again, so that nothing of theirs is left that this one does
//! not have: a fence that is off now must not be in force because it was on before.
//!
//! Written down in the cluster itself, where the next run finds it, whoever starts it and however the last one ended.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, Patch, PatchParams},
    discovery::Scope,
};
use serde::{Deserialize, Serialize};

use super::{
    Manifests,
    apply::{Applied, ApplyError, FIELD_MANAGER, KEY, NAME, NAMESPACE, remove, resolve},
};

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
    /// An object that names no namespace, and needs one, is in `namespace`.
    fn of(object: &DynamicObject, namespace: &str) -> Self {
        let types = object.types.clone().unwrap_or_default();
        Self {
            api_version: types.api_version,
            kind: types.kind,
            namespace: object.namespace().or_else(|| Some(namespace.to_owned())),
            name: object.name_any(),
        }
    }

    /// Whether it is the same where there are no namespaces.
    fn is_same_in_the_cluster(&self, other: &Self) -> bool {
        let without = |identity: &Self| Self {
            namespace: None,
            ..identity.clone()
        };
        without(self) == without(other)
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
    let earlier = identities(found.and_then(|map| map.data?.remove(KEY)))?;
    let mut applied = Applied::default();
    for identity in stale(&earlier, &now) {
        let object = identity.object().map_err(ApplyError::Inventory)?;
        match resolve(client, &object).await {
            // Without a namespace, that it was applied for another one does not matter.
            Ok((_, capabilities))
                if capabilities.scope == Scope::Cluster
                    && now.iter().any(|own| own.is_same_in_the_cluster(identity)) => {}
            Ok((resource, capabilities)) => applied.note(object, resource, capabilities.scope),
            // Its kind went with the definition, and its objects went with the kind.
            Err(ApplyError::UnknownKind { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    let bound = applied.has_binding();
    // Written down first: what could not be removed is found again by the next run.
    write(&maps, &all(&earlier, &now)).await?;
    remove(client, applied).await?;
    write(&maps, &now).await?;
    Ok(bound)
}

/// What was written down and the manifests do not have.
fn stale<'a>(earlier: &'a [Identity], now: &[Identity]) -> Vec<&'a Identity> {
    let stale = earlier.iter().filter(|identity| !now.contains(identity));
    stale.collect()
}

fn all(earlier: &[Identity], now: &[Identity]) -> Vec<Identity> {
    let mut all = earlier.to_vec();
    for identity in now {
        if !all.contains(identity) {
            all.push(identity.clone());
        }
    }
    all
}

/// What is written down. What can't be read must not be taken for nothing: what it names would stay in force.
fn identities(text: Option<String>) -> Result<Vec<Identity>, ApplyError> {
    text.map_or_else(
        || Ok(Vec::new()),
        |text| serde_json::from_str(&text).map_err(ApplyError::Inventory),
    )
}

async fn write(maps: &Api<ConfigMap>, identities: &[Identity]) -> Result<(), ApplyError> {
    let text = serde_json::to_string(identities).map_err(ApplyError::Inventory)?;
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
    use failover_judging::samples::says;

    fn named(names: &[&str]) -> Vec<Identity> {
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
        let (earlier, now) = (named(&["a", "b"]), named(&["b", "c"]));
        assert_eq!(stale(&earlier, &now), [&earlier[0]]);
        assert_eq!(all(&earlier, &now).len(), 3);
        let text = serde_json::to_string(&earlier).unwrap();
        assert_eq!(identities(Some(text)).unwrap(), earlier);
        assert_eq!(identities(None).unwrap(), []);
    }

    #[test]
    fn a_list_that_can_not_be_read_is_not_an_empty_one() {
        let error = identities(Some("not json".to_owned())).unwrap_err();
        let message = error.to_string();
        says(&message, &["failover-applied", "objects"]);
    }

    #[test]
    fn what_names_no_namespace_is_where_the_target_is() {
        let object = named(&["a"])[0].object().unwrap();
        assert_eq!(
            Identity::of(&object, "there").namespace.as_deref(),
            Some("n")
        );
        let mut bare = object;
        bare.metadata.namespace = None;
        let here = Identity::of(&bare, "here");
        assert_eq!(here.namespace.as_deref(), Some("here"));
        let there = Identity::of(&bare, "there");
        assert!(here != there && here.is_same_in_the_cluster(&there));
    }
}

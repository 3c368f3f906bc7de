//! The removal, by the commands of the documents, and what it leaves.

use std::collections::BTreeSet;

use five_spot_e2e::deploy::{Applied, Manifests, apply};
use k8s_openapi::{
    api::rbac::v1::ClusterRole,
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams},
    core::{ApiResource, GroupVersionKind},
    discovery::{Discovery, Scope, verbs},
};

use crate::{
    images::Images,
    install::{documented, readme},
    rig::{DEPLOYMENT, NAMESPACE, Rig},
};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy/sample.yaml");
/// The `CatalogSource` of the documents.
const CATALOG_SOURCE: &str = "finos-5spot-catalog";
const DEFINITION: &str = "scheduledmachines.5spot.finos.org";

/// What is left in the namespace and is not named by a hash, with the words of the documents for it.
const LEFT: [(&str, &str, &str); 4] = [
    (
        "Role",
        "5spot-controller-election",
        "`5spot-controller-election`",
    ),
    (
        "RoleBinding",
        "5spot-controller-election",
        "`5spot-controller-election`",
    ),
    ("Lease", "5spot-leader", "`5spot-leader`"),
    ("ConfigMap", "5spot-fence", "`5spot-fence`"),
];

/// What OLM unpacked the bundles by, with the words of the documents for it.
const UNPACKED: [&str; 6] = [
    "ConfigMap",
    "Job",
    "Pod",
    "Role",
    "RoleBinding",
    "ServiceAccount",
];
const UNPACKED_WORDS: &str =
    "ConfigMaps, Jobs and their Pods, Roles, RoleBindings and ServiceAccounts";

/// Beginning of the names of cluster-wide objects that OLM leaves for the definition.
const CLUSTER_ROLES: &str = "scheduledmachines.5spot.finos.org-v1alpha1-";

/// Removes the operator, and compares what is left with what the documents say.
pub(crate) async fn uninstall(rig: &Rig<'_>, images: &Images) {
    let sample = Manifests::read(&[SAMPLE.into()]).unwrap();
    apply(&rig.client, &sample, NAMESPACE, &mut Applied::default())
        .await
        .unwrap();
    let (namespace, machine) = sample
        .objects
        .iter()
        .find(|object| {
            object
                .types
                .as_ref()
                .is_some_and(|types| types.kind == "ScheduledMachine")
        })
        .map(|object| {
            (
                object.namespace().unwrap_or_else(|| NAMESPACE.to_owned()),
                object.name_any(),
            )
        })
        .unwrap();
    let before = everything(rig).await;
    rig.shell(&documented("console", "delete subscription"))
        .await;
    let versions = rig.olm("ClusterServiceVersion");
    rig.until("waiting for the operator to be removed", async || {
        let gone = versions.get_opt(&images.this).await.ok()?.is_none()
            && rig.deployments().get_opt(DEPLOYMENT).await.ok()?.is_none()
            && rig.budgets().await.is_empty();
        gone.then_some(())
    })
    .await;
    let definitions: Api<CustomResourceDefinition> = Api::all(rig.client.clone());
    definitions.get(DEFINITION).await.unwrap();
    let machines = rig.api(
        &namespace,
        "5spot.finos.org",
        "v1alpha1",
        "ScheduledMachine",
    );
    machines.get(&machine).await.unwrap();
    let left = rig
        .until("waiting for what OLM owns to go", async || {
            let left = everything(rig).await;
            let goes = |kind: &str| {
                matches!(
                    kind,
                    "Pod"
                        | "ReplicaSet"
                        | "Deployment"
                        | "Service"
                        | "OperatorCondition"
                        | "EndpointSlice"
                )
            };
            let going = left
                .iter()
                .any(|(kind, name)| goes(kind) && name.starts_with(DEPLOYMENT));
            (!going).then_some(left)
        })
        .await;
    let removed: Vec<_> = before
        .difference(&left)
        .map(|(kind, name)| format!("{kind} {name}"))
        .collect();
    rig.step(&format!("removed: {}", removed.join(", ")));
    are_documented(&left);
    cluster_wide_is_documented(rig).await;

    rig.shell(&format!(
        "kubectl -n {NAMESPACE} delete catalogsource {CATALOG_SOURCE}"
    ))
    .await;
    rig.until(
        "waiting for what the bundles were unpacked by",
        async || {
            let left = everything(rig).await;
            (!left.iter().any(|(_, name)| is_hash(name))).then_some(())
        },
    )
    .await;
}

/// That the documents say what is left in the namespace.
fn are_documented(left: &BTreeSet<(String, String)>) {
    let documents = readme();
    for (kind, name) in left {
        let known = LEFT
            .iter()
            .find(|(of, called, _)| of == kind && called == name);
        let words = match known {
            Some((.., words)) => words,
            None if is_hash(name) && UNPACKED.contains(&kind.as_str()) => UNPACKED_WORDS,
            None => panic!("{kind} {name} is left, and the documents don't say so"),
        };
        assert!(
            documents.contains(words),
            "README.md says nothing of {words}"
        );
    }
    for (kind, name, _) in LEFT {
        assert!(
            left.contains(&(kind.to_owned(), name.to_owned())),
            "{kind} {name} is not left, as the documents say"
        );
    }
}

/// That the documents say what is left beside the namespace.
async fn cluster_wide_is_documented(rig: &Rig<'_>) {
    let documents = readme();
    let operators: Api<DynamicObject> = Api::all_with(
        rig.client.clone(),
        &ApiResource::from_gvk(&GroupVersionKind::gvk(
            "operators.coreos.com",
            "v1",
            "Operator",
        )),
    );
    let operator = format!("5-spot.{NAMESPACE}");
    operators.get(&operator).await.unwrap();
    assert!(documents.contains(&format!("`{operator}`")));
    assert!(documents.contains(&format!("`{CLUSTER_ROLES}")));
    let roles: Api<ClusterRole> = Api::all(rig.client.clone());
    let of_ours: Vec<String> = roles
        .list(&ListParams::default())
        .await
        .unwrap()
        .iter()
        .map(ResourceExt::name_any)
        .filter(|name| name.contains("5spot") || name.contains("5-spot"))
        .collect();
    assert!(
        !of_ours.is_empty() && of_ours.iter().all(|name| name.starts_with(CLUSTER_ROLES)),
        "{of_ours:?}"
    );
}

/// Whether OLM named it after the content of a bundle.
fn is_hash(name: &str) -> bool {
    name.len() > 40 && name.chars().all(char::is_alphanumeric)
}

/// Every object in the namespace that is not there whatever is installed, by kind and name.
async fn everything(rig: &Rig<'_>) -> BTreeSet<(String, String)> {
    let discovery = Discovery::new(rig.client.clone()).run().await.unwrap();
    let mut found = BTreeSet::new();
    for group in discovery.groups() {
        for (resource, capabilities) in group.resources_by_stability() {
            let lists = capabilities.scope == Scope::Namespaced
                && capabilities.supports_operation(verbs::LIST);
            if !lists || is_of_anybody(&resource.kind) {
                continue;
            }
            let api: Api<DynamicObject> =
                Api::namespaced_with(rig.client.clone(), NAMESPACE, &resource);
            let list = api.list(&ListParams::default()).await.unwrap();
            let objects = list
                .items
                .iter()
                .map(|object| (resource.kind.clone(), object.name_any()));
            found.extend(objects.filter(|(_, name)| !is_of_anybody_by_name(name)));
        }
    }
    found
}

/// What every namespace has, and what serves the catalog.
fn is_of_anybody_by_name(name: &str) -> bool {
    matches!(name, "kube-root-ca.crt" | "default") || name.contains(CATALOG_SOURCE)
}

/// What says nothing of the operator: what the user made, and what the cluster itself keeps.
fn is_of_anybody(kind: &str) -> bool {
    matches!(
        kind,
        "Event" | "OperatorGroup" | "CatalogSource" | "PodMetrics"
    )
}

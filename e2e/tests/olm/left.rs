//! What there is on the cluster, and which of it the documents say stays when the operator is removed.

use std::collections::BTreeSet;

use kube::{
    Api, ResourceExt,
    api::{DynamicObject, ListParams},
    discovery::{Discovery, Scope, verbs},
};

use crate::{
    install::readme,
    rig::{NAMESPACE, Rig},
};

pub(crate) const CATALOG_SOURCE: &str = "finos-5spot-catalog";
pub(crate) const OPERATOR_GROUP: &str = "all-namespaces";
/// What OLM makes for that group beside the namespace.
pub(crate) const OF_THE_GROUP: &str = "olm.og.all-namespaces.";

/// Kind and name of an object.
pub(crate) type Object = (String, String);

struct Stay {
    kinds: Vec<&'static str>,
    name: &'static str,
    words: &'static str,
}

/// Kinds, the name (`*` ends the beginning of one, `#` is one by the content of a bundle) and the words of the documents.
const STAYS: &str = "\
CustomResourceDefinition | scheduledmachines.5spot.finos.org | ScheduledMachines and their definition
APIService | v1alpha1.5spot.finos.org | `v1alpha1.5spot.finos.org`
ClusterRole | scheduledmachines.5spot.finos.org-v1alpha1-* | ClusterRoles `scheduledmachines.5spot.finos.org-v1alpha1-
Role | 5spot-controller-election | Role and RoleBinding `5spot-controller-election`
RoleBinding | 5spot-controller-election | Role and RoleBinding `5spot-controller-election`
Lease | 5spot-leader | `5spot-leader`
FlowSchema | 5spot-election | FlowSchema `5spot-election`
ConfigMap | 5spot-fence | `5spot-fence`
ConfigMap | 5spot-fence-shared | `5spot-fence-shared`
ValidatingAdmissionPolicy | 5spot-fence* | the fence
ValidatingAdmissionPolicyBinding | 5spot-fence* | the fence
ConfigMap Job Pod Role RoleBinding ServiceAccount | # | ConfigMaps, Jobs and their Pods, Roles, RoleBindings and ServiceAccounts
CatalogSource | finos-5spot-catalog | CatalogSource `finos-5spot-catalog`
Endpoints EndpointSlice NetworkPolicy Pod Service ServiceAccount | finos-5spot-catalog* | what serves it under the same name
OperatorGroup | all-namespaces | OperatorGroup `all-namespaces`
ClusterRole | olm.og.all-namespaces.* | ClusterRoles `olm.og.all-namespaces.
Operator | 5-spot.* | `Operator` object";

fn stays() -> Vec<Stay> {
    let rows = STAYS.lines().map(|row| {
        let cells: Vec<&str> = row.splitn(3, " | ").collect();
        Stay {
            kinds: cells[0].split(' ').collect(),
            name: cells[1],
            words: cells[2],
        }
    });
    rows.collect()
}

impl Stay {
    fn is(&self, (kind, name): &Object) -> bool {
        let is_named = match (self.name, self.name.strip_suffix('*')) {
            ("#", _) => is_hash(name),
            (_, Some(beginning)) => name.starts_with(beginning),
            (wanted, None) => name == wanted,
        };
        is_named && self.kinds.contains(&kind.as_str())
    }
}

/// Those of which the documents do not say that they stay.
pub(crate) fn undocumented(left: &BTreeSet<Object>) -> Vec<&Object> {
    let stays = stays();
    left.iter()
        .filter(|object| !stays.iter().any(|stay| stay.is(object)))
        .collect()
}

/// That the documents say of exactly these objects that they stay.
pub(crate) fn are_documented(left: &BTreeSet<Object>) {
    let undocumented = undocumented(left);
    assert!(
        undocumented.is_empty(),
        "left, and README.md doesn't say so: {undocumented:?}"
    );
    for stay in stays() {
        assert!(
            left.iter().any(|object| stay.is(object)),
            "README.md says that {} stays, and it does not: {left:?}",
            stay.words
        );
    }
}

/// What the documents say stays, row by row.
fn documented() -> Vec<String> {
    let readme = readme();
    let (_, table) = readme
        .split_once("\n| stays | until |\n|---|---|\n")
        .unwrap_or_else(|| panic!("README.md has no table of what stays"));
    table
        .lines()
        .take_while(|line| line.starts_with("| "))
        .filter_map(|line| line.split(" | ").next().map(str::to_owned))
        .collect()
}

#[test]
fn every_row_of_what_stays_is_looked_for_and_everything_looked_for_has_its_row() {
    let rows = documented();
    for stay in stays() {
        assert!(
            rows.iter().any(|row| row.contains(stay.words)),
            "README.md has no row for {}",
            stay.words
        );
    }
    for row in &rows {
        assert!(
            stays().iter().any(|stay| row.contains(stay.words)),
            "nothing is looked for that is in the row {row}"
        );
    }
}

/// Whether OLM named it after the content of a bundle.
pub(crate) fn is_hash(name: &str) -> bool {
    name.len() > 40 && name.chars().all(char::is_alphanumeric)
}

/// Every object in the namespace that is not there whatever is installed.
pub(crate) async fn in_namespace(rig: &Rig<'_>) -> BTreeSet<Object> {
    let is_of_anybody = |kind: &str| matches!(kind, "Event" | "PodMetrics");
    let mut found = list(rig, &Scope::Namespaced, |kind| !is_of_anybody(kind)).await;
    found.retain(|(_, name)| !matches!(name.as_str(), "kube-root-ca.crt" | "default"));
    found
}

/// Every object beside the namespaces of a kind that OLM, a bundle or the documents may make.
pub(crate) async fn cluster_wide(rig: &Rig<'_>) -> BTreeSet<Object> {
    let is_made = |kind: &str| {
        matches!(
            kind,
            "APIService"
                | "ClusterRole"
                | "ClusterRoleBinding"
                | "CustomResourceDefinition"
                | "FlowSchema"
                | "MutatingWebhookConfiguration"
                | "Operator"
                | "PriorityClass"
                | "ValidatingAdmissionPolicy"
                | "ValidatingAdmissionPolicyBinding"
                | "ValidatingWebhookConfiguration"
        )
    };
    let mut found = list(rig, &Scope::Cluster, is_made).await;
    // OLM makes those of its own groups whenever it gets round to it.
    found.retain(|(_, name)| !name.starts_with("olm.og.") || name.starts_with(OF_THE_GROUP));
    found
}

/// The objects of these kinds; of those in namespaces, in the operator's.
async fn list(rig: &Rig<'_>, scope: &Scope, is_asked: impl Fn(&str) -> bool) -> BTreeSet<Object> {
    let discovery = Discovery::new(rig.client.clone()).run().await.unwrap();
    let mut found = BTreeSet::new();
    for group in discovery.groups() {
        for (resource, capabilities) in group.resources_by_stability() {
            let lists =
                capabilities.scope == *scope && capabilities.supports_operation(verbs::LIST);
            if !lists || !is_asked(&resource.kind) {
                continue;
            }
            let api: Api<DynamicObject> = match scope {
                Scope::Cluster => Api::all_with(rig.client.clone(), &resource),
                Scope::Namespaced => Api::namespaced_with(rig.client.clone(), NAMESPACE, &resource),
            };
            let list = api.list(&ListParams::default()).await.unwrap();
            let names = list.items.iter().map(ResourceExt::name_any);
            found.extend(names.map(|name| (resource.kind.clone(), name)));
        }
    }
    found
}

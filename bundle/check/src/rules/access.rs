//! What the operator may do.

use std::collections::BTreeSet;

use crate::{
    document::Node,
    finding::Findings,
    rule::Rule,
    subject::{Deployment, Subject},
};

pub(super) const RULES: &[Rule] = &[
    Rule::warning("access/namespaced", namespaced)
        .holds("Where AllNamespaces is supported, the ClusterServiceVersion has no namespaced permissions; they are a Role and a \
                RoleBinding of the bundle.")
        .why("In that mode OLM v0 and v1 make ClusterRoles of them, and the right holds everywhere."),
    Rule::warning("access/leases", leases)
        .holds("Rights on Leases are in a Role only, and all but create name the Lease.")
        .why("Whoever may write any Lease can unseat the leader of any operator, and of the control plane."),
    Rule::warning("access/wildcard", wildcard)
        .holds("No right is granted by *, but for the resources of an API group that Kubernetes itself has no part in.")
        .why("It grants what nobody reviewed, and what future versions of Kubernetes add. The kinds of providers, such as \
              those of Cluster API, can't be known."),
    Rule::warning("access/definitions", definitions)
        .holds("The operator may not create or patch CustomResourceDefinitions.")
        .why("OLM installs and upgrades them; an operator that does so too fights with it."),
    Rule::error("access/account-manifest", account_manifest)
        .holds("No ServiceAccount manifest is named like the account of a Deployment.")
        .why("OLM creates that one; two owners of one object make the install fail."),
    Rule::error("access/account", account)
        .holds("Rights are granted to accounts of the bundle, and every Deployment runs as one of those.")
        .why("Otherwise the operator runs without the rights, and nothing says so before it is refused."),
    Rule::error("access/binding", binding)
        .holds("Every Role of the bundle is bound, and every RoleBinding to a Role is to one of the bundle or of Kubernetes.")
        .why("A Role that nobody is bound to grants nothing."),
];

const CLUSTER_PERMISSIONS: &str = "/spec/install/spec/clusterPermissions";
const PERMISSIONS: &str = "/spec/install/spec/permissions";

/// All rights that are granted anywhere in the bundle, each with whether it holds in the whole cluster.
fn rights<'a>(subject: &Subject<'a>) -> Vec<(Node<'a>, bool)> {
    let mut rights = Vec::new();
    let mut add = |holder: &Node<'a>, is_cluster_wide| {
        let rules = holder.items("/rules").into_iter();
        rights.extend(rules.map(|rule| (rule, is_cluster_wide)));
    };
    if let Some(csv) = subject.csv() {
        for (list, is_cluster_wide) in [(CLUSTER_PERMISSIONS, true), (PERMISSIONS, false)] {
            for holder in csv.items(list) {
                add(&holder, is_cluster_wide);
            }
        }
    }
    for (kind, is_cluster_wide) in [("ClusterRole", true), ("Role", false)] {
        for role in subject.of_kind(kind) {
            add(&role, is_cluster_wide);
        }
    }
    rights
}

fn namespaced(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    if subject.supports("AllNamespaces") && !csv.items(PERMISSIONS).is_empty() {
        let message =
            "spec.install.spec.permissions is not empty: must be a Role and a RoleBinding instead";
        findings.at(&csv.at(PERMISSIONS), message);
    }
}

fn leases(subject: &Subject, findings: &mut Findings) {
    for (rule, is_cluster_wide) in rights(subject) {
        if !rule.words("/resources").contains(&"leases") {
            continue;
        }
        if is_cluster_wide {
            let message = "rights on leases in the whole cluster: must be in a Role";
            findings.at(&rule, message);
        }
        let mut unnamed = rule.words("/verbs");
        unnamed.retain(|verb| *verb != "create");
        if rule.words("/resourceNames").is_empty() && !unnamed.is_empty() {
            let message =
                format!("verbs {unnamed:?} on leases without resourceNames: must name the Lease");
            findings.at(&rule, message);
        }
    }
}

fn wildcard(subject: &Subject, findings: &mut Findings) {
    for (rule, _) in rights(subject) {
        for field in ["apiGroups", "resources", "verbs"] {
            let mut groups = rule.words("/apiGroups").into_iter();
            let is_of_providers = field == "resources" && !groups.any(is_of_kubernetes);
            let place = rule.at(&format!("/{field}"));
            if place.words("").contains(&"*") && !is_of_providers {
                findings.at(
                    &place,
                    format!("{field} has \"*\": must name what is meant"),
                );
            }
        }
    }
}

/// Whether an API group is one of Kubernetes, as `apps` and `storage.k8s.io` are, and `cluster.x-k8s.io` is not.
fn is_of_kubernetes(group: &str) -> bool {
    !group.contains('.') || group.ends_with(".k8s.io")
}

fn definitions(subject: &Subject, findings: &mut Findings) {
    for (rule, _) in rights(subject) {
        let mut verbs = rule.words("/verbs").into_iter();
        let changes = verbs.find(|verb| ["create", "patch", "update"].contains(verb));
        if rule
            .words("/resources")
            .contains(&"customresourcedefinitions")
            && let Some(verb) = changes
        {
            let message = format!("verb {verb:?} on customresourcedefinitions");
            findings.at(&rule, message);
        }
    }
}

/// The accounts that pods run as.
fn accounts<'a>(subject: &Subject<'a>) -> BTreeSet<&'a str> {
    let deployments = subject.deployments();
    deployments.iter().map(Deployment::account).collect()
}

fn account_manifest(subject: &Subject, findings: &mut Findings) {
    let accounts = accounts(subject);
    for manifest in subject.of_kind("ServiceAccount") {
        let name = manifest.at("/metadata/name");
        if accounts.contains(name.text("")) {
            let message =
                format!("ServiceAccount {name} is the account of a Deployment, which OLM creates");
            findings.at(&name, message);
        }
    }
}

fn account(subject: &Subject, findings: &mut Findings) {
    let accounts = accounts(subject);
    let manifests: BTreeSet<_> = subject
        .of_kind("ServiceAccount")
        .map(|manifest| manifest.text("/metadata/name"))
        .collect();
    let is_known = |name: &str| accounts.contains(name) || manifests.contains(name);
    let mut granted = BTreeSet::new();
    if let Some(csv) = subject.csv() {
        for list in [CLUSTER_PERMISSIONS, PERMISSIONS] {
            for holder in csv.items(list) {
                let name = holder.text("/serviceAccountName");
                granted.insert(name);
                if !is_known(name) {
                    let message =
                        format!("serviceAccountName is {name:?}, which no Deployment runs as");
                    findings.at(&holder.at("/serviceAccountName"), message);
                }
            }
        }
    }
    for (one, name) in bound_accounts(subject) {
        granted.insert(name);
        // An account of another namespace, such as that of Prometheus, is not the bundle's.
        if one.get("/namespace").is_none() && !is_known(name) {
            let message = format!("ServiceAccount {name:?} is of no Deployment");
            findings.at(&one.at("/name"), message);
        }
    }
    for deployment in subject.deployments() {
        let account = deployment.account();
        if !granted.contains(account) {
            let name = deployment.name();
            let message = format!("Deployment {name}: its account {account:?} has no rights");
            findings.at(&deployment.pod("/serviceAccountName"), message);
        }
    }
}

/// The accounts of kind ServiceAccount that anything is bound to, with their names.
pub(super) fn bound_accounts<'a>(
    subject: &Subject<'a>,
) -> impl Iterator<Item = (Node<'a>, &'a str)> {
    let bindings = ["RoleBinding", "ClusterRoleBinding"].map(|kind| subject.of_kind(kind));
    bindings
        .into_iter()
        .flatten()
        .flat_map(|binding| binding.items("/subjects"))
        .filter(|one| one.text("/kind") == "ServiceAccount")
        .map(|one| (one.clone(), one.text("/name")))
}

/// Roles of Kubernetes that operators bind to.
const ROLES_OF_KUBERNETES: [&str; 1] = ["extension-apiserver-authentication-reader"];

fn binding(subject: &Subject, findings: &mut Findings) {
    let roles: BTreeSet<_> = subject
        .of_kind("Role")
        .map(|role| role.text("/metadata/name"))
        .collect();
    let mut bound = BTreeSet::new();
    for binding in subject.of_kind("RoleBinding") {
        if binding.text("/roleRef/kind") != "Role" {
            continue;
        }
        let name = binding.text("/roleRef/name");
        bound.insert(name);
        if !roles.contains(name) && !ROLES_OF_KUBERNETES.contains(&name) {
            let message = format!("Role {name:?} is not in the bundle");
            findings.at(&binding.at("/roleRef/name"), message);
        }
    }
    for role in subject.of_kind("Role") {
        let name = role.text("/metadata/name");
        if !bound.contains(name) {
            let message = format!("no RoleBinding refers to Role {name:?}");
            findings.at(&role.at("/metadata/name"), message);
        }
    }
}

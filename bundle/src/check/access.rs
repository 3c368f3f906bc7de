//! What the operator may do.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Findings, Level, Needs, Rule, Subject};
use crate::document::Document;

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "access/namespaced",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "Where AllNamespaces is supported, the ClusterServiceVersion has no namespaced permissions; they are a Role and a \
                RoleBinding of the bundle.",
        why: "In that mode OLM v0 and v1 make ClusterRoles of them, and the right holds everywhere.",
        check: namespaced,
    },
    Rule {
        code: "access/leases",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "Rights on Leases are in a Role only, and all but create name the Lease.",
        why: "Whoever may write any Lease can unseat the leader of any operator, and of the control plane.",
        check: leases,
    },
    Rule {
        code: "access/wildcard",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "No right is granted by *, but for the resources of an API group that Kubernetes itself has no part in.",
        why: "It grants what nobody looked at, and what future versions of Kubernetes add. The kinds of providers, such as \
              those of Cluster API, can't be known.",
        check: wildcard,
    },
    Rule {
        code: "access/definitions",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "The operator may not create or patch CustomResourceDefinitions.",
        why: "OLM installs and upgrades them; an operator that does so too fights with it.",
        check: definitions,
    },
    Rule {
        code: "access/account-manifest",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "No ServiceAccount manifest is named like the account of a Deployment.",
        why: "OLM creates that one; two owners of one object make the install fail.",
        check: account_manifest,
    },
    Rule {
        code: "access/account",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "Rights are granted to accounts of the bundle, and every Deployment runs as one of those.",
        why: "Otherwise the operator runs without the rights, and nothing says so before it is refused.",
        check: account,
    },
    Rule {
        code: "access/binding",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "Every Role of the bundle is bound, and every RoleBinding to a Role is to one of the bundle or of Kubernetes.",
        why: "A Role that nobody is bound to grants nothing.",
        check: binding,
    },
];

const CLUSTER_PERMISSIONS: &str = "/spec/install/spec/clusterPermissions";
const PERMISSIONS: &str = "/spec/install/spec/permissions";

/// A list of rules, and whether it holds in the whole cluster.
struct Rules<'a> {
    document: &'a Document,
    pointer: String,
    is_cluster_wide: bool,
}

impl<'a> Rules<'a> {
    fn each(&self) -> impl Iterator<Item = (String, &'a Value)> {
        let rules = self.document.list(&self.pointer).iter().enumerate();
        let pointer = self.pointer.clone();
        rules.map(move |(index, rule)| (format!("{pointer}/{index}"), rule))
    }
}

/// All rules that are granted anywhere in the bundle.
fn all<'a>(subject: &Subject<'a>) -> Vec<Rules<'a>> {
    let mut all = Vec::new();
    if let Some(csv) = subject.csv() {
        for (list, is_cluster_wide) in [(CLUSTER_PERMISSIONS, true), (PERMISSIONS, false)] {
            all.extend((0..csv.list(list).len()).map(|index| Rules {
                document: csv,
                pointer: format!("{list}/{index}/rules"),
                is_cluster_wide,
            }));
        }
    }
    for (kind, is_cluster_wide) in [("ClusterRole", true), ("Role", false)] {
        all.extend(subject.of_kind(kind).map(|document| Rules {
            document,
            pointer: "/rules".to_owned(),
            is_cluster_wide,
        }));
    }
    all
}

fn words<'a>(rule: &'a Value, field: &str) -> Vec<&'a str> {
    let words = rule.get(field).and_then(Value::as_array);
    words
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

fn namespaced(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    if subject.supports("AllNamespaces") && !csv.list(PERMISSIONS).is_empty() {
        let message =
            "spec.install.spec.permissions is not empty: must be a Role and a RoleBinding instead";
        findings.at(csv, PERMISSIONS, message);
    }
}

fn leases(subject: &Subject, findings: &mut Findings) {
    for rules in all(subject) {
        for (pointer, rule) in rules.each() {
            if !words(rule, "resources").contains(&"leases") {
                continue;
            }
            if rules.is_cluster_wide {
                findings.at(
                    rules.document,
                    &pointer,
                    "rights on leases in the whole cluster: must be in a Role",
                );
            }
            let verbs = words(rule, "verbs");
            let unnamed: Vec<_> = verbs.iter().filter(|verb| **verb != "create").collect();
            if words(rule, "resourceNames").is_empty() && !unnamed.is_empty() {
                let message = format!(
                    "verbs {unnamed:?} on leases without resourceNames: must name the Lease"
                );
                findings.at(rules.document, &pointer, message);
            }
        }
    }
}

fn wildcard(subject: &Subject, findings: &mut Findings) {
    for rules in all(subject) {
        for (pointer, rule) in rules.each() {
            for field in ["apiGroups", "resources", "verbs"] {
                let is_of_providers = field == "resources"
                    && !words(rule, "apiGroups").into_iter().any(is_of_kubernetes);
                if words(rule, field).contains(&"*") && !is_of_providers {
                    let message = format!("{field} has \"*\": must name what is meant");
                    findings.at(rules.document, &format!("{pointer}/{field}"), message);
                }
            }
        }
    }
}

/// Whether an API group is one of Kubernetes, as `apps` and `storage.k8s.io` are, and `cluster.x-k8s.io` is not.
fn is_of_kubernetes(group: &str) -> bool {
    !group.contains('.') || group.ends_with(".k8s.io")
}

fn definitions(subject: &Subject, findings: &mut Findings) {
    for rules in all(subject) {
        for (pointer, rule) in rules.each() {
            let verbs = words(rule, "verbs");
            let changes = verbs
                .iter()
                .find(|verb| ["create", "patch", "update"].contains(verb));
            if words(rule, "resources").contains(&"customresourcedefinitions")
                && let Some(verb) = changes
            {
                findings.at(
                    rules.document,
                    &pointer,
                    format!("verb {verb:?} on customresourcedefinitions"),
                );
            }
        }
    }
}

/// The accounts that pods run as.
fn accounts<'a>(subject: &Subject<'a>) -> BTreeSet<&'a str> {
    subject
        .deployments()
        .iter()
        .map(super::subject::Deployment::account)
        .collect()
}

fn account_manifest(subject: &Subject, findings: &mut Findings) {
    let accounts = accounts(subject);
    for manifest in subject.of_kind("ServiceAccount") {
        let name = manifest.text("/metadata/name").unwrap_or_default();
        if accounts.contains(name) {
            let message = format!(
                "ServiceAccount {name:?} is the account of a Deployment, which OLM creates"
            );
            findings.at(manifest, "/metadata/name", message);
        }
    }
}

fn account(subject: &Subject, findings: &mut Findings) {
    let accounts = accounts(subject);
    let manifests: BTreeSet<_> = subject
        .of_kind("ServiceAccount")
        .filter_map(|manifest| manifest.text("/metadata/name"))
        .collect();
    let is_known = |name: &str| accounts.contains(name) || manifests.contains(name);
    let mut granted = BTreeSet::new();
    if let Some(csv) = subject.csv() {
        for list in [CLUSTER_PERMISSIONS, PERMISSIONS] {
            for index in 0..csv.list(list).len() {
                let pointer = format!("{list}/{index}/serviceAccountName");
                let name = csv.text(&pointer).unwrap_or_default();
                granted.insert(name);
                if !is_known(name) {
                    findings.at(
                        csv,
                        &pointer,
                        format!("serviceAccountName is {name:?}, which no Deployment runs as"),
                    );
                }
            }
        }
    }
    for kind in ["RoleBinding", "ClusterRoleBinding"] {
        for binding in subject.of_kind(kind) {
            for (index, one) in binding.list("/subjects").iter().enumerate() {
                let text = |field: &str| one.get(field).and_then(Value::as_str).unwrap_or_default();
                if text("kind") != "ServiceAccount" {
                    continue;
                }
                granted.insert(text("name"));
                // An account of another namespace, such as that of Prometheus, is not the bundle's.
                if one.get("namespace").is_none() && !is_known(text("name")) {
                    let message = format!("ServiceAccount {:?} is of no Deployment", text("name"));
                    findings.at(binding, &format!("/subjects/{index}/name"), message);
                }
            }
        }
    }
    for deployment in subject.deployments() {
        let account = deployment.account();
        if !granted.contains(account) {
            let message = format!(
                "Deployment {}: its account {account:?} has no rights",
                deployment.name()
            );
            findings.at(
                deployment.csv,
                &deployment.pod("/serviceAccountName"),
                message,
            );
        }
    }
}

/// Roles of Kubernetes that operators bind to.
const ROLES_OF_KUBERNETES: [&str; 1] = ["extension-apiserver-authentication-reader"];

fn binding(subject: &Subject, findings: &mut Findings) {
    let roles: BTreeSet<_> = subject
        .of_kind("Role")
        .filter_map(|role| role.text("/metadata/name"))
        .collect();
    let mut bound = BTreeSet::new();
    for binding in subject.of_kind("RoleBinding") {
        if binding.text("/roleRef/kind") != Some("Role") {
            continue;
        }
        let name = binding.text("/roleRef/name").unwrap_or_default();
        bound.insert(name);
        if !roles.contains(name) && !ROLES_OF_KUBERNETES.contains(&name) {
            findings.at(
                binding,
                "/roleRef/name",
                format!("Role {name:?} is not in the bundle"),
            );
        }
    }
    for role in subject.of_kind("Role") {
        let name = role.text("/metadata/name").unwrap_or_default();
        if !bound.contains(name) {
            findings.at(
                role,
                "/metadata/name",
                format!("Role {name:?} is bound to nobody"),
            );
        }
    }
}

//! `deploy/rbac.yaml`: the account, and the rights of [`RIGHTS`].

use lease_election::fence::{comment, list};

use crate::access::{LEASE, NAMESPACE, RIGHTS, Reach, Right, SERVICE_ACCOUNT};

/// The ServiceAccount, its roles and their bindings as YAML, ready to apply.
pub fn rbac_yaml() -> String {
    let (own, cluster) = (rules(Reach::OwnNamespace), rules(Reach::Cluster));
    let election = format!("{SERVICE_ACCOUNT}-election");
    let own_bound = binding("Role", &election);
    let cluster_bound = binding("ClusterRole", SERVICE_ACCOUNT);
    format!(
        r"# Everything that the operator may do, and nothing that it does not do.
#
# Generated from src/access.rs by `five-spot rbac`; edits are lost.
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {SERVICE_ACCOUNT}
  namespace: {NAMESPACE}
  labels:
    app: {SERVICE_ACCOUNT}
---
# The election and what belongs to it: in this namespace only, and only on the objects that are meant where Kubernetes
# can tell them apart.
#
# Another LEASE_NAME in operator.yaml needs the same name in place of {LEASE} here and in fence.yaml.
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {election}
  namespace: {NAMESPACE}
  labels:
    app: {SERVICE_ACCOUNT}
rules:
{own}
---
{own_bound}
---
# The work. Users put their ScheduledMachines into namespaces of their own, so this is for the whole cluster.
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: {SERVICE_ACCOUNT}
  labels:
    app: {SERVICE_ACCOUNT}
rules:
{cluster}
---
{cluster_bound}
"
    )
}

fn rules(reach: Reach) -> String {
    let rules: Vec<_> = RIGHTS
        .iter()
        .filter(|right| right.reach == reach)
        .map(rule)
        .collect();
    rules.join("\n")
}

fn rule(right: &Right) -> String {
    let mut lines = vec![
        comment(right.why, 2),
        format!("  - apiGroups: {}", list(&[right.group])),
        format!("    resources: {}", list(&[right.resource])),
    ];
    if !right.names.is_empty() {
        lines.push(format!("    resourceNames: {}", list(right.names)));
    }
    lines.push(format!("    verbs: {}", list(right.verbs)));
    lines.join("\n")
}

fn binding(kind: &str, name: &str) -> String {
    let namespace = match kind {
        "Role" => format!("\n  namespace: {NAMESPACE}"),
        _ => String::new(),
    };
    format!(
        r"apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}Binding
metadata:
  name: {name}{namespace}
  labels:
    app: {SERVICE_ACCOUNT}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {kind}
  name: {name}
subjects:
  - kind: ServiceAccount
    name: {SERVICE_ACCOUNT}
    namespace: {NAMESPACE}"
    )
}

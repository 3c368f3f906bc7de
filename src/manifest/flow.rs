//! `deploy/flow-schema.yaml`: the priority that the API server gives to the operator's calls about Leases.

use lease_election::fence::{comment, list};

use crate::access::{FLOW_SCHEMA, RIGHTS, Reach, Right, SERVICE_ACCOUNT};

/// The group of Leases.
const COORDINATION: &str = "coordination.k8s.io";

/// Where the schema stands among all that may match a call; the lowest number wins. Those of Kubernetes for its own
/// elections and nodes are at 100 to 900, `service-accounts` is at 9000 and `global-default` at 9900
/// (kubernetes, `staging/src/k8s.io/api/flowcontrol` and `apiserver/pkg/apis/flowcontrol/bootstrap`).
const PRECEDENCE: u32 = 950;

/// The FlowSchema as YAML, ready to apply, for an operator in this namespace.
pub fn flow_schema_yaml(namespace: &str) -> String {
    let (group, resources, verbs) = (list(&[COORDINATION]), list(&["leases"]), list(&verbs()));
    let why = comment(
        "Before service-accounts (9000) and global-default (9900), which take all else that the operator asks for.",
        2,
    );
    format!(
        r"# Lets no amount of work hold up a renewal: the API server serves the operator's calls about Leases at the priority
# level of the elections of Kubernetes itself. Without it they are of one flow with all else that the operator asks for,
# at the level workload-low, whose seats all ServiceAccounts share
# (https://kubernetes.io/docs/concepts/cluster-administration/flow-control).
#
# Needs Kubernetes 1.29, the right to create FlowSchemas, which are of the whole cluster, and the priority level
# leader-election, which every API server makes by itself. Where that level is missing, nothing changes. It is optional:
# to leave it out, delete its line from kustomization.yaml.
#
# The names of the ServiceAccount and its namespace must be those of rbac.yaml.
#
# Generated from src/access.rs by `five-spot flow-schema`; edits are lost.
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata:
  name: {FLOW_SCHEMA}
  labels:
    app: {SERVICE_ACCOUNT}
spec:
{why}
  matchingPrecedence: {PRECEDENCE}
  priorityLevelConfiguration:
    name: leader-election
  distinguisherMethod:
    type: ByUser
  rules:
    - subjects:
        - kind: ServiceAccount
          serviceAccount:
            name: {SERVICE_ACCOUNT}
            namespace: {namespace}
      resourceRules:
        - apiGroups: {group}
          resources: {resources}
          verbs: {verbs}
          namespaces: {namespaces}
",
        namespaces = list(&[namespace]),
    )
}

/// What the operator may do with Leases.
fn verbs() -> Vec<&'static str> {
    let about_leases = |right: &&Right| {
        right.group == COORDINATION
            && right.resource == "leases"
            && right.reach == Reach::OwnNamespace
    };
    let rights = RIGHTS.iter().filter(about_leases);
    rights.flat_map(|right| right.verbs).copied().collect()
}

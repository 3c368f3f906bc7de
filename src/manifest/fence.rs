//! `deploy/fence.yaml`: the Lease, and the policies by which the API server refuses the work writes of [`RIGHTS`] to all
//! replicas but the holder of the Lease.

use super::{comment, list};
use crate::{
    access::{Guard, RIGHTS, Right, SERVICE_ACCOUNT, user_name},
    fence::{BEHIND, IN_FORCE, Policy},
    leader::HOLDER_POD_ANNOTATION,
};

/// Where the API server says which pod a ServiceAccount's token was made for, by name and by UID. A token bound to a pod
/// has both (<https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/>).
const POD_OF_TOKEN: &str = "authentication.kubernetes.io/pod-name";
const UID_OF_TOKEN: &str = "authentication.kubernetes.io/pod-uid";

/// The probes, the policies and their bindings as YAML, ready to apply, for an operator in this namespace that elects by
/// this Lease.
pub fn fence_yaml(namespace: &str, lease: &str) -> String {
    let [strict_probe, lenient_probe] = Policy::ALL.map(|name| probe(name, namespace));
    let [strict, lenient] = Policy::ALL.map(|name| policy(name, namespace));
    let strict_binding = binding(
        Policy::Strict,
        (namespace, lease),
        "# Nobody leads before there is a Lease.",
        "Deny",
    );
    let lenient_binding = binding(
        Policy::Lenient,
        (namespace, lease),
        "# Without a Lease nobody could change a Node otherwise, kubelet included.",
        "Allow",
    );
    format!(
        r#"# The fence: the API server itself refuses what only a leader may write to every replica that does not hold the
# Lease. A leader that was stopped or cut off, and does not know yet that it is none any more, is refused then.
#
# Needs Kubernetes 1.30. Whoever applies it must be allowed to read Leases. It is about the operator's ServiceAccount
# and about no other user. To leave it out, delete its line from kustomization.yaml and set FENCE_PROBE to "" in
# operator.yaml; without ENABLE_LEADER_ELECTION it has to be left out, as nobody holds the Lease then.
#
# Do not delete the bindings to switch the fence off for a while: an API server that has seen no binding for a second
# stops following Leases until it is restarted (kubernetes/kubernetes issue 130887), and a fence that is applied again
# would know the leader of that day and refuse all later ones. Set validationActions of both to [Audit] instead. The
# replicas notice either and say so; while one of them is off, no hint is acted on.
#
# The names of the ServiceAccount, the namespace and the Lease in it must be those of rbac.yaml and operator.yaml.
#
# Generated from src/access.rs by `five-spot fence`; edits are lost.
#
# There are two policies. One guards what only the operator writes, and refuses where it can't tell who leads. The other
# guards what others write too, such as Nodes, and lets pass where it can't tell: nobody else is to suffer from it.
#
# The Lease that they go by. It is here, and empty, because without it the API server would refuse the status of
# ScheduledMachines to everybody. The operator makes a new one when it is deleted; applying this again changes nothing in
# it.
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata:
  # LEASE_NAME in operator.yaml.
  name: {lease}
  namespace: {namespace}
  labels:
    app: {SERVICE_ACCOUNT}
---
# The replicas test each policy by a dry run on an object of its name. Neither is ever changed, and they hold nothing.
{strict_probe}
---
{lenient_probe}
---
{strict}
---
{strict_binding}
---
{lenient}
---
{lenient_binding}
"#
    )
}

/// A policy: its rules, and what all policies of the fence say.
fn policy(policy: Policy, namespace: &str) -> String {
    let user = user_name(namespace);
    let (guard, failure_policy) = match policy {
        Policy::Strict => (
            Guard::Strict,
            "# Where it can't be told whether a replica leads, it does not write.
  failurePolicy: Fail",
        ),
        Policy::Lenient => (
            Guard::Lenient,
            "# Others write these kinds too, and nobody is to be refused because it can't be told who leads.
  failurePolicy: Ignore",
        ),
    };
    let rules: Vec<_> = RIGHTS
        .iter()
        .filter(|right| right.guard == guard)
        .map(rule)
        .collect();
    let rules = rules.join("\n");
    let pod = of_token(POD_OF_TOKEN);
    let uid = of_token(UID_OF_TOKEN);
    format!(
        r#"apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {policy}
  labels:
    app: {SERVICE_ACCOUNT}
spec:
  {failure_policy}
  paramKind:
    apiVersion: coordination.k8s.io/v1
    kind: Lease
  matchConstraints:
    # The work writes of src/access.rs. Leases are exempt, because they are how a replica becomes the holder, and Events
    # are, because a standby reports as well.
    resourceRules:
{rules}
  matchConditions:
    - name: operator
      expression: request.userInfo.username == '{user}'
  variables:
    # The pod that the request's token was made for. The API server vouches for it; a token bound to no pod has none.
    - name: pod
      expression: >-
{pod}
    # Its UID, by which it differs from an earlier or later pod of the same name.
    - name: uid
      expression: >-
{uid}
    # A Lease that was given back names nobody.
    - name: holder
      expression: "has(params.spec) && has(params.spec.holderIdentity) ? params.spec.holderIdentity : ''"
    # <name>/<uid> of the holder's pod, where the holder wrote it. An elector that does not know the annotation leaves that
    # of an earlier holder as it is, so it counts only where it names this one.
    - name: holderPod
      expression: >-
        has(params.metadata.annotations) && '{HOLDER_POD_ANNOTATION}' in params.metadata.annotations
        && params.metadata.annotations['{HOLDER_POD_ANNOTATION}'].startsWith(variables.holder + '/')
        ? params.metadata.annotations['{HOLDER_POD_ANNOTATION}'] : ''
    # What only the tests of the fence write.
    - name: test
      expression: >-
        request.resource.group == '' && request.resource.resource == 'configmaps' && has(dyn(object).data)
        ? dyn(object).data : {{}}
  validations:
    # The tester says when the Lease was renewed by what it knows. An API server that reads older news does not follow the
    # Lease. It comes first, because of all denials the first is what the tester is told.
    - expression: >-
        !('renewed' in variables.test) || (has(params.spec) && has(params.spec.renewTime)
        && timestamp(dyn(params.spec.renewTime)) >= timestamp(variables.test.renewed))
      reason: Invalid
      message: {BEHIND}
    - expression: >-
        variables.pod != '' && variables.pod == variables.holder
        && (variables.holderPod == '' || variables.holderPod == variables.pod + '/' + variables.uid)
      reason: Forbidden
      message: only the holder of the Lease may write
      messageExpression: >-
        'only the holder of the Lease ' + params.metadata.namespace + '/' + params.metadata.name + ' may write: '
        + (variables.holder == '' ? 'nobody' : (variables.holderPod == '' ? variables.holder : variables.holderPod))
        + ' holds it, and the request is of '
        + (variables.pod == '' ? 'a token bound to no pod' : variables.pod + '/' + variables.uid)
    # Refused to the holder too, who could not see otherwise whether the policy is in force.
    - expression: "!('refuse' in variables.test)"
      reason: Forbidden
      message: {IN_FORCE}"#
    )
}

/// What the token of a request says under `key`, where it says one thing.
fn of_token(key: &str) -> String {
    format!(
        r"        has(request.userInfo.extra) && '{key}' in request.userInfo.extra
        && request.userInfo.extra['{key}'].size() == 1
        ? request.userInfo.extra['{key}'][0] : ''"
    )
}

/// The object that a policy is tested on.
fn probe(policy: Policy, namespace: &str) -> String {
    format!(
        r"apiVersion: v1
kind: ConfigMap
metadata:
  name: {policy}
  namespace: {namespace}
  labels:
    app: {SERVICE_ACCOUNT}"
    )
}

fn binding(
    policy: Policy,
    (namespace, lease): (&str, &str),
    comment: &str,
    not_found: &str,
) -> String {
    format!(
        r"apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {policy}
  labels:
    app: {SERVICE_ACCOUNT}
spec:
  policyName: {policy}
  validationActions: [Deny]
  paramRef:
    # LEASE_NAME in operator.yaml.
    name: {lease}
    namespace: {namespace}
    {comment}
    parameterNotFoundAction: {not_found}"
    )
}

/// Every way to write is covered, whatever verbs are granted today.
fn rule(right: &Right) -> String {
    let mut lines = vec![
        comment(right.why, 6),
        format!("      - apiGroups: {}", list(&[right.group])),
        "        apiVersions: [\"*\"]".to_owned(),
        format!("        resources: {}", list(&[right.resource])),
    ];
    if !right.names.is_empty() {
        lines.push(format!("        resourceNames: {}", list(right.names)));
    }
    lines.push(format!(
        "        operations: {}",
        list(&["CREATE", "UPDATE", "DELETE"])
    ));
    lines.push("        scope: \"*\"".to_owned());
    lines.join("\n")
}

//! The fence as YAML: the Lease, and the policies by which the API server refuses the work writes of all replicas but its
//! holder.

use super::{
    policy::{PerPolicy, Policy},
    refusal::{BEHIND, IN_FORCE},
};
use crate::{record::Annotations, settings::LeaseName};

/// Where the API server says which pod a ServiceAccount's token was made for, by name and by UID. A token bound to a pod
/// has both (<https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/>).
const POD_OF_TOKEN: &str = "authentication.kubernetes.io/pod-name";
const UID_OF_TOKEN: &str = "authentication.kubernetes.io/pod-uid";

/// What the fence is rendered from.
#[derive(Clone, Copy, Debug)]
pub struct Manifest<'a> {
    /// The Lease that it goes by.
    pub lease: &'a LeaseName,
    /// The ServiceAccount that the replicas run as, in the namespace of the Lease. It is the value of the label `app` too.
    pub account: &'a str,
    /// The names of the policies, their bindings and the `ConfigMaps` that they are tested on.
    pub policies: &'a PerPolicy<String>,
    /// The annotations of the Lease.
    pub annotations: &'a Annotations,
    /// The writes that it refuses. The `ConfigMaps` have to be among them.
    pub rules: &'a [Rule<'a>],
    /// What comes first, as YAML comments: what the file is, and how it is kept.
    pub about: &'a str,
    /// The same about the Lease, which is part of it.
    pub about_lease: &'a str,
    /// Where the name of the Lease is set.
    pub lease_setting: &'a str,
    /// Where the rules are from.
    pub source: &'a str,
}

/// Writes that the fence refuses.
#[derive(Clone, Copy, Debug)]
pub struct Rule<'a> {
    /// The policy that guards them.
    pub policy: Policy,
    /// The API group; empty for the core group.
    pub group: &'a str,
    /// The resource, with its subresource after a slash.
    pub resource: &'a str,
    /// The only objects it is about; empty for all.
    pub names: &'a [&'a str],
    /// What they are for.
    pub why: &'a str,
}

/// The Lease, the probes, the policies and their bindings as YAML, ready to apply.
pub fn fence_yaml(manifest: &Manifest<'_>) -> String {
    let (lease, namespace) = (manifest.lease.name(), manifest.lease.namespace());
    let Manifest {
        account,
        about,
        about_lease,
        lease_setting,
        ..
    } = manifest;
    let [strict_probe, lenient_probe] = Policy::ALL.map(|policy| manifest.probe(policy));
    let [strict, lenient] = Policy::ALL.map(|policy| manifest.policy(policy));
    let strict_binding = manifest.binding(
        Policy::Strict,
        "# Nobody leads before there is a Lease.",
        "Deny",
    );
    let lenient_binding = manifest.binding(
        Policy::Lenient,
        "# Without a Lease nobody could change a Node otherwise, kubelet included.",
        "Allow",
    );
    format!(
        r"{about}
#
# There are two policies. One guards what only the operator writes, and refuses where it can't tell who leads. The other
# guards what others write too, such as Nodes, and lets pass where it can't tell: nobody else is to suffer from it.
#
{about_lease}
apiVersion: coordination.k8s.io/v1
kind: Lease
metadata:
  # {lease_setting}
  name: {lease}
  namespace: {namespace}
  labels:
    app: {account}
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
"
    )
}

impl Manifest<'_> {
    /// A policy: its rules, and what all policies of the fence say.
    fn policy(&self, policy: Policy) -> String {
        let (namespace, account, source) = (self.lease.namespace(), self.account, self.source);
        let (name, holder_pod) = (self.policies.of(policy), &self.annotations.holder_pod);
        let failure_policy = match policy {
        Policy::Strict => {
            "# Where it can't be told whether a replica leads, it does not write.
  failurePolicy: Fail"
        }
        Policy::Lenient => {
            "# Others write these kinds too, and nobody is to be refused because it can't be told who leads.
  failurePolicy: Ignore"
        }
    };
        let rules = self.rules.iter().filter(|rule| rule.policy == policy);
        let rules = rules.map(rule).collect::<Vec<_>>().join("\n");
        let pod = of_token(POD_OF_TOKEN);
        let uid = of_token(UID_OF_TOKEN);
        format!(
            r#"apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata:
  name: {name}
  labels:
    app: {account}
spec:
  {failure_policy}
  paramKind:
    apiVersion: coordination.k8s.io/v1
    kind: Lease
  matchConstraints:
    # The work writes of {source}. Leases are exempt, because they are how a replica becomes the holder, and Events
    # are, because a standby reports as well.
    resourceRules:
{rules}
  matchConditions:
    - name: operator
      expression: request.userInfo.username == 'system:serviceaccount:{namespace}:{account}'
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
        has(params.metadata.annotations) && '{holder_pod}' in params.metadata.annotations
        && params.metadata.annotations['{holder_pod}'].startsWith(variables.holder + '/')
        ? params.metadata.annotations['{holder_pod}'] : ''
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

    /// The object that a policy is tested on.
    fn probe(&self, policy: Policy) -> String {
        let (namespace, account, name) = (
            self.lease.namespace(),
            self.account,
            self.policies.of(policy),
        );
        format!(
            r"apiVersion: v1
kind: ConfigMap
metadata:
  name: {name}
  namespace: {namespace}
  labels:
    app: {account}"
        )
    }

    fn binding(&self, policy: Policy, comment: &str, not_found: &str) -> String {
        let (lease, namespace) = (self.lease.name(), self.lease.namespace());
        let (account, name) = (self.account, self.policies.of(policy));
        let lease_setting = self.lease_setting;
        format!(
            r"apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata:
  name: {name}
  labels:
    app: {account}
spec:
  policyName: {name}
  validationActions: [Deny]
  paramRef:
    # {lease_setting}
    name: {lease}
    namespace: {namespace}
    {comment}
    parameterNotFoundAction: {not_found}"
        )
    }
}

/// What the token of a request says under `key`, where it says one thing.
fn of_token(key: &str) -> String {
    format!(
        r"        has(request.userInfo.extra) && '{key}' in request.userInfo.extra
        && request.userInfo.extra['{key}'].size() == 1
        ? request.userInfo.extra['{key}'][0] : ''"
    )
}

/// Every way to write is covered, whatever verbs are granted today.
fn rule(rule: &Rule<'_>) -> String {
    let mut lines = vec![
        comment(rule.why, 6),
        format!("      - apiGroups: {}", list(&[rule.group])),
        "        apiVersions: [\"*\"]".to_owned(),
        format!("        resources: {}", list(&[rule.resource])),
    ];
    if !rule.names.is_empty() {
        lines.push(format!("        resourceNames: {}", list(rule.names)));
    }
    lines.push(format!(
        "        operations: {}",
        list(&["CREATE", "UPDATE", "DELETE"])
    ));
    lines.push("        scope: \"*\"".to_owned());
    lines.join("\n")
}

/// Words as a YAML list in one line, each quoted.
pub fn list(words: &[&str]) -> String {
    let quoted: Vec<_> = words.iter().map(|word| format!("\"{word}\"")).collect();
    format!("[{}]", quoted.join(", "))
}

/// A text as YAML comments of at most 120 columns.
pub fn comment(text: &str, indent: usize) -> String {
    const WIDTH: usize = 120;
    let start = format!("{:indent$}#", "");
    let mut lines = vec![start.clone()];
    for word in text.split_whitespace() {
        if lines
            .last()
            .is_some_and(|line| line.len() + 1 + word.len() > WIDTH)
        {
            lines.push(start.clone());
        }
        if let Some(line) = lines.last_mut() {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines.join("\n")
}

//! `renewals-denied`: an admission policy denies the leader's pod every update of the Lease.
//!
//! Proves that a leader whose renewals are refused, while all else works, gives up at its renew deadline and is followed
//! by a standby. The fault is done when a renewal with the leader's own identity has been seen to be refused.

use std::time::Duration;

use http::{Method, Request, header};
use serde_json::{Value, json};

use super::{
    action::Action,
    admission::{ACTIVE_LIMIT, create},
    effect,
    error::FaultError,
};
use crate::{
    context::RunContext,
    undo_log::{Due, Undo},
};
use failover_judging::observed::{PodSeen, Strike};

/// The name of the policy and of its binding.
const POLICY: &str = "failover-renewals-denied";

const POLICIES: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies";
const BINDINGS: &str = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings";

/// The key of a user's extra that names the pod a token was issued to.
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";

pub(super) const ACTION: Action = Action::of(|context, leader| Box::pin(strike(context, leader)));

async fn strike(context: &RunContext<'_>, leader: &PodSeen) -> Result<Strike, FaultError> {
    for collection in [POLICIES, BINDINGS] {
        context.undo_log.record(
            Due::AfterTrial,
            format!("renewals of {} are denied", leader.name),
            Undo::Delete {
                path: format!("{collection}/{POLICY}"),
            },
        );
    }
    create(context, POLICIES, &policy(context, &leader.name)).await?;
    let issued = context.observations.now();
    create(context, BINDINGS, &binding(&context.target.namespace)).await?;
    wait_until_denied(context, &leader.name).await?;
    Ok(Strike::between(issued, context.observations.now()))
}

fn policy(context: &RunContext<'_>, pod: &str) -> Value {
    let target = &context.target;
    policy_of(&target.user, &target.lease, pod)
}

fn policy_of(user: &str, lease: &str, pod: &str) -> Value {
    let expression = format!(
        "!(request.userInfo.username == '{user}' && '{POD_NAME}' in request.userInfo.extra && \
         request.userInfo.extra['{POD_NAME}'][0] == '{pod}')"
    );
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": POLICY},
        "spec": {
            "failurePolicy": "Fail",
            "matchConstraints": {"resourceRules": [{
                "apiGroups": ["coordination.k8s.io"], "apiVersions": ["*"], "operations": ["UPDATE"],
                "resources": ["leases"], "resourceNames": [lease],
            }]},
            "validations": [{"expression": expression, "message": "a fault of the failover harness", "reason": "Forbidden"}],
        },
    })
}

fn binding(namespace: &str) -> Value {
    json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": POLICY},
        "spec": {
            "policyName": POLICY,
            "validationActions": ["Deny"],
            "matchResources": {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}},
        },
    })
}

/// Renews as the leader's pod would, without effect, until that is refused by the policy.
async fn wait_until_denied(context: &RunContext<'_>, pod: &str) -> Result<(), FaultError> {
    let look = || async {
        let last = match renew_as(context, pod).await {
            Err(kube::Error::Api(status)) if status.message.contains(POLICY) => return Ok(()),
            Err(error) => error.to_string(),
            Ok(()) => "renewals are still accepted".to_owned(),
        };
        Err(FaultError::NoEffect(format!(
            "renewals of {pod} are not denied {} s after the policy was made: {last}",
            ACTIVE_LIMIT.as_secs()
        )))
    };
    effect::wait(ACTIVE_LIMIT, Duration::from_millis(20), look).await
}

/// A renewal with the identity of `pod` that is not stored.
async fn renew_as(context: &RunContext<'_>, pod: &str) -> Result<(), kube::Error> {
    let path = context.target.lease_path();
    let read = Request::get(&path).body(Vec::new());
    let lease = context
        .client
        .request_text(read.map_err(kube::Error::HttpError)?)
        .await?;
    let renew = Request::builder()
        .method(Method::PUT)
        .uri(format!("{path}?dryRun=All"))
        .header(header::CONTENT_TYPE, "application/json")
        .header("Impersonate-User", &context.target.user)
        .header("Impersonate-Group", "system:serviceaccounts")
        .header("Impersonate-Group", "system:authenticated")
        // A slash may not be part of a header's name.
        .header(
            format!("Impersonate-Extra-{}", POD_NAME.replace('/', "%2f")),
            pod,
        )
        .body(lease.into_bytes());
    context
        .client
        .request_text(renew.map_err(kube::Error::HttpError)?)
        .await
        .map(drop)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::admissionregistration::v1::{
        ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
    };

    use super::*;
    use failover_judging::samples::says;

    #[test]
    fn the_policy_is_for_one_pod_and_one_lease() {
        let policy: ValidatingAdmissionPolicy =
            serde_json::from_value(policy_of("system:serviceaccount:n:s", "the-lease", "pod-a"))
                .unwrap();
        let spec = policy.spec.unwrap();
        let expression = &spec.validations.unwrap()[0].expression;
        says(&expression, &["== 'pod-a'", "system:serviceaccount:n:s"]);
        let rules = spec.match_constraints.unwrap().resource_rules.unwrap();
        assert_eq!(
            rules[0].resource_names.as_deref(),
            Some(&["the-lease".to_owned()][..])
        );
    }

    #[test]
    fn the_binding_is_for_one_namespace() {
        let binding: ValidatingAdmissionPolicyBinding =
            serde_json::from_value(binding("here")).unwrap();
        let selector = binding
            .spec
            .unwrap()
            .match_resources
            .unwrap()
            .namespace_selector
            .unwrap();
        assert_eq!(
            selector.match_labels.unwrap()["kubernetes.io/metadata.name"],
            "here"
        );
    }
}

//! Real audit events, and what is read from them.

use super::*;
use crate::samples::call;
use crate::samples::says;

const LEASE_UPDATE: &str = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"0f3f","stage":"ResponseComplete","requestURI":"/apis/coordination.k8s.io/v1/namespaces/5spot-system/leases/5spot-leader","verb":"update","user":{"username":"system:serviceaccount:5spot-system:5spot-controller","uid":"9","groups":["system:serviceaccounts"],"extra":{"authentication.kubernetes.io/credential-id":["JTI=1"],"authentication.kubernetes.io/node-name":["n"],"authentication.kubernetes.io/pod-name":["5spot-controller-7d-abc"],"authentication.kubernetes.io/pod-uid":["u-1"]}},"sourceIPs":["10.42.0.5"],"userAgent":"five-spot/0.1.0","objectRef":{"resource":"leases","namespace":"5spot-system","name":"5spot-leader","uid":"l","apiGroup":"coordination.k8s.io","apiVersion":"v1","resourceVersion":"411"},"responseStatus":{"metadata":{},"code":200},"requestObject":{"kind":"Lease"},"responseObject":{"kind":"Lease","apiVersion":"coordination.k8s.io/v1","metadata":{"name":"5spot-leader","namespace":"5spot-system","resourceVersion":"412","annotations":{"5spot.finos.org/incarnation":"u-1/n-1"}},"spec":{"holderIdentity":"5spot-controller-7d-abc","leaseDurationSeconds":15,"acquireTime":"2026-01-15T10:00:00.000000Z","renewTime":"2026-01-15T10:00:02.000000Z","leaseTransitions":3}},"requestReceivedTimestamp":"2026-01-15T10:00:02.001000Z","stageTimestamp":"2026-01-15T10:00:02.004500Z","annotations":{"authorization.k8s.io/decision":"allow"}}"#;

#[test]
fn a_lease_write_names_the_pod_the_revision_and_the_holder() {
    let call = ApiCall::from_line(LEASE_UPDATE).unwrap().unwrap();
    assert_eq!(call.pod.as_deref(), Some("5spot-controller-7d-abc"));
    assert!(call.accepted() && call.is_lease() && call.is_write() && !call.is_work_write());
    assert_eq!(call.resource_version, Some(412));
    assert_eq!(call.completed.since(call.received), 3.5);
    let lease = call.lease.unwrap();
    assert_eq!(
        (
            lease.resource_version,
            lease.transitions,
            lease.duration_seconds
        ),
        (412, 3, Some(15))
    );
    assert_eq!(lease.incarnation.as_deref(), Some("u-1/n-1"));
}

#[test]
fn a_status_patch_is_a_work_write_and_tells_the_generation_it_covers() {
    let line = r#"{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"RequestResponse","auditID":"a","stage":"ResponseComplete","requestURI":"/apis/5spot.finos.org/v1alpha1/namespaces/5spot-system/scheduledmachines/failover-canary/status?fieldManager=x","verb":"patch","user":{"username":"u"},"objectRef":{"resource":"scheduledmachines","subresource":"status","namespace":"5spot-system","name":"failover-canary","apiGroup":"5spot.finos.org"},"responseStatus":{"code":200},"responseObject":{"kind":"ScheduledMachine","metadata":{"resourceVersion":"9","generation":4},"status":{"observedGeneration":4}},"requestReceivedTimestamp":"2026-01-15T10:00:02.001000Z","stageTimestamp":"2026-01-15T10:00:02.004500Z"}"#;
    let call = ApiCall::from_line(line).unwrap().unwrap();
    assert!(call.is_work_write());
    assert_eq!(
        (call.generation, call.observed_generation, call.pod.as_ref()),
        (Some(4), Some(4), None)
    );
    assert_eq!(
        call.phrase(),
        "patch scheduledmachines/status failover-canary"
    );
}

#[rstest::rstest]
#[case(403, true)]
#[case(422, true)]
#[case(409, false)]
#[case(200, false)]
fn a_refusal_of_the_writer_is_told_from_a_conflict(#[case] code: u16, #[case] refused: bool) {
    let mut write = call("a", "patch", "scheduledmachines");
    write.code = code;
    assert_eq!(write.is_refused_work_write(), refused);
    write.dry_run = true;
    assert!(!write.is_refused_work_write(), "a question is no write");
}

#[test]
fn a_refused_write_has_the_code_and_no_object() {
    let line = LEASE_UPDATE
        .replace(r#""code":200"#, r#""code":409"#)
        .replace(
            r#""responseObject":{"kind":"Lease""#,
            r#""responseObject":{"kind":"Status""#,
        );
    let call = ApiCall::from_line(&line).unwrap().unwrap();
    assert!(!call.accepted());
    assert_eq!(call.lease, None);
}

#[test]
fn a_watch_counts_when_it_begins_and_not_again_when_it_ends() {
    let watch = LEASE_UPDATE.replace(r#""verb":"update""#, r#""verb":"watch""#);
    assert_eq!(ApiCall::from_line(&watch).unwrap(), None);
    let begun = watch.replace("ResponseComplete", "ResponseStarted");
    assert!(ApiCall::from_line(&begun).unwrap().is_some());
}

#[test]
fn a_dry_run_and_a_review_are_no_work() {
    let mut dry = call("a", "patch", "scheduledmachines");
    dry.dry_run = true;
    assert!(!dry.is_work_write());
    let mut review = call("a", "create", "selfsubjectaccessreviews");
    review.group = "authorization.k8s.io".to_owned();
    assert!(!review.is_work_write());
    assert!(!call("a", "create", "events").is_work_write());
    assert!(call("a", "create", "machines").is_work_write());
}

#[test]
fn a_broken_line_is_an_error_that_shows_its_start() {
    let error = ApiCall::from_line("{\"kind\":\"Event\",").unwrap_err();
    says(&error, &["{\"kind\":\"Event\","]);
}

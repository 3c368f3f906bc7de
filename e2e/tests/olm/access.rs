//! What the operator's ServiceAccount may do to Leases: its own, and no other.

use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SubjectAccessReview, SubjectAccessReviewSpec,
};
use kube::{Api, api::PostParams};

use crate::rig::{LEASE, NAMESPACE, Rig};

/// Asks the API server, for the very account of the pods.
pub(crate) async fn stays_in_its_namespace(rig: &Rig<'_>) {
    for verb in ["get", "update"] {
        assert!(may(rig, verb, NAMESPACE, LEASE).await, "{verb} its Lease");
    }
    for verb in ["get", "update", "patch", "delete"] {
        for (namespace, name) in [
            ("default", LEASE),
            ("kube-system", "kube-scheduler"),
            (NAMESPACE, "another"),
        ] {
            assert!(
                !may(rig, verb, namespace, name).await,
                "{verb} {namespace}/{name}"
            );
        }
    }
    assert!(may(rig, "create", NAMESPACE, "").await, "create its Lease");
    assert!(
        !may(rig, "create", "default", "").await,
        "create one elsewhere"
    );
    assert!(
        !may(rig, "delete", NAMESPACE, LEASE).await,
        "delete its Lease"
    );
}

async fn may(rig: &Rig<'_>, verb: &str, namespace: &str, name: &str) -> bool {
    let pod = rig.deployment().await.spec.unwrap().template.spec.unwrap();
    let account = pod.service_account_name.unwrap();
    let review = SubjectAccessReview {
        spec: SubjectAccessReviewSpec {
            user: Some(format!("system:serviceaccount:{NAMESPACE}:{account}")),
            groups: Some(vec![
                "system:serviceaccounts".to_owned(),
                format!("system:serviceaccounts:{NAMESPACE}"),
                "system:authenticated".to_owned(),
            ]),
            resource_attributes: Some(ResourceAttributes {
                group: Some("coordination.k8s.io".to_owned()),
                resource: Some("leases".to_owned()),
                verb: Some(verb.to_owned()),
                namespace: Some(namespace.to_owned()),
                name: (!name.is_empty()).then(|| name.to_owned()),
                ..ResourceAttributes::default()
            }),
            ..SubjectAccessReviewSpec::default()
        },
        ..SubjectAccessReview::default()
    };
    let reviews: Api<SubjectAccessReview> = Api::all(rig.client.clone());
    let answer = reviews
        .create(&PostParams::default(), &review)
        .await
        .unwrap();
    answer.status.unwrap().allowed
}

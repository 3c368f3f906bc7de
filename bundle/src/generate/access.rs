//! The rights of `src/access.rs`, as OLM takes them.
//!
//! Those in the whole cluster go into the ClusterServiceVersion. Those in the operator's own namespace are a Role beside it:
//! OLM would make a ClusterRole of them where all namespaces are watched.

use five_spot::access::{RIGHTS, Reach, Right, SERVICE_ACCOUNT};
use k8s_openapi::{
    api::rbac::v1::{PolicyRule, Role, RoleBinding, RoleRef, Subject},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

/// Name of the Role and its binding.
pub(super) const ROLE: &str = "5spot-controller-election";

/// The rights that reach so far.
pub(super) fn rules(reach: Reach) -> Vec<PolicyRule> {
    RIGHTS
        .iter()
        .filter(|right| right.reach == reach)
        .map(rule)
        .collect()
}

pub(super) fn role() -> Role {
    Role {
        metadata: metadata(),
        rules: Some(rules(Reach::OwnNamespace)),
    }
}

pub(super) fn binding() -> RoleBinding {
    RoleBinding {
        metadata: metadata(),
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "Role".to_owned(),
            name: ROLE.to_owned(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: SERVICE_ACCOUNT.to_owned(),
            // That of the binding, which OLM puts where it installs the operator.
            namespace: None,
            api_group: None,
        }]),
    }
}

fn metadata() -> ObjectMeta {
    ObjectMeta {
        name: Some(ROLE.to_owned()),
        labels: Some([("app".to_owned(), SERVICE_ACCOUNT.to_owned())].into()),
        ..ObjectMeta::default()
    }
}

fn rule(right: &Right) -> PolicyRule {
    let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    PolicyRule {
        api_groups: Some(owned(&[right.group])),
        resources: Some(owned(&[right.resource])),
        resource_names: (!right.names.is_empty()).then(|| owned(right.names)),
        verbs: owned(right.verbs),
        non_resource_urls: None,
    }
}

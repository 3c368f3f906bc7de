//! `rbac-revoked`: the operator loses its rights to Leases for longer than the lease, and gets them back.
//!
//! Proves that a leader that is refused gives up at its renew deadline and does not end, that nobody works meanwhile, and
//! that the election goes on by itself when the rights are back.

use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use kube::{Api, api::ListParams};
use serde_json::json;

use super::{action::Action, error::FaultError};
use crate::{
    context::RunContext,
    undo_log::{Due, Undo},
};
use failover_judging::observed::{PodSeen, Strike};

const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";

/// A role that gives rights to Leases.
struct Granting {
    path: String,
    rules: Vec<PolicyRule>,
}

pub(super) const ACTION: Action = Action::of(|context, leader| Box::pin(strike(context, leader)));

async fn strike(context: &RunContext<'_>, _leader: &PodSeen) -> Result<Strike, FaultError> {
    let roles = granting(context).await?;
    if roles.is_empty() {
        let detail = format!("no role of {} names leases", context.target.user);
        return Err(FaultError::NoEffect(detail));
    }
    for role in &roles {
        context.undo_log.record(
            Due::AfterTrial,
            format!("{} gives no rights to Leases", role.path),
            Undo::Merge {
                path: role.path.clone(),
                change: json!({"rules": role.rules}),
            },
        );
    }
    let issued = context.observations.now();
    for role in &roles {
        let change = json!({"rules": without_leases(&role.rules)});
        let answer = context.requests.merge("fault", &role.path, &change).await;
        let answer = answer.map_err(FaultError::request("take the rights away"))?;
        FaultError::unless_accepted(&answer, &role.path)?;
    }
    Ok(Strike::between(issued, context.observations.now()))
}

/// The roles by which the operator's ServiceAccount has rights to Leases.
async fn granting(context: &RunContext<'_>) -> Result<Vec<Granting>, FaultError> {
    let namespace = &context.target.namespace;
    let client = || context.client.clone();
    let mut references: Vec<RoleRef> = Vec::new();
    let bindings: Api<RoleBinding> = Api::namespaced(client(), namespace);
    let bindings = bindings.list(&ListParams::default()).await;
    for binding in bindings.map_err(FaultError::api("list", "RoleBindings"))? {
        if names(binding.subjects.as_deref(), &context.target.user) {
            references.push(binding.role_ref);
        }
    }
    let bindings: Api<ClusterRoleBinding> = Api::all(client());
    let bindings = bindings.list(&ListParams::default()).await;
    for binding in bindings.map_err(FaultError::api("list", "ClusterRoleBindings"))? {
        if names(binding.subjects.as_deref(), &context.target.user) {
            references.push(binding.role_ref);
        }
    }
    let mut found = Vec::new();
    for reference in references {
        let name = &reference.name;
        let (path, rules) = if reference.kind == "Role" {
            let roles: Api<Role> = Api::namespaced(client(), namespace);
            let role = roles
                .get(name)
                .await
                .map_err(FaultError::api("read Role", name))?;
            (
                format!("{RBAC}/namespaces/{namespace}/roles/{name}"),
                role.rules,
            )
        } else {
            let roles: Api<ClusterRole> = Api::all(client());
            let role = roles.get(name).await;
            let role = role.map_err(FaultError::api("read ClusterRole", name))?;
            (format!("{RBAC}/clusterroles/{name}"), role.rules)
        };
        let rules = rules.unwrap_or_default();
        if without_leases(&rules) != rules {
            found.push(Granting { path, rules });
        }
    }
    Ok(found)
}

/// Whether the ServiceAccount with the user name `user` is among the subjects.
fn names(subjects: Option<&[Subject]>, user: &str) -> bool {
    subjects.unwrap_or_default().iter().any(|subject| {
        let namespace = subject.namespace.as_deref().unwrap_or_default();
        subject.kind == "ServiceAccount"
            && format!("system:serviceaccount:{namespace}:{}", subject.name) == user
    })
}

/// The same rules, with nothing about Leases.
fn without_leases(rules: &[PolicyRule]) -> Vec<PolicyRule> {
    let is_lease = |resource: &String| resource == "leases" || resource.starts_with("leases/");
    rules
        .iter()
        .filter_map(|rule| {
            let resources = rule.resources.as_ref()?;
            let rest: Vec<String> = resources
                .iter()
                .filter(|name| !is_lease(name))
                .cloned()
                .collect();
            (!rest.is_empty()).then(|| PolicyRule {
                resources: Some(rest),
                ..rule.clone()
            })
        })
        .chain(
            rules
                .iter()
                .filter(|rule| rule.resources.is_none())
                .cloned(),
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(resources: &[&str]) -> PolicyRule {
        PolicyRule {
            resources: Some(resources.iter().map(|name| (*name).to_owned()).collect()),
            verbs: vec!["get".to_owned()],
            ..PolicyRule::default()
        }
    }

    #[test]
    fn only_leases_are_taken_away() {
        let rules = [
            rule(&["leases"]),
            rule(&["pods"]),
            rule(&["leases", "events"]),
        ];
        assert_eq!(without_leases(&rules), [rule(&["pods"]), rule(&["events"])]);
        let other = [rule(&["pods"])];
        assert_eq!(without_leases(&other), other);
    }

    #[test]
    fn a_binding_names_the_account_by_namespace_and_name() {
        let subject = |namespace: &str| Subject {
            kind: "ServiceAccount".to_owned(),
            name: "s".to_owned(),
            namespace: Some(namespace.to_owned()),
            ..Subject::default()
        };
        let user = "system:serviceaccount:n:s";
        assert!(names(Some(&[subject("other"), subject("n")]), user));
        assert!(!names(Some(&[subject("other")]), user));
        assert!(!names(None, user));
    }
}

//! Disruption budgets.

use serde_json::Value;

use crate::{
    document::Node,
    finding::Findings,
    subject::{Deployment, Subject, selects},
};

const KIND: &str = "PodDisruptionBudget";

fn is_of(budget: &Node, deployment: &Deployment) -> bool {
    selects(budget.get("/spec/selector"), deployment.pod_labels())
}

/// The budgets that select pods of the Deployment.
fn budgets<'a>(subject: &Subject<'a>, deployment: &Deployment) -> Vec<Node<'a>> {
    let budgets = subject.of_kind(KIND);
    budgets.filter(|budget| is_of(budget, deployment)).collect()
}

pub(in crate::rules) fn selection(subject: &Subject, findings: &mut Findings) {
    let deployments = subject.deployments();
    for deployment in &deployments {
        let found = budgets(subject, deployment);
        if found.len() != 1 {
            let names = found.iter().map(|budget| budget.text("/metadata/name"));
            let message = format!(
                "Deployment {}: {} disruption budgets select its pods {:?}: must be exactly one",
                deployment.name(),
                found.len(),
                names.collect::<Vec<_>>()
            );
            findings.at(&deployment.node, message);
        }
    }
    for budget in subject.of_kind(KIND) {
        if !deployments
            .iter()
            .any(|deployment| is_of(&budget, deployment))
        {
            let message = "the budget selects no pods of the ClusterServiceVersion";
            findings.at(&budget.at("/spec/selector"), message);
        }
    }
}

pub(in crate::rules) fn version(subject: &Subject, findings: &mut Findings) {
    for budget in subject.of_kind(KIND) {
        let version = budget.at("/apiVersion");
        if version.text("") != "policy/v1" {
            findings.at(
                &version,
                format!("apiVersion is {version}: must be policy/v1"),
            );
        }
        let limits = ["/spec/minAvailable", "/spec/maxUnavailable"].into_iter();
        let count = limits.filter(|limit| budget.get(limit).is_some()).count();
        if count != 1 {
            let message =
                format!("spec has {count} of minAvailable and maxUnavailable: must have one");
            findings.at(&budget.at("/spec"), message);
        }
    }
}

/// A number of pods, or a percentage of them.
fn pods(value: &Value, replicas: i64) -> Option<i64> {
    if let Some(number) = value.as_i64() {
        return Some(number);
    }
    let percentage: i64 = value.as_str()?.strip_suffix('%')?.parse().ok()?;
    // Kubernetes rounds up for both fields.
    percentage
        .checked_mul(replicas)
        .map(|pods| (pods + 99) / 100)
}

/// How many evictions a budget allows while all replicas are healthy; `None` where it says neither.
fn allowed(budget: &Node, replicas: i64) -> Option<i64> {
    let limit = |field| budget.get(field).and_then(|value| pods(value, replicas));
    limit("/spec/maxUnavailable")
        .map(|most| most.min(replicas))
        .or_else(|| limit("/spec/minAvailable").map(|least| replicas - least))
}

pub(in crate::rules) fn drain(subject: &Subject, findings: &mut Findings) {
    for deployment in subject.deployments() {
        for budget in budgets(subject, &deployment) {
            let blocked = [deployment.replicas(), 1]
                .into_iter()
                .find(|replicas| allowed(&budget, *replicas).is_some_and(|allowed| allowed < 1));
            let Some(replicas) = blocked else { continue };
            let field = if budget.get("/spec/maxUnavailable").is_some() {
                "maxUnavailable"
            } else {
                "minAvailable"
            };
            let value = budget.at(&format!("/spec/{field}"));
            let name = deployment.name();
            let message = format!(
                "{field} is {value}: allows no eviction at {replicas} replicas of Deployment {name}"
            );
            findings.at(&value, message);
        }
    }
}

pub(in crate::rules) fn number(subject: &Subject, findings: &mut Findings) {
    for budget in subject.of_kind(KIND) {
        for field in ["minAvailable", "maxUnavailable"] {
            let limit = budget.at(&format!("/spec/{field}"));
            if limit.value().is_some_and(|value| !value.is_number()) {
                findings.at(&limit, format!("{field} is {limit}: must be a number"));
            }
        }
    }
}

pub(in crate::rules) fn unhealthy(subject: &Subject, findings: &mut Findings) {
    for budget in subject.of_kind(KIND) {
        let policy = budget.at("/spec/unhealthyPodEvictionPolicy");
        if policy.text("") != "AlwaysAllow" {
            let message = format!("unhealthyPodEvictionPolicy is {policy}: must be AlwaysAllow");
            findings.at(&policy, message);
        }
    }
}

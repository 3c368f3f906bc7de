//! Disruption budgets.

use serde_json::Value;

use super::super::{
    Findings, Subject,
    subject::{Deployment, selects, told},
};
use crate::document::Document;

const KIND: &str = "PodDisruptionBudget";

/// The budgets that select pods of the Deployment.
fn budgets<'a>(subject: &Subject<'a>, deployment: &Deployment) -> Vec<&'a Document> {
    subject
        .of_kind(KIND)
        .filter(|budget| selects(budget.at("/spec/selector"), deployment.pod_labels()))
        .collect()
}

pub(in crate::check) fn selection(subject: &Subject, findings: &mut Findings) {
    let deployments = subject.deployments();
    for deployment in &deployments {
        let found = budgets(subject, deployment);
        if found.len() != 1 {
            let names: Vec<_> = found
                .iter()
                .filter_map(|budget| budget.text("/metadata/name"))
                .collect();
            let message = format!(
                "Deployment {}: {} disruption budgets select its pods {names:?}: must be exactly one",
                deployment.name(),
                found.len()
            );
            findings.at(deployment.csv, &deployment.pointer, message);
        }
    }
    for budget in subject.of_kind(KIND) {
        let selects_some = deployments
            .iter()
            .any(|deployment| selects(budget.at("/spec/selector"), deployment.pod_labels()));
        if !selects_some {
            findings.at(
                budget,
                "/spec/selector",
                "the budget selects no pods of the ClusterServiceVersion",
            );
        }
    }
}

pub(in crate::check) fn version(subject: &Subject, findings: &mut Findings) {
    for budget in subject.of_kind(KIND) {
        if budget.text("/apiVersion") != Some("policy/v1") {
            let message = format!(
                "apiVersion is {}: must be policy/v1",
                told(budget.at("/apiVersion"))
            );
            findings.at(budget, "/apiVersion", message);
        }
        let limits = ["/spec/minAvailable", "/spec/maxUnavailable"];
        let count = limits
            .iter()
            .filter(|limit| budget.at(limit).is_some())
            .count();
        if count != 1 {
            let message =
                format!("spec has {count} of minAvailable and maxUnavailable: must have one");
            findings.at(budget, "/spec", message);
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
fn allowed(budget: &Document, replicas: i64) -> Option<i64> {
    let unavailable = budget
        .at("/spec/maxUnavailable")
        .and_then(|value| pods(value, replicas));
    let available = budget
        .at("/spec/minAvailable")
        .and_then(|value| pods(value, replicas));
    unavailable
        .map(|most| most.min(replicas))
        .or_else(|| available.map(|least| replicas - least))
}

pub(in crate::check) fn drain(subject: &Subject, findings: &mut Findings) {
    for deployment in subject.deployments() {
        for budget in budgets(subject, &deployment) {
            for replicas in [deployment.replicas(), 1] {
                if allowed(budget, replicas).is_some_and(|allowed| allowed < 1) {
                    let (field, value) = if let Some(value) = budget.at("/spec/maxUnavailable") {
                        ("maxUnavailable", value)
                    } else {
                        (
                            "minAvailable",
                            budget.at("/spec/minAvailable").unwrap_or(&Value::Null),
                        )
                    };
                    let message = format!(
                        "{field} is {value}: allows no eviction at {replicas} replicas of Deployment {}",
                        deployment.name()
                    );
                    findings.at(budget, &format!("/spec/{field}"), message);
                    break;
                }
            }
        }
    }
}

pub(in crate::check) fn number(subject: &Subject, findings: &mut Findings) {
    for budget in subject.of_kind(KIND) {
        for field in ["minAvailable", "maxUnavailable"] {
            let pointer = format!("/spec/{field}");
            if let Some(value) = budget.at(&pointer).filter(|value| !value.is_number()) {
                findings.at(
                    budget,
                    &pointer,
                    format!("{field} is {value}: must be a number"),
                );
            }
        }
    }
}

pub(in crate::check) fn unhealthy(subject: &Subject, findings: &mut Findings) {
    for budget in subject.of_kind(KIND) {
        let pointer = "/spec/unhealthyPodEvictionPolicy";
        if budget.text(pointer) != Some("AlwaysAllow") {
            let message = format!(
                "unhealthyPodEvictionPolicy is {}: must be AlwaysAllow",
                told(budget.at(pointer))
            );
            findings.at(budget, pointer, message);
        }
    }
}

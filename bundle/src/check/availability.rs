//! Whether the operator survives the loss of a pod, a rollout and a drain.
//!
//! Users of OLM can't change the number of replicas nor the rollout, so all of it has to be in the bundle.

mod budget;

use serde_json::Value;

use super::{
    Findings, Level, Needs, Rule, Subject,
    subject::{Deployment, selects, told},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "availability/replicas",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "Every Deployment has two replicas or more.",
        why: "Neither OLM v0 nor v1 lets users set replicas (operator-lifecycle-manager issue 2923), so one would be one for ever.",
        check: replicas,
    },
    Rule {
        code: "availability/rollout",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "Every Deployment rolls out with maxUnavailable and maxSurge as numbers, 1 or more, and maxUnavailable less than \
                replicas.",
        why: "25 % of 2 is 0: then the loss of one pod makes OLM take the version for failed. All replicas at once would look \
              available with none.",
        check: rollout,
    },
    Rule {
        code: "availability/spread",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "Pods of a Deployment prefer different nodes, and do not require them.",
        why: "Two replicas on one node are lost together; required, the second could not run on a cluster of one node.",
        check: spread,
    },
    Rule {
        code: "availability/selector",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "The selector of every Deployment selects its own pods, and no label in it has the version as its value.",
        why: "Selectors can't be changed: with a version in it the next upgrade fails (operator-lifecycle-manager issue 952).",
        check: selector,
    },
    Rule {
        code: "availability/budget",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "The pods of every Deployment are selected by exactly one PodDisruptionBudget, and every budget selects some.",
        why: "Without one a drain takes all replicas at once; with two, the API server refuses every eviction.",
        check: budget::selection,
    },
    Rule {
        code: "availability/budget-version",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "Every PodDisruptionBudget is of policy/v1 and has one of minAvailable and maxUnavailable.",
        why: "policy/v1beta1 is gone since Kubernetes 1.25; the API server refuses both fields in one.",
        check: budget::version,
    },
    Rule {
        code: "availability/budget-drain",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "A budget allows an eviction at the replicas of the bundle and at one replica.",
        why: "Otherwise nodes can't be drained, and cluster upgrades stop. maxUnavailable: 1 always allows one; no upstream validator \
              looks at minAvailable.",
        check: budget::drain,
    },
    Rule {
        code: "availability/budget-number",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "A budget says a number, and no percentage.",
        why: "OLM's validator refuses a percentage, even one that works; and what it rounds to depends on the replicas.",
        check: budget::number,
    },
    Rule {
        code: "availability/budget-unhealthy",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "A budget has unhealthyPodEvictionPolicy AlwaysAllow.",
        why: "A pod that is not Ready protects nothing, and by default blocks the drain of its node.",
        check: budget::unhealthy,
    },
];

fn replicas(subject: &Subject, findings: &mut Findings) {
    for deployment in subject.deployments() {
        if deployment.replicas() < 2 {
            let message = format!(
                "Deployment {}: replicas is {}: must be 2 or more",
                deployment.name(),
                deployment.replicas()
            );
            findings.at(deployment.csv, &deployment.spec("/replicas"), message);
        }
    }
}

fn rollout(subject: &Subject, findings: &mut Findings) {
    for deployment in subject.deployments() {
        let name = deployment.name();
        let kind = deployment.at("/strategy/type").and_then(Value::as_str);
        if kind.is_some_and(|kind| kind != "RollingUpdate") {
            let message = format!(
                "Deployment {name}: strategy.type is {}: must be RollingUpdate",
                told(deployment.at("/strategy/type"))
            );
            findings.at(deployment.csv, &deployment.spec("/strategy/type"), message);
            continue;
        }
        let limits = [
            ("maxUnavailable", deployment.replicas().max(2) - 1),
            ("maxSurge", i64::MAX),
        ];
        for (field, most) in limits {
            let rest = format!("/strategy/rollingUpdate/{field}");
            let value = deployment.at(&rest);
            if !value
                .and_then(Value::as_i64)
                .is_some_and(|number| (1..=most).contains(&number))
            {
                let limit = if most == i64::MAX {
                    String::new()
                } else {
                    format!(" and at most {most}")
                };
                let message = format!(
                    "Deployment {name}: {field} is {}: must be a number of at least 1{limit}",
                    told(value)
                );
                findings.at(deployment.csv, &deployment.spec(&rest), message);
            }
        }
    }
}

fn spread(subject: &Subject, findings: &mut Findings) {
    const BY_NODE: &str = "kubernetes.io/hostname";
    for deployment in subject.deployments() {
        let anti = "/template/spec/affinity/podAntiAffinity";
        let terms = |rest: &str| {
            deployment
                .at(&format!("{anti}/{rest}"))
                .and_then(Value::as_array)
                .map_or(&[][..], Vec::as_slice)
        };
        let is_by_node = |term: &Value| {
            term.get("topologyKey").and_then(Value::as_str) == Some(BY_NODE)
                && selects(term.get("labelSelector"), deployment.pod_labels())
        };
        let pointer = deployment.spec(anti);
        if terms("requiredDuringSchedulingIgnoredDuringExecution")
            .iter()
            .any(is_by_node)
        {
            let message = format!(
                "Deployment {}: different nodes are required: must be preferred",
                deployment.name()
            );
            findings.at(deployment.csv, &pointer, message);
        }
        let is_preferred = terms("preferredDuringSchedulingIgnoredDuringExecution")
            .iter()
            .filter_map(|term| term.get("podAffinityTerm"))
            .any(is_by_node);
        if !is_preferred && !spreads_by_constraint(&deployment, BY_NODE) {
            let message = format!(
                "Deployment {}: nothing makes its pods prefer different nodes",
                deployment.name()
            );
            findings.at(deployment.csv, &pointer, message);
        }
    }
}

/// Whether a topology spread constraint that may be left says the same.
fn spreads_by_constraint(deployment: &Deployment, topology: &str) -> bool {
    let constraints = deployment.at("/template/spec/topologySpreadConstraints");
    let constraints = constraints.and_then(Value::as_array);
    constraints.into_iter().flatten().any(|constraint| {
        let text = |field: &str| constraint.get(field).and_then(Value::as_str);
        text("topologyKey") == Some(topology)
            && text("whenUnsatisfiable") == Some("ScheduleAnyway")
            && selects(constraint.get("labelSelector"), deployment.pod_labels())
    })
}

fn selector(subject: &Subject, findings: &mut Findings) {
    let version = subject
        .csv()
        .and_then(|csv| csv.text("/spec/version"))
        .unwrap_or_default();
    for deployment in subject.deployments() {
        let pointer = deployment.spec("/selector");
        if !selects(deployment.at("/selector"), deployment.pod_labels()) {
            let message = format!(
                "Deployment {}: its selector does not select its own pods",
                deployment.name()
            );
            findings.at(deployment.csv, &pointer, message);
        }
        let labels = deployment
            .at("/selector/matchLabels")
            .and_then(Value::as_object);
        for (key, value) in labels.into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            if !version.is_empty() && text.trim_start_matches('v') == version {
                let message = format!(
                    "Deployment {}: label {key} of its selector is the version {text:?}",
                    deployment.name()
                );
                findings.at(deployment.csv, &pointer, message);
            }
        }
    }
}

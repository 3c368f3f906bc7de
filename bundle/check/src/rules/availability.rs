//! Whether the operator survives the loss of a pod, a rollout and a drain.
//!
//! Users of OLM can't change the number of replicas nor the rollout, so all of it has to be in the bundle.

mod budget;

use serde_json::Value;

use crate::{
    finding::Findings,
    rule::Rule,
    subject::{Deployment, Subject, selects},
};

pub(super) const RULES: &[Rule] = &[
    Rule::warning("availability/replicas", replicas)
        .holds("Every Deployment has two replicas or more.")
        .why("Neither OLM v0 nor v1 lets users set replicas (operator-lifecycle-manager issue 2923), so one would stay one."),
    Rule::warning("availability/rollout", rollout)
        .holds("Every Deployment rolls out with maxUnavailable and maxSurge as numbers, 1 or more, and maxUnavailable less than \
                replicas.")
        .why("25 % of 2 is 0: then the loss of one pod makes OLM take the version for failed. All replicas at once would look \
              available with none."),
    Rule::warning("availability/spread", spread)
        .holds("Pods of a Deployment prefer different nodes, and do not require them.")
        .why("Two replicas on one node are lost together; required, the second could not run on a cluster of one node."),
    Rule::error("availability/selector", selector)
        .holds("The selector of every Deployment selects its own pods, and no label in it has the version as its value.")
        .why("Selectors can't be changed: with a version in it the next upgrade fails (operator-lifecycle-manager issue 952)."),
    Rule::warning("availability/budget", budget::selection)
        .holds("The pods of every Deployment are selected by exactly one PodDisruptionBudget, and every budget selects some.")
        .why("Without one a drain takes all replicas at once; with two, the API server refuses every eviction."),
    Rule::error("availability/budget-version", budget::version)
        .holds("Every PodDisruptionBudget is of policy/v1 and has one of minAvailable and maxUnavailable.")
        .why("policy/v1beta1 is gone since Kubernetes 1.25; the API server refuses both fields in one."),
    Rule::error("availability/budget-drain", budget::drain)
        .holds("A budget allows an eviction at the replicas of the bundle and at one replica.")
        .why("Otherwise nodes can't be drained, and cluster upgrades stop. maxUnavailable: 1 always allows one; no upstream validator \
              checks minAvailable."),
    Rule::warning("availability/budget-number", budget::number)
        .holds("A budget says a number, and no percentage.")
        .why("OLM's validator refuses a percentage, even one that works; and what it rounds to depends on the replicas."),
    Rule::warning("availability/budget-unhealthy", budget::unhealthy)
        .holds("A budget has unhealthyPodEvictionPolicy AlwaysAllow.")
        .why("A pod that is not Ready protects nothing, and by default blocks the drain of its node."),
];

fn replicas(subject: &Subject, findings: &mut Findings) {
    for deployment in subject.deployments() {
        let (name, replicas) = (deployment.name(), deployment.replicas());
        if replicas < 2 {
            let message = format!("Deployment {name}: replicas is {replicas}: must be 2 or more");
            findings.at(&deployment.spec("/replicas"), message);
        }
    }
}

fn rollout(subject: &Subject, findings: &mut Findings) {
    for deployment in subject.deployments() {
        let name = deployment.name();
        let kind = deployment.spec("/strategy/type");
        if kind.str().is_some_and(|kind| kind != "RollingUpdate") {
            let message =
                format!("Deployment {name}: strategy.type is {kind}: must be RollingUpdate");
            findings.at(&kind, message);
            continue;
        }
        let limits = [
            ("maxUnavailable", deployment.replicas().max(2) - 1),
            ("maxSurge", i64::MAX),
        ];
        for (field, most) in limits {
            let value = deployment.spec(&format!("/strategy/rollingUpdate/{field}"));
            let number = value.value().and_then(Value::as_i64);
            if !number.is_some_and(|number| (1..=most).contains(&number)) {
                let limit = if most == i64::MAX {
                    String::new()
                } else {
                    format!(" and at most {most}")
                };
                let message = format!(
                    "Deployment {name}: {field} is {value}: must be a number of at least 1{limit}"
                );
                findings.at(&value, message);
            }
        }
    }
}

fn spread(subject: &Subject, findings: &mut Findings) {
    const BY_NODE: &str = "kubernetes.io/hostname";
    for deployment in subject.deployments() {
        let name = deployment.name();
        let anti = deployment.pod("/affinity/podAntiAffinity");
        let is_by_node = |list: &str, term: &str| {
            anti.items(list).iter().any(|entry| {
                entry.at(term).text("/topologyKey") == BY_NODE
                    && selects(
                        entry.at(term).get("/labelSelector"),
                        deployment.pod_labels(),
                    )
            })
        };
        if is_by_node("/requiredDuringSchedulingIgnoredDuringExecution", "") {
            let message =
                format!("Deployment {name}: different nodes are required: must be preferred");
            findings.at(&anti, message);
        }
        let preferred = "/preferredDuringSchedulingIgnoredDuringExecution";
        if !is_by_node(preferred, "/podAffinityTerm")
            && !spreads_by_constraint(&deployment, BY_NODE)
        {
            let message =
                format!("Deployment {name}: nothing makes its pods prefer different nodes");
            findings.at(&anti, message);
        }
    }
}

/// Whether a topology spread constraint that may be left says the same.
fn spreads_by_constraint(deployment: &Deployment, topology: &str) -> bool {
    let constraints = deployment.pod("").items("/topologySpreadConstraints");
    constraints.iter().any(|constraint| {
        constraint.text("/topologyKey") == topology
            && constraint.text("/whenUnsatisfiable") == "ScheduleAnyway"
            && selects(constraint.get("/labelSelector"), deployment.pod_labels())
    })
}

fn selector(subject: &Subject, findings: &mut Findings) {
    let version = subject.csv().map_or("", |csv| csv.text("/spec/version"));
    for deployment in subject.deployments() {
        let name = deployment.name();
        let selector = deployment.spec("/selector");
        if !selects(selector.value(), deployment.pod_labels()) {
            let message = format!("Deployment {name}: its selector does not select its own pods");
            findings.at(&selector, message);
        }
        let labels = selector.get("/matchLabels").and_then(Value::as_object);
        for (key, value) in labels.into_iter().flatten() {
            let text = value.as_str().unwrap_or_default();
            if !version.is_empty() && text.trim_start_matches('v') == version {
                let message = format!(
                    "Deployment {name}: label {key} of its selector is the version {text:?}"
                );
                findings.at(&selector, message);
            }
        }
    }
}

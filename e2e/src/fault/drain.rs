//! `drain`: the leader's node is cordoned and its replicas are evicted, as `kubectl drain` does.
//!
//! Proves what a disruption budget is for: the node is emptied by the Eviction API alone, what the budget refuses is asked
//! for again until it is allowed, and leadership moves exactly once, to a replica that stays. The standbys of the node go
//! first and the leader last, which is the order that asks the most of the budget. Pods of others are left alone: they
//! prove nothing, and a cluster may be a user's. The node is uncordoned when all replicas are Ready elsewhere.

use std::time::Duration;

use k8s_openapi::api::core::v1::Node;
use kube::{
    Api, ResourceExt,
    api::{ListParams, Patch, PatchParams},
};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::{
    action::{Action, Need},
    error::FaultError,
    process,
};
use crate::{
    context::{RunContext, disruption},
    undo_log::{Due, Undo},
};
use failover_judging::observed::{Eviction, PodSeen, Strike, trial::present};
use failover_rig::cluster::is_ready;

/// Pause before an eviction that was refused is asked for again; kubectl waits 5 s.
const PAUSE: Duration = Duration::from_secs(1);

/// How long the budget may refuse the same eviction.
const LIMIT: Duration = Duration::from_secs(90);

pub(super) const ACTION: Action = Action {
    needs: Some(Need::Nodes),
    ..Action::of(|context, leader| Box::pin(strike(context, leader)))
};

async fn strike(context: &RunContext<'_>, leader: &PodSeen) -> Result<Strike, FaultError> {
    let (node, _) = process::place(leader)?;
    let nodes: Api<Node> = Api::all(context.client.clone());
    let listed = nodes.list(&ListParams::default()).await;
    let listed = listed.map_err(FaultError::api("list nodes beside", node))?;
    let own = listed.items.iter().find(|other| other.name_any() == node);
    if own.is_some_and(is_cordoned) {
        let detail = format!("node {node} is cordoned already, and not by this run: it stays so");
        return Err(FaultError::NoEffect(detail));
    }
    if !listed.items.iter().any(|other| takes_pods(other, node)) {
        let detail = format!("no other node than {node} takes pods, so there is nowhere to go");
        return Err(FaultError::NoEffect(detail));
    }
    context.undo_log.record(
        Due::AfterTrial,
        format!("node {node} is cordoned"),
        Undo::Merge {
            path: format!("/api/v1/nodes/{node}"),
            change: json!({"spec": {"unschedulable": null}}),
        },
    );
    let issued = context.observations.now();
    let cordon = Patch::Merge(json!({"spec": {"unschedulable": true}}));
    let cordoned = nodes.patch(node, &PatchParams::default(), &cordon).await;
    cordoned.map_err(FaultError::api("cordon node", node))?;
    let mut evictions = Vec::new();
    let mut emptied = true;
    for pod in order(context, node, &leader.name) {
        emptied = evict(context, &pod, &leader.name, &mut evictions).await;
        if !emptied {
            break;
        }
    }
    if let Some(last) = evictions.last().filter(|last| !emptied && !last.by_budget) {
        let detail = format!(
            "eviction of {} ended with {}: {}",
            last.pod, last.code, last.message
        );
        return Err(FaultError::NoEffect(detail));
    }
    if emptied {
        // As kubectl does. What does not go shows in what is waited for next.
        let gone = context
            .observations
            .wait_for(LIMIT, |seen| is_empty(node, &seen.pods));
        let _gone = gone.await;
    }
    Ok(Strike {
        evictions,
        ..Strike::between(issued, context.observations.now())
    })
}

/// The replicas on the node, the leader last.
fn order(context: &RunContext<'_>, node: &str, leader: &str) -> Vec<String> {
    let on_node = context
        .replicas()
        .into_iter()
        .filter(|(name, pod)| name == leader || pod.node.as_deref() == Some(node));
    let mut order: Vec<String> = on_node.map(|(name, _)| name).collect();
    order.sort_by_key(|name| name == leader);
    order
}

/// Asks for an eviction until it is allowed; whether it was in the end. Every answer is noted.
async fn evict(
    context: &RunContext<'_>,
    pod: &str,
    leader: &str,
    evictions: &mut Vec<Eviction>,
) -> bool {
    let deadline = Instant::now() + LIMIT;
    loop {
        let eviction = disruption::evict(context, pod.to_owned(), leader).await;
        // 404: it is gone, by whatever way.
        let allowed = matches!(eviction.code, 201 | 404);
        let refused = eviction.code == 429;
        evictions.push(eviction);
        if allowed || !refused || Instant::now() > deadline {
            return allowed;
        }
        sleep(PAUSE).await;
    }
}

/// Whether no replica is on the node any more.
fn is_empty(node: &str, pods: &[PodSeen]) -> Option<()> {
    let present = present(pods);
    let mut nodes = present.values().map(|pod| pod.node.as_deref());
    (!nodes.any(|other| other == Some(node))).then_some(())
}

fn is_cordoned(node: &Node) -> bool {
    let spec = node.spec.as_ref();
    spec.and_then(|spec| spec.unschedulable).unwrap_or_default()
}

/// Whether pods without tolerations can go to this node, and it is not the one that is drained.
fn takes_pods(node: &Node, drained: &str) -> bool {
    let spec = node.spec.clone().unwrap_or_default();
    let closed = spec
        .taints
        .iter()
        .flatten()
        .any(|taint| matches!(taint.effect.as_str(), "NoSchedule" | "NoExecute"));
    node.name_any() != drained && !is_cordoned(node) && !closed && is_ready(node)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use failover_judging::{observed::Presence, samples::pod};

    #[test]
    fn a_node_is_empty_when_the_last_of_its_replicas_is_gone() {
        let on = |name: &str, node: &str, presence| PodSeen {
            node: Some(node.to_owned()),
            presence,
            ..pod(name)
        };
        let mut pods = vec![
            on("a", "n1", Presence::Staying),
            on("b", "n2", Presence::Staying),
            on("a", "n1", Presence::Terminating),
        ];
        assert_eq!(is_empty("n1", &pods), None);
        pods.push(on("a", "n1", Presence::Gone));
        assert_eq!(is_empty("n1", &pods), Some(()));
    }

    fn node(spec: &Value, ready: &str) -> Node {
        let conditions = json!([{"type": "Ready", "status": ready}]);
        serde_json::from_value(json!({
            "metadata": {"name": "b"}, "spec": spec, "status": {"conditions": conditions},
        }))
        .unwrap()
    }

    #[rstest::rstest]
    #[case::open(json!({}), "True", true)]
    #[case::preferred_away(json!({"taints": [{"key": "k", "effect": "PreferNoSchedule"}]}), "True", true)]
    #[case::of_the_control_plane(json!({"taints": [{"key": "k", "effect": "NoSchedule"}]}), "True", false)]
    #[case::cordoned(json!({"unschedulable": true}), "True", false)]
    #[case::not_ready(json!({}), "Unknown", false)]
    fn a_node_takes_pods_when_nothing_keeps_them_away(
        #[case] spec: Value,
        #[case] ready: &str,
        #[case] takes: bool,
    ) {
        let node = node(&spec, ready);
        assert_eq!(takes_pods(&node, "a"), takes);
        assert!(!takes_pods(&node, "b"), "it is the one that is drained");
        assert_eq!(is_cordoned(&node), spec == json!({"unschedulable": true}));
    }
}

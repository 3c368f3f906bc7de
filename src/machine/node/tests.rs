//! Changes of Nodes, case by case.

use rstest::rstest;

use super::*;
use crate::api_server::merge_patch;

fn node(spec: &Value, annotations: &Value) -> Node {
    serde_json::from_value(json!({
        "metadata": {"name": "n", "uid": "u", "resourceVersion": "7", "annotations": annotations},
        "spec": spec,
        "status": {"conditions": [{"type": "Ready", "status": "True"}]},
    }))
    .unwrap()
}

fn taint(key: &str, value: &str) -> NodeTaint {
    NodeTaint {
        key: key.to_owned(),
        value: Some(value.to_owned()),
        effect: TaintEffect::NoSchedule,
    }
}

fn desired(cordoned: bool, taints: &[NodeTaint]) -> DesiredNode {
    DesiredNode {
        cordoned,
        taints: Some(taints.to_vec()),
        clear_reclaim: false,
    }
}

/// What a merge patch makes of a Node.
fn patched(node: &Node, patch: &Value) -> Node {
    let mut object = json!(node);
    merge_patch(&mut object, patch);
    serde_json::from_value(object).unwrap()
}

#[rstest]
#[case::bare(json!({}), json!({}))]
#[case::with_taints_of_others(
    json!({"taints": [{"key": "node.kubernetes.io/not-ready", "effect": "NoExecute", "timeAdded": "2026-01-01T00:00:00Z"}]}),
    json!({"example.com/x": "y"})
)]
#[case::with_one_of_ours_that_is_not_wanted_any_more(
    json!({"taints": [{"key": "old", "value": "1", "effect": "NoSchedule"}]}),
    json!({"5spot.finos.org/applied-taints": "[{\"key\":\"old\",\"value\":\"1\",\"effect\":\"NoSchedule\"}]"})
)]
#[case::with_one_of_ours_of_another_value(
    json!({"taints": [{"key": "a", "value": "0", "effect": "NoSchedule"}]}),
    json!({"5spot.finos.org/applied-taints": "[{\"key\":\"a\",\"value\":\"0\",\"effect\":\"NoSchedule\"}]"})
)]
#[case::with_ours_lost(
    json!({}),
    json!({"5spot.finos.org/applied-taints": "[{\"key\":\"a\",\"value\":\"1\",\"effect\":\"NoSchedule\"}]"})
)]
fn one_patch_makes_the_node_as_wished_and_the_next_is_none(
    #[case] spec: Value,
    #[case] annotations: Value,
) {
    let foreign = |node: &Node| {
        let taints = node
            .spec
            .as_ref()
            .and_then(|spec| spec.taints.clone())
            .unwrap_or_default();
        taints
            .into_iter()
            .filter(|taint| taint.key.starts_with("node."))
            .collect::<Vec<_>>()
    };
    let before = node(&spec, &annotations);
    for desired in [
        desired(false, &[taint("a", "1")]),
        desired(true, &[taint("a", "1"), taint("b", "2")]),
        desired(false, &[]),
    ] {
        let after = match patch(&before, &desired) {
            Some(patch) => {
                assert_eq!(patch["metadata"]["resourceVersion"], "7");
                assert_eq!(patch["metadata"]["uid"], "u");
                patched(&before, &patch)
            }
            None => before.clone(),
        };
        assert_eq!(patch(&after, &desired), None, "{after:?}");
        let seen = NodeSeen::of(&after);
        assert!(seen.is_as(&desired));
        assert_eq!(Some(&seen.applied), desired.taints.as_ref());
        assert_eq!(seen.is_cordoned, desired.cordoned);
        assert_eq!(
            foreign(&after),
            foreign(&before),
            "taints of others stay as they are"
        );
    }
}

#[test]
fn a_taint_of_somebody_else_with_another_value_is_a_conflict_and_nothing_is_put_on() {
    let node = node(
        &json!({"taints": [{"key": "a", "value": "theirs", "effect": "NoSchedule"}]}),
        &json!({}),
    );
    let desired = desired(false, &[taint("a", "ours"), taint("b", "2")]);
    let conflict = NodeSeen::of(&node)
        .conflict(desired.taints.as_ref().unwrap())
        .unwrap();
    assert_eq!(
        conflict.to_string(),
        "nodeTaints: the Node has a=theirs:NoSchedule, which another owner put there, and the spec asks for \
         a=ours:NoSchedule"
    );
    assert_eq!(patch(&node, &desired), None);
}

#[test]
fn a_taint_that_somebody_else_put_there_just_so_stays_theirs() {
    let before = node(
        &json!({"taints": [{"key": "a", "value": "1", "effect": "NoSchedule"}]}),
        &json!({}),
    );
    assert_eq!(patch(&before, &desired(false, &[taint("a", "1")])), None);
    assert_eq!(
        patch(&before, &desired(false, &[])),
        None,
        "it is not taken off either"
    );
}

#[test]
fn a_node_that_somebody_else_cordoned_stays_cordoned() {
    let theirs = node(&json!({"unschedulable": true}), &json!({}));
    assert_eq!(patch(&theirs, &desired(true, &[])), None);
    assert_eq!(patch(&theirs, &desired(false, &[])), None);
    let free = node(&json!({}), &json!({}));
    let ours = patched(&free, &patch(&free, &desired(true, &[])).unwrap());
    let again = patched(&ours, &patch(&ours, &desired(false, &[])).unwrap());
    assert!(!NodeSeen::of(&again).is_cordoned);
    assert_eq!(json!(again.metadata.annotations), json!({}));
}

#[test]
fn a_reclaim_request_is_seen_and_cleared_with_its_details() {
    let node = node(
        &json!({}),
        &json!({
            "5spot.finos.org/reclaim-requested": "true", "5spot.finos.org/reclaim-reason": "x",
            "5spot.finos.org/reclaim-requested-at": "t", "example.com/x": "y",
        }),
    );
    assert!(NodeSeen::of(&node).is_reclaimed);
    let desired = DesiredNode {
        cordoned: true,
        clear_reclaim: true,
        ..DesiredNode::default()
    };
    let after = patched(&node, &patch(&node, &desired).unwrap());
    assert_eq!(
        json!(after.metadata.annotations),
        json!({"5spot.finos.org/cordoned": "true", "example.com/x": "y"})
    );
}

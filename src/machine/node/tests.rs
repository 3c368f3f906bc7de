//! Taints, case by case.

use rstest::rstest;
use serde_json::Value;

use super::*;

fn ours(key: &str, value: &str) -> NodeTaint {
    NodeTaint {
        key: key.to_owned(),
        value: Some(value.to_owned()),
        effect: TaintEffect::NoSchedule,
    }
}

fn node(taints: &Value, applied: &[NodeTaint]) -> NodeView {
    let node: Node = serde_json::from_value(json!({
        "metadata": {"name": "n", "uid": "u", "annotations": {APPLIED_TAINTS: json!(applied).to_string()}},
        "spec": {"taints": taints, "providerID": "test://n"},
    }))
    .unwrap();
    NodeView::of(&node)
}

fn taint(key: &str, value: &str) -> Value {
    json!({"key": key, "value": value, "effect": "NoSchedule"})
}

fn keys(plan: &TaintPlan) -> (Vec<String>, Vec<String>) {
    let TaintPlan::Write { taints, applied } = plan else {
        panic!("{plan:?}")
    };
    (
        taints.iter().map(|taint| taint.key.clone()).collect(),
        applied.iter().map(|taint| taint.key.clone()).collect(),
    )
}

#[test]
fn a_missing_taint_is_added_beside_those_of_others() {
    let plan = taints(&node(&json!([taint("a", "1")]), &[]), &[ours("b", "2")]);
    assert_eq!(
        keys(&plan),
        (vec!["a".into(), "b".into()], vec!["b".into()])
    );
}

#[test]
fn a_taint_that_is_wanted_no_more_goes_and_those_of_others_stay() {
    let present = json!([taint("a", "1"), taint("b", "2")]);
    let plan = taints(&node(&present, &[ours("b", "2")]), &[]);
    assert_eq!(keys(&plan), (vec!["a".into()], vec![]));
}

#[test]
fn a_taint_of_ours_that_somebody_removed_or_changed_is_put_right() {
    for present in [json!([]), json!([taint("b", "changed")])] {
        let plan = taints(&node(&present, &[ours("b", "2")]), &[ours("b", "2")]);
        assert_eq!(keys(&plan), (vec!["b".into()], vec!["b".into()]));
    }
}

#[test]
fn a_taint_that_somebody_else_put_there_with_another_value_is_a_conflict() {
    let plan = taints(&node(&json!([taint("b", "other")]), &[]), &[ours("b", "2")]);
    assert_eq!(plan, TaintPlan::Conflict(ours("b", "2")));
}

#[test]
fn a_taint_that_is_there_already_is_left_to_whoever_put_it_there() {
    let plan = taints(&node(&json!([taint("b", "2")]), &[]), &[ours("b", "2")]);
    assert_eq!(plan, TaintPlan::Settled);
}

#[test]
fn nothing_is_written_when_nothing_changed_and_times_are_kept() {
    let mut present = taint("b", "2");
    present["timeAdded"] = json!("2026-03-02T09:00:00Z");
    let node = node(&json!([present, taint("a", "1")]), &[ours("b", "2")]);
    assert_eq!(taints(&node, &[ours("b", "2")]), TaintPlan::Settled);
    let TaintPlan::Write { taints, .. } = taints(&node, &[ours("b", "2"), ours("c", "3")]) else {
        panic!("one is new")
    };
    assert!(
        taints
            .iter()
            .any(|taint| taint.key == "b" && taint.time_added.is_some())
    );
}

#[rstest]
#[case::the_same(Some("test://n"), None, true)]
#[case::another_uid(Some("test://n"), Some("v"), false)]
#[case::another_machine(Some("test://m"), Some("u"), false)]
#[case::a_machine_without_an_identifier(None, Some("u"), false)]
fn a_node_of_the_same_name_is_not_always_the_same(
    #[case] provider_id: Option<&str>,
    #[case] uid: Option<&str>,
    #[case] belongs: bool,
) {
    let machine = MachineView {
        provider_id: provider_id.map(str::to_owned),
        node: Some(crate::api::NodeReference {
            api_version: "v1".into(),
            kind: "Node".into(),
            name: "n".into(),
            uid: uid.map(str::to_owned),
        }),
        ..MachineView::default()
    };
    assert_eq!(node(&json!([]), &[]).belongs_to(&machine), belongs);
}

#[test]
fn a_reason_cannot_break_a_log() {
    let node: Node = serde_json::from_value(json!({"metadata": {"name": "n", "annotations": {
        RECLAIM_REQUESTED: "true", RECLAIM_REASON: format!("IDE\nstarted {}", "x".repeat(500))}}}))
    .unwrap();
    let reason = NodeView::of(&node).reclaim.unwrap();
    assert!(
        reason.starts_with("IDEstarted") && reason.len() == LONGEST_REASON,
        "{reason}"
    );
}

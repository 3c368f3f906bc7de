//! Each shape of a budget by its own arithmetic, and what an eviction shows.

use super::*;
use crate::clock::Stamp;

fn budget(selects: bool, allowed: i32) -> BudgetSeen {
    BudgetSeen {
        name: "pdb".to_owned(),
        selects,
        allowed,
        desired_healthy: 1,
        current_healthy: 2,
        expected_pods: 2,
        rule: None,
        allowed_by_rule: None,
    }
}

/// Why these budgets are at fault for two replicas.
fn fault_of(budgets: &[BudgetSeen]) -> String {
    match fit(budgets, 2, "x") {
        Err(Unfit::Budget(why)) => why,
        other => panic!("{other:?}"),
    }
}

fn spec(rule: &str) -> PodDisruptionBudgetSpec {
    serde_saphyr::from_str(&format!("{{{rule}}}")).unwrap()
}

#[rstest::rstest]
#[case("minAvailable: 1", 2, 1)]
#[case("minAvailable: 1", 3, 2)]
#[case("minAvailable: 3", 2, 0)]
#[case("minAvailable: 50%", 3, 1)]
#[case("maxUnavailable: 1", 2, 1)]
#[case("maxUnavailable: 1", 3, 1)]
#[case("maxUnavailable: 5", 3, 3)]
#[case("maxUnavailable: 34%", 3, 2)]
fn each_shape_of_a_budget_has_its_own_arithmetic(
    #[case] text: &str,
    #[case] pods: i32,
    #[case] allowed: i32,
) {
    let spec = spec(text);
    assert_eq!(allowed_by_rule(&spec, pods), Some(allowed));
    assert_eq!(rule(&spec).as_deref(), Some(text));
}

#[test]
fn a_budget_without_a_rule_is_taken_at_its_word() {
    let spec = PodDisruptionBudgetSpec::default();
    assert_eq!((rule(&spec), allowed_by_rule(&spec, 2)), (None, None));
    assert!(budget(true, 1).has_counted(2));
}

#[test]
fn a_budget_that_contradicts_its_rule_shows_nothing_about_the_operator() {
    let contradicting = BudgetSeen {
        rule: Some("maxUnavailable: 1".to_owned()),
        allowed_by_rule: Some(1),
        ..budget(true, 0)
    };
    assert!(!contradicting.has_counted(2));
    let check = Disruption::judged(2, Ok(vec![contradicting]), Vec::new(), "x").check;
    assert_eq!(check.verdict, Verdict::Inconclusive);
    assert!(check.detail.contains("maxUnavailable: 1"), "{check:?}");
}

#[test]
fn the_arithmetic_is_said_with_what_came_of_it() {
    let shaped = BudgetSeen {
        rule: Some("minAvailable: 1".to_owned()),
        allowed_by_rule: Some(1),
        ..budget(true, 1)
    };
    assert_eq!(shaped.arithmetic(), "minAvailable: 1 of 2 allows 1: ");
}

fn eviction(code: u16, by_budget: bool) -> Eviction {
    let message = "Cannot evict pod".to_owned();
    Eviction {
        pod: "a".to_owned(),
        leader: true,
        at: Stamp::from_micros(0),
        took_ms: 1.0,
        code,
        message,
        by_budget,
    }
}

#[test]
fn a_missing_budget_and_one_for_others_fail_by_name() {
    assert!(fault_of(&[]).contains("there is none"));
    assert!(fault_of(&[budget(false, 1)]).contains("not pdb"));
}

#[test]
fn a_budget_that_allows_nothing_or_everything_fails() {
    assert!(fault_of(&[budget(true, 0)]).contains("allows no disruption"));
    assert!(fault_of(&[budget(true, 2)]).contains("all 2 replicas"));
    let empty = BudgetSeen {
        expected_pods: 0,
        ..budget(true, 0)
    };
    assert!(fault_of(&[empty]).contains("selects nothing"));
    assert_eq!(fit(&[budget(true, 1)], 2, "x"), Ok(&budget(true, 1)));
}

#[test]
fn two_budgets_for_the_same_pods_fail() {
    assert!(fault_of(&[budget(true, 1), budget(true, 1)]).contains("both select"));
}

#[test]
fn the_second_eviction_must_be_refused_by_the_budget() {
    assert_eq!(
        judge(1, &[eviction(201, false), eviction(429, true)]).0,
        Verdict::Pass
    );
    assert_eq!(
        judge(1, &[eviction(201, false), eviction(201, false)]).0,
        Verdict::Fail
    );
    assert_eq!(judge(1, &[eviction(429, true)]).0, Verdict::Fail);
}

#[test]
fn a_refusal_for_another_reason_shows_nothing() {
    assert_eq!(
        judge(1, &[eviction(201, false), eviction(429, false)]).0,
        Verdict::Inconclusive
    );
    assert_eq!(
        judge(1, &[eviction(201, false), eviction(500, false)]).0,
        Verdict::Inconclusive
    );
}

#[rstest::rstest]
#[case(0, false, Verdict::Inconclusive)]
#[case(503, false, Verdict::Inconclusive)]
#[case(429, false, Verdict::Inconclusive)]
#[case(403, false, Verdict::Fail)]
fn an_allowed_eviction_that_nobody_answered_is_not_held_against_the_operator(
    #[case] code: u16,
    #[case] by_budget: bool,
    #[case] verdict: Verdict,
) {
    assert_eq!(judge(1, &[eviction(code, by_budget)]).0, verdict);
}

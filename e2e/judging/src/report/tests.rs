//! The report's format: it does not drift from the committed schema, and a report is valid against it.

use super::*;
use crate::{samples::report, verdict::CheckId};

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    let committed = include_str!("../../../report.schema.json");
    assert!(
        committed == schema().unwrap(),
        "e2e/report.schema.json is stale: write it anew with `failover schema`"
    );
}

#[test]
fn a_report_is_valid_against_the_schema() {
    let schema: serde_json::Value = serde_json::from_str(&schema().unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let report = serde_json::to_value(report()).unwrap();
    let errors: Vec<String> = validator
        .iter_errors(&report)
        .map(|error| error.to_string())
        .collect();
    assert!(errors.is_empty(), "{errors:#?}");
    let mut broken = report;
    broken["verdict"] = "MAYBE".into();
    assert!(!validator.is_valid(&broken));
}

#[test]
fn a_report_survives_the_way_through_json() {
    let report = report();
    let text = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<Report>(&text).unwrap(), report);
}

#[test]
fn groups_hold_the_percentiles_of_their_own_trials() {
    let report = report();
    assert_eq!(report.groups.len(), 2);
    let graceful = &report.groups[0];
    assert_eq!(
        (
            graceful.n,
            graceful.lease.unwrap().p50_ms,
            graceful.lease.unwrap().max_ms
        ),
        (2, 120.0, 180.0)
    );
    assert_eq!(graceful.reasons, BTreeMap::from([(Reason::Released, 2)]));
    assert_eq!(report.groups[1].release_to_holder, None);
    assert_eq!(report.measuring_error_ms, Some(3.0));
}

#[test]
fn figures_leave_out_what_warmed_up_and_what_the_rig_spoiled_and_say_how_many() {
    let mut report = report();
    report.trials[0].warm_up = true;
    report.trials[2].verdict = Verdict::Inconclusive;
    let groups = report.concluded().groups;
    let graceful = &groups[0];
    assert_eq!((graceful.n, graceful.warm_up, graceful.left_out), (2, 1, 0));
    assert_eq!(
        graceful.lease.map(|lease| (lease.n, lease.p50_ms)),
        Some((1, 180.0))
    );
    assert_eq!((groups[1].left_out, groups[1].lease), (1, None));
}

#[test]
fn too_few_trials_are_warned_of_once_for_all_groups_that_have_as_many() {
    let mut report = report();
    let more = report.trials.clone().into_iter().map(|mut trial| {
        trial.id.replicas = 3;
        trial
    });
    report.trials.extend(more.collect::<Vec<_>>());
    report.warnings.clear();
    let warnings = report.concluded().concluded().warnings;
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(
        warnings[0].contains("n=2") && warnings[0].ends_with("(2 graceful, 3 graceful)"),
        "{warnings:?}"
    );
}

#[test]
fn what_broke_comes_first_and_names_where() {
    let mut report = report();
    report.checks.push(Check::inconclusive(
        CheckId::Evidence,
        "trial x",
        "no audit log",
    ));
    report
        .checks
        .push(Check::fail(CheckId::Standby, "1 replica", "no standby"));
    let report = report.concluded();
    assert_eq!(report.verdict, Verdict::Fail);
    assert_eq!(
        report.why,
        [
            "FAIL 1 replica: standby: no standby",
            "INCONCLUSIVE trial x: evidence: no audit log"
        ]
    );
}

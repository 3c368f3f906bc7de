//! The report's format: it does not drift from the committed schema, and a report is valid against it.

use super::*;
use crate::{
    clock::Stamp,
    disruption::{BudgetSeen, Eviction},
    exclusion::{Exclusion, StrayWrite},
    idle::CallCount,
    judge::{CanaryCount, MeasuringError, Phases},
    trial::TrialId,
    verdict::CheckId,
};

const SETTINGS: LeaseSettings = LeaseSettings {
    duration_seconds: 15,
    renew_deadline_seconds: 10,
    retry_period_seconds: 2,
};

/// A trial with these times.
pub(crate) fn trial(
    replicas: u32,
    fault: FaultKind,
    number: u32,
    lease_ms: f64,
    reason: Reason,
) -> TrialResult {
    let stray = StrayWrite {
        pod: "a".to_owned(),
        what: "patch x".to_owned(),
        late_ms: 1.0,
        audit_id: "1".to_owned(),
    };
    TrialResult {
        id: TrialId {
            replicas,
            fault,
            number,
        },
        verdict: Verdict::Pass,
        warm_up: false,
        reason: Some(reason),
        old_leader: "a".to_owned(),
        new_leader: Some("b".to_owned()),
        budget: SETTINGS.budget(fault, false),
        phases: Phases {
            lease_ms: Some(lease_ms),
            work_ms: Some(lease_ms + 100.0),
            release_to_holder_ms: (reason == Reason::Released).then_some(12.0),
            ..Phases::default()
        },
        error: MeasuringError {
            clock_ms: Some(1.0),
            watch_lag_ms: 2.0,
            observation_ms: 0.0,
            kill_ms: 0.0,
            total_ms: 3.0,
        },
        canary: CanaryCount {
            changed: 1,
            covered: 1,
            ..CanaryCount::default()
        },
        exclusion: Exclusion {
            overlap: vec![stray],
            ..Exclusion::default()
        },
        checks: vec![Check::pass(CheckId::Takeover, "here", "seen")],
    }
}

/// A report with every part filled in.
pub(crate) fn report() -> Report {
    let eviction = Eviction {
        pod: "b".to_owned(),
        leader: false,
        at: Stamp::from_micros(5),
        took_ms: 1.0,
        code: 201,
        message: String::new(),
        by_budget: false,
    };
    let budget = BudgetSeen {
        name: "pdb".to_owned(),
        selects: true,
        allowed: 1,
        desired_healthy: 1,
        current_healthy: 2,
        expected_pods: 2,
        rule: Some("minAvailable: 1".to_owned()),
        allowed_by_rule: Some(1),
    };
    Report {
        format_version: FORMAT_VERSION,
        verdict: Verdict::Pass,
        why: Vec::new(),
        warnings: Vec::new(),
        run: RunInfo {
            id: "run".to_owned(),
            harness_version: "0.1.0".to_owned(),
            began: "2026-01-15T10:00:00Z".to_owned(),
            took_ms: 1.5,
            provider: Provider::Node,
            provider_reason: "because".to_owned(),
            cluster_image: Some("node".to_owned()),
            kubernetes_version: "v1.34.4".to_owned(),
            image: "operator".to_owned(),
            target: Some(TargetInfo {
                namespace: "5spot-system".to_owned(),
                deployment: "5spot-controller".to_owned(),
                container: "controller".to_owned(),
                lease: "5spot-leader".to_owned(),
                holder: HolderIdentity::NameSuffix,
            }),
            replicas: vec![2],
            faults: vec![FaultKind::Graceful],
            trials: 1,
            warm_up: 0,
            max_trials: Some(9),
            until_confident: vec!["graceful.work.p50<=1s".to_owned()],
            gates: vec!["graceful.work.p50>1s".to_owned()],
            baseline: Some("main.json".to_owned()),
            regression_percent: Some(20.0),
            seed: 7,
            set_env: BTreeMap::from([("A".to_owned(), "b".to_owned())]),
            fence: true,
            hint: Some(false),
            budget: BudgetShape::AsIs,
            agents: 0,
            not_observed: vec!["the weather".to_owned()],
        },
        settings: Some(SETTINGS),
        promise: Some(Promise {
            within_ms: 15_000.0,
        }),
        measuring_error_ms: None,
        idle: Some(Idle {
            window_ms: 30_000.0,
            leader: "a".to_owned(),
            calls: BTreeMap::from([("a".to_owned(), CallCount::default())]),
            checks: vec![Check::pass(CheckId::Idle, "idle", "quiet")],
        }),
        disruptions: vec![Disruption {
            replicas: 2,
            budgets: vec![budget],
            evictions: vec![eviction],
            check: Check::pass(CheckId::DisruptionBudget, "evictions", "refused"),
        }],
        groups: Vec::new(),
        trials: vec![
            trial(2, FaultKind::Graceful, 1, 120.0, Reason::Released),
            trial(2, FaultKind::Graceful, 2, 180.0, Reason::Released),
            trial(2, FaultKind::CrashLoop, 1, 14_200.0, Reason::Expired),
        ],
        checks: Vec::new(),
    }
    .concluded()
}

#[test]
fn the_committed_schema_is_the_one_of_the_types() {
    let committed = include_str!("../../report.schema.json");
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

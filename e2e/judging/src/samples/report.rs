//! A report with every part filled in, and the results of trials.

use std::collections::BTreeMap;

use super::history::{PROMISE, SETTINGS};
use crate::{
    clock::Stamp,
    fault::FaultKind,
    judge::{
        CanaryCount, Exclusion, MeasuringError, Phases, Reason, StrayWrite, TrialResult,
        disruption::{BudgetSeen, Disruption},
        idle::{CallCount, Idle},
    },
    observed::{Eviction, HolderIdentity, TrialId},
    report::{BudgetShape, FORMAT_VERSION, Provider, Report, RunInfo, TargetInfo},
    verdict::{Check, CheckId, Verdict},
};

/// A trial with these times.
pub fn trial(
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
        limits: fault.limits(&SETTINGS, false),
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
pub fn report() -> Report {
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
        promise: Some(PROMISE),
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

/// A run whose crashes took these times until the Lease changed hands, and 100 ms more until the first write.
pub fn crashes(lease_ms: &[f64]) -> Report {
    let trials = (1..).zip(lease_ms);
    Report {
        trials: trials
            .map(|(number, ms)| trial(2, FaultKind::Crash, number, *ms, Reason::Proof))
            .collect(),
        ..report()
    }
}

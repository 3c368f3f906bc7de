//! The promise of the operator when its leader's node goes, on a cluster of one server and two agents: in silence, or
//! drained within each shape of the disruption budget.

use std::future::pending;

use failover_judging::{
    judge::Reason,
    report::Report,
    verdict::{CheckId, Verdict},
};

use crate::{DEPLOY, NODES};

/// Runs what `failover run` would run with these flags, once for each fault, on the cluster with agents.
fn failover(flags: &[&str]) -> Report {
    let flags = [&["--deploy", DEPLOY, "--seed", "7", "--trials", "1"], flags].concat();
    NODES.take().failover(&flags, pending).report
}

/// The details of a check, one for each trial or number of replicas.
fn details(report: &Report, id: CheckId) -> Vec<&str> {
    let checks = report.all_checks().filter(|check| check.id == id);
    checks.map(|check| check.detail.as_str()).collect()
}

#[test]
fn a_leader_lost_with_its_node_is_followed_when_its_lease_has_expired_and_the_node_comes_back() {
    // Twice in a row: the second one finds the node of the first one back.
    let report = failover(&["--replicas", "2,3", "--faults", "node-loss"]);
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.why);
    assert_eq!(report.trials.len(), 2);
    for trial in &report.trials {
        assert_eq!(trial.reason, Some(Reason::Expired), "{}", trial.id);
        let took = trial.phases.lease_ms.unwrap();
        assert!(took > 2_000.0, "{}: {took} ms", trial.id);
        assert!(trial.exclusion.overlap.is_empty() && trial.exclusion.by_non_holder.is_empty());
    }
}

#[rstest::rstest]
#[case("min-available-1", "minAvailable: 1 of 3 allows 2")]
#[case("max-unavailable-1", "maxUnavailable: 1 of 3 allows 1")]
fn a_node_is_drained_within_either_budget_and_leadership_moves_once(
    #[case] budget: &str,
    #[case] arithmetic: &str,
) {
    let report = failover(&["--replicas", "3", "--faults", "drain", "--budget", budget]);
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.why);
    assert_eq!(report.run.budget.to_string(), budget);
    let evictions = details(&report, CheckId::DisruptionBudget);
    assert!(
        evictions
            .iter()
            .any(|detail| detail.starts_with(arithmetic)),
        "{evictions:?}"
    );
    let drained = details(&report, CheckId::Drained);
    assert!(drained[0].contains("evictions allowed"), "{drained:?}");
    let [trial] = report.trials.as_slice() else {
        panic!("one trial, not {}", report.trials.len())
    };
    assert_eq!(trial.reason, Some(Reason::Released));
    assert!(trial.exclusion.overlap.is_empty() && trial.exclusion.by_non_holder.is_empty());
}

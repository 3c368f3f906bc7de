//! The promise of the operator, on a real cluster: whatever happens to the leader, another term begins within
//! `LEASE_DURATION_SECONDS`, with 2 and with 3 replicas.

use std::future::pending;

use failover_judging::{
    fault::FaultKind,
    judge::Reason,
    report::{Provider, Report},
    samples::says,
    verdict::Verdict,
};
use failover_rig::cluster::OPERATOR_IMAGE;
use jiff::{SignedDuration, Timestamp};

use crate::{DEPLOY, MUTANT_IMAGE, ONE_NODE, UNTOUCHED, lanes::second_eviction};

/// Runs what `failover run` would run with these flags, at the same moments of the faults in every run of the tests.
fn failover(flags: &str) -> Report {
    let flags: Vec<&str> = flags.split(' ').collect();
    let flags = [&["--deploy", DEPLOY, "--seed", "7"], flags.as_slice()].concat();
    ONE_NODE.take().failover(&flags, pending).report
}

#[rstest::rstest]
fn another_term_begins_within_the_lease_duration(
    #[values(2, 3)] replicas: u32,
    #[values(FaultKind::Graceful, FaultKind::Crash, FaultKind::CrashLoop)] fault: FaultKind,
) {
    let report = failover(&format!(
        "--replicas {replicas} --faults {fault} --trials 1"
    ));
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.why);
    let duration_ms = f64::from(report.settings.expect("settings").duration_seconds) * 1000.0;
    let [trial] = report.trials.as_slice() else {
        panic!("one trial, not {}", report.trials.len())
    };
    let took = trial.phases.lease_since_last_blow_ms.expect("a takeover");
    assert!(
        took <= duration_ms + trial.error.since_fault_ms(),
        "the takeover took {took} ms of {duration_ms} ms"
    );
    assert!(trial.exclusion.overlap.is_empty() && trial.exclusion.by_non_holder.is_empty());
}

#[rstest::rstest]
fn whatever_is_done_to_the_leader_its_promise_is_kept(
    #[values(
        FaultKind::PairCrash,
        FaultKind::Zombie,
        FaultKind::Partition,
        FaultKind::LostAnswers,
        FaultKind::LeaseDeleted,
        FaultKind::HolderOverwritten,
        FaultKind::RenewalsDenied,
        FaultKind::RbacRevoked,
        FaultKind::SlowWebhook,
        FaultKind::ApiStop,
        FaultKind::Scale
    )]
    fault: FaultKind,
) {
    let report = failover(&format!("--replicas 2 --faults {fault} --trials 1"));
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.why);
    let [trial] = report.trials.as_slice() else {
        panic!("one trial, not {}", report.trials.len())
    };
    assert!(trial.phases.lease_ms.is_some() && trial.phases.work_ms.is_some());
    assert!(trial.exclusion.overlap.is_empty() && trial.exclusion.by_non_holder.is_empty());
    let undone = trial.phases.undone_ms.is_some();
    let lasts = !matches!(
        fault,
        FaultKind::PairCrash | FaultKind::LeaseDeleted | FaultKind::HolderOverwritten
    );
    assert_eq!(undone, lasts, "{:#?}", trial.phases);
}

#[test]
fn a_leader_keeps_its_lease_while_every_write_of_it_is_slow() {
    let report = failover("--replicas 3 --faults slow-webhook --trials 1");
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.why);
    let trial = &report.trials[0];
    assert_eq!(trial.reason, Some(Reason::Own), "{trial:#?}");
    assert_eq!(trial.new_leader.as_deref(), Some(trial.old_leader.as_str()));
}

/// What a replica logs within this time of its start belongs to its installation.
const INSTALLED_WITHIN: SignedDuration = SignedDuration::from_secs(10);

#[test]
fn replicas_that_are_installed_warn_of_nothing() {
    let flags = "--seed 7 --replicas 3 --canary none --faults graceful --trials 1";
    let flags: Vec<&str> = flags.split(' ').chain(["--deploy", DEPLOY]).collect();
    let folder = UNTOUCHED.take().failover(&flags, pending).folder;
    let logs: Vec<_> = std::fs::read_dir(folder.join("logs")).unwrap().collect();
    assert!(logs.len() >= 3, "{logs:?}");
    for log in logs {
        let path = log.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let lines = text.lines().filter_map(|line| {
            let (at, said) = line.split_once(' ')?;
            Some((at.parse::<Timestamp>().ok()?, said))
        });
        let lines: Vec<(Timestamp, &str)> = lines.collect();
        let begun = lines
            .first()
            .unwrap_or_else(|| panic!("{} is empty", path.display()))
            .0;
        let at_the_start = lines
            .iter()
            .filter(|(at, _)| at.duration_since(begun) < INSTALLED_WITHIN);
        let warnings: Vec<&str> = at_the_start
            .map(|(_, said)| *said)
            .filter(|said| {
                said.contains(r#""level":"WARN""#) || said.contains(r#""level":"ERROR""#)
            })
            .collect();
        assert!(warnings.is_empty(), "{}: {warnings:#?}", path.display());
    }
}

/// The operator's own writes are refused as conflicts; the fence is what refuses those of an operator that forces them.
#[rstest::rstest]
#[case::by_its_version(OPERATOR_IMAGE, false)]
#[case::by_the_fence(MUTANT_IMAGE, true)]
fn a_write_that_is_held_up_until_another_leads_is_refused_by_the_api_server(
    #[case] image: &str,
    #[case] is_fenced: bool,
) {
    let flags = format!("--replicas 2 --faults late-write --trials 1 --image {image}");
    let forced = if is_fenced {
        " --set-env FIVE_SPOT_MUTANT=forces-status"
    } else {
        ""
    };
    let report = failover(&(flags + forced));
    if report.run.provider == Provider::K3s {
        // Its image has no tc, and a fault that can't be done says so and passes nothing.
        assert_eq!(report.verdict, Verdict::Inconclusive);
        assert!(
            report.why.iter().any(|why| why.contains("/sbin/tc")),
            "{:#?}",
            report.why
        );
        return;
    }
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.why);
    assert!(report.run.fence);
    let [trial] = report.trials.as_slice() else {
        panic!("one trial, not {}", report.trials.len())
    };
    assert_eq!(trial.exclusion.refused > 0, is_fenced, "{trial:#?}");
}

#[rstest::rstest]
fn a_rolling_update_moves_leadership_exactly_once(#[values(2, 3)] replicas: u32) {
    let report = failover(&format!(
        "--replicas {replicas} --faults rolling-update --trials 1"
    ));
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.why);
}

#[test]
fn the_disruption_budget_lets_one_of_two_replicas_go_and_says_why_not_the_other() {
    let report = failover("--replicas 2 --faults graceful --trials 1");
    let refused = second_eviction(&report);
    assert!(refused.leader && refused.by_budget, "{refused:#?}");
    says(&refused.message, &["disruption budget"]);
}

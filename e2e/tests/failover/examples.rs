//! The examples that are not our own operator, as anybody would run them: by their `failover.toml`, on a real cluster. What
//! the harness measures is held against a stopwatch of its own: a plain watch on the Lease.

use std::{
    collections::BTreeMap,
    path::Path,
    sync::{Mutex, PoisonError},
};

use failover_judging::{
    judge::{Reason, TrialResult},
    observed::TrialData,
    verdict::{CheckId, Verdict},
};
use failover_rig::cluster::Cluster;
use five_spot_e2e::run::Outcome;
use futures::TryStreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, ResourceExt,
    api::{WatchEvent, WatchParams},
};
use tokio::time::{Duration, Instant, sleep};

use crate::ONE_NODE;

/// By how much the harness and the stopwatch may differ, beyond what the harness says of its own precision.
const TOLERANCE_MS: f64 = 100.0;

/// When the stopwatch saw each revision of the Lease.
type Stopwatch = Mutex<BTreeMap<u64, Instant>>;

/// Runs an example for one trial of each fault, with the stopwatch beside it.
fn measure(example: &str, faults: &str, stopwatch: &Stopwatch) -> Outcome {
    let config = format!(
        "{}/examples/{example}/failover.toml",
        env!("CARGO_MANIFEST_DIR")
    );
    let flags = [
        "--config", &config, "--faults", faults, "--trials", "1", "--seed", "7",
    ];
    let lane = ONE_NODE.take();
    lane.keep_leases_followed();
    lane.failover(&flags, || watch(lane.cluster, example, stopwatch))
}

/// Watches the example's Lease, as anybody could. Never returns.
async fn watch(cluster: &Cluster, example: &str, stopwatch: &Stopwatch) {
    let name = match example {
        "client-go" => "client-go-peer",
        "kube-rs" => "kube-rs-peer",
        _ => "lease-manager-peer",
    };
    let leases: Api<Lease> = Api::namespaced(cluster.client().await.unwrap(), name);
    let by_name = WatchParams::default().fields(&format!("metadata.name={name}"));
    loop {
        if let Ok(events) = leases.watch(&by_name, "0").await {
            let mut events = std::pin::pin!(events);
            while let Ok(Some(event)) = events.try_next().await {
                if let WatchEvent::Added(lease) | WatchEvent::Modified(lease) = event {
                    let version = lease.resource_version().unwrap().parse().unwrap();
                    let mut seen = stopwatch.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.entry(version).or_insert_with(Instant::now);
                }
            }
        }
        sleep(Duration::from_millis(50)).await;
    }
}

/// From the last state of the Lease before the fault to the takeover, by the report and by the stopwatch.
fn by_both(folder: &Path, result: &TrialResult, stopwatch: &Stopwatch) -> (f64, f64) {
    let id = result.id;
    let file = format!("trials/{}-{}-{}.json", id.replicas, id.fault, id.number);
    let data: TrialData =
        serde_json::from_str(&std::fs::read_to_string(folder.join(file)).unwrap()).unwrap();
    let is_before = |version: u64| version == data.before.resource_version;
    let before = data
        .leases
        .iter()
        .find(|seen| is_before(seen.record.resource_version));
    let before = before.unwrap();
    let new_leader = result.new_leader.as_deref();
    let taken = data.leases.iter().find(|seen| {
        seen.record.resource_version > before.record.resource_version
            && Some(seen.record.holder.as_str()) == new_leader
    });
    let taken = taken.unwrap();
    let seen = stopwatch.lock().unwrap_or_else(PoisonError::into_inner);
    let stopped = seen[&taken.record.resource_version] - seen[&before.record.resource_version];
    let onset = data.strike.issued.since(before.at) + result.phases.onset_ms;
    (
        onset + result.phases.lease_ms.unwrap(),
        stopped.as_secs_f64() * 1000.0,
    )
}

/// client-go's elector at 15/10/2 keeps its Lease where writes take 3 s; where its answers are lost another replica follows,
/// and how late is its own affair.
#[rstest::rstest]
#[case::keeps("slow-webhook", true)]
#[case::is_followed("lost-answers", false)]
fn client_go_leads_through_a_gray_failure(#[case] fault: &str, #[case] keeps: bool) {
    let Outcome { report, .. } = measure("client-go", fault, &Stopwatch::default());
    assert_ne!(report.verdict, Verdict::Inconclusive, "{:#?}", report.why);
    let trial = &report.trials[0];
    let led = trial
        .checks
        .iter()
        .find(|check| check.id == CheckId::Led)
        .unwrap();
    assert_eq!(led.verdict, Verdict::Pass, "{}", led.detail);
    let went_on = trial.new_leader.as_ref() == Some(&trial.old_leader);
    assert_eq!(went_on, keeps, "{trial:#?}");
    assert!(trial.exclusion.by_non_holder.is_empty(), "{trial:#?}");
}

/// The crate carries an operator that is not ours: the same reasons, and the same promises kept.
#[test]
fn an_operator_with_the_crate_keeps_the_promises_of_ours() {
    let Outcome { report, .. } = measure(
        "kube-rs",
        "graceful,crash,crash-loop",
        &Stopwatch::default(),
    );
    assert_eq!(report.verdict, Verdict::Pass, "{:#?}", report.why);
    let reasons: Vec<_> = report
        .trials
        .iter()
        .filter_map(|trial| trial.reason)
        .collect();
    assert!(
        reasons[0] == Reason::Released
            && matches!(reasons[1], Reason::Hint | Reason::Proof | Reason::Reclaimed)
            && matches!(reasons[2], Reason::Hint | Reason::Proof),
        "{reasons:?}"
    );
}

#[rstest::rstest]
fn a_foreign_elector_is_measured_as_a_stopwatch_measures_it(
    #[values("client-go", "kube-lease-manager")] example: &str,
) {
    let stopwatch = Stopwatch::default();
    let Outcome { report, folder } = measure(example, "graceful,crash-loop", &stopwatch);
    // How fast it is, is its own affair; that it was seen is ours.
    assert_ne!(report.verdict, Verdict::Inconclusive, "{:#?}", report.why);
    assert_eq!(report.trials.len(), 2, "{:#?}", report.why);
    for trial in &report.trials {
        assert!(trial.phases.work_ms.is_some(), "{trial:#?}");
        assert!(
            trial.canary.covered > 0 && trial.exclusion.writes > 0,
            "{trial:#?}"
        );
        assert!(trial.exclusion.by_non_holder.is_empty(), "{trial:#?}");
        let (reported, stopped) = by_both(&folder, trial, &stopwatch);
        assert!(
            (reported - stopped).abs() <= TOLERANCE_MS + trial.error.since_fault_ms(),
            "{}: {reported:.1} ms by the report, {stopped:.1} ms by the stopwatch",
            trial.id
        );
    }
    assert!(
        !report.run.not_observed.is_empty(),
        "the metrics are not read"
    );
}

//! The promise of the operator when its leader's node goes, on a cluster of one server and two agents: in silence, or
//! drained within each shape of the disruption budget.
//!
//! Needs a container engine, the cluster image and the operator image (`just cluster-test` sees to them). The cluster is
//! started once, by the same code that `failover run` uses; its guardian removes it when this process ends.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test's helper ends the test where it stands"
)]

use std::{
    path::PathBuf,
    sync::{Mutex, OnceLock, PoisonError},
};

use clap::Parser;
use five_spot_e2e::{
    args::RunArgs,
    budget::FaultKind,
    cluster::{Cluster, ClusterOptions},
    console::Console,
    fault,
    progress::chain,
    report::Report,
    run::{self, RunOptions},
    takeover::Reason,
    verdict::{CheckId, Verdict},
};
use tokio::runtime::Runtime;

/// The one runtime: what a cluster needs while it runs belongs to the runtime that it was started on.
static RUNTIME: OnceLock<Runtime> = OnceLock::new();
/// The one cluster, or why there is none.
static CLUSTER: OnceLock<Result<Cluster, String>> = OnceLock::new();
/// Timed tests share the cluster, so they run one after the other.
static TURN: Mutex<()> = Mutex::new(());

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(flatten)]
    run: RunArgs,
}

/// Runs what `failover run` would run with these flags, on the shared cluster.
fn failover(flags: &[&str]) -> Report {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let deploy = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
    let out = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))
        .unwrap()
        .keep();
    let out = out.to_str().unwrap();
    let common = [
        "failover", "--deploy", deploy, "--seed", "7", "--steady", "0s", "--trials", "1", "--out",
        out,
    ];
    let args = CommandLine::try_parse_from(common.iter().chain(flags))
        .unwrap()
        .run;
    let options = RunOptions::try_from(&args).unwrap();
    let runtime = RUNTIME.get_or_init(|| Runtime::new().unwrap());
    let console = Console::start();
    let cluster = CLUSTER.get_or_init(|| runtime.block_on(start(&args, &console)));
    let cluster = cluster.as_ref().unwrap_or_else(|why| panic!("{why}"));
    let pending = std::future::pending();
    let outcome = runtime.block_on(run::run(&options, cluster, pending, &console, |_| {}));
    let outcome = outcome.unwrap_or_else(|error| panic!("{}", chain(&error)));
    outcome.report
}

async fn start(args: &RunArgs, console: &Console) -> Result<Cluster, String> {
    let options = args.cluster.options().map_err(|error| chain(&error))?;
    let mut options = ClusterOptions {
        guardian: PathBuf::from(env!("CARGO_BIN_EXE_failover")),
        ..options
    };
    options.raise_agents(fault::agents_for(&[FaultKind::NodeLoss]));
    Cluster::start(&options, console)
        .await
        .map_err(|error| chain(&error))
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

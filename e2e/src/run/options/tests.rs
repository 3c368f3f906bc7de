//! Flags over the file over the defaults.

use clap::Parser;

use super::*;
use crate::observe::canary::COUNTER;
use failover_judging::{criteria::precision::MAX_TRIALS, observed::HolderIdentity, samples::says};

#[derive(Debug, Parser)]
struct Command {
    #[command(flatten)]
    run: RunArgs,
}

const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: foreign, namespace: there}
spec:
  selector: {matchLabels: {app: foreign}}
  template:
    metadata: {labels: {app: foreign}}
    spec:
      containers: [{name: manager, image: "example/manager:1"}]
"#;

const FILE: &str = r#"
[target]
manifests = "foreign.yaml"
image = "example/manager:2"
images = ["example/helper:1", "example/manager:2"]
deployment = "foreign"
lease = "its-lease"
holder = "pod_name"
[target.election]
lease_duration = "15s"
renew_deadline = "10s"
retry_period = "2s"
[canary]
object = { apiVersion = "v1", kind = "ConfigMap", metadata = { name = "input" } }
patch = { data = { n = "number {counter}" } }
answer = "configmaps"
[run]
faults = ["graceful", "crash"]
trials = 7
set_env = { A = "file", B = "file" }
fail_if = ["crash.lease.max>2s"]
out = "results"
"#;

/// A folder with the manifest and this `failover.toml`.
fn folder(file: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("foreign.yaml"), DEPLOYMENT).unwrap();
    std::fs::write(folder.path().join("failover.toml"), file).unwrap();
    folder
}

fn asked(flags: &[&str]) -> Result<RunOptions, RunError> {
    let args = Command::try_parse_from([&["failover"], flags].concat());
    RunOptions::try_from(&args.unwrap().run)
}

fn with_file(file: &str, flags: &[&str]) -> Result<RunOptions, RunError> {
    let folder = folder(file);
    let path = folder.path().join("failover.toml");
    asked(&[&["--config", path.to_str().unwrap()], flags].concat())
}

fn refused(file: &str, flags: &[&str]) -> String {
    let error = with_file(file, flags).unwrap_err();
    assert!(error.is_usage(), "{error}");
    error.to_string()
}

fn target(options: &RunOptions) -> &Target {
    match &options.source {
        Source::Manifests { target, .. } => target,
        Source::Running { .. } => panic!("it is applied"),
    }
}

#[test]
fn a_run_can_be_asked_for_by_the_file_alone() {
    let options = with_file(FILE, &[]).unwrap();
    let target = target(&options);
    assert_eq!(
        (target.lease.as_str(), target.image.as_str()),
        ("its-lease", "example/manager:2")
    );
    assert_eq!(target.holder, HolderIdentity::PodName);
    assert_eq!(options.images, ["example/manager:2", "example/helper:1"]);
    assert_eq!(
        (options.precision.trials, options.replicas.as_slice()),
        (7, [2, 3].as_slice())
    );
    assert_eq!(options.limits.gates.len(), 1);
    let folder = options.config.unwrap();
    let folder = folder.parent().unwrap();
    assert_eq!(options.out, Some(folder.join("results")));
    assert_eq!(
        options.metrics, None,
        "what the file does not say is not observed"
    );
    let canary = options.canary.unwrap();
    assert!(canary.patch.to_string().contains(COUNTER));
    assert!(!canary.answer.is_canary);
    assert_eq!(options.work.answer, Some(canary.answer));
}

#[test]
fn a_flag_wins_over_the_file() {
    let flags = "--trials 1 --replicas 3 --faults graceful --fail-if graceful.lease.p50>1s --image mine --lease other --holder name_suffix \
                 --set-env B=flag --canary none --out here";
    let flags: Vec<&str> = flags.split_whitespace().collect();
    let options = with_file(FILE, &flags).unwrap();
    let target = target(&options);
    assert_eq!(
        (target.lease.as_str(), target.image.as_str()),
        ("other", "mine")
    );
    assert_eq!(target.holder, HolderIdentity::NameSuffix);
    assert_eq!(
        (options.precision.trials, options.replicas.as_slice()),
        (1, [3].as_slice())
    );
    assert_eq!(options.faults, [FaultKind::Graceful]);
    assert_eq!(options.limits.gates[0].fault(), FaultKind::Graceful);
    assert_eq!(options.set_env["A"], "file");
    assert_eq!(options.set_env["B"], "flag");
    assert_eq!((options.canary, options.out), (None, Some("here".into())));
}

#[test]
fn without_a_file_it_is_our_own_operator() {
    let deploy = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");
    let options = asked(&["--deploy", deploy]).unwrap();
    assert_eq!(options.config, None);
    assert_eq!(target(&options).lease, "5spot-leader");
    assert_eq!(options.faults.len(), 3);
    assert_eq!(
        (options.precision.trials, options.steady),
        (3, Duration::from_secs(30))
    );
    let canary = options.canary.as_ref().unwrap();
    assert_eq!(
        canary.answer.resource.to_string(),
        "scheduledmachines.5spot.finos.org/status"
    );
    assert!(canary.answer.is_canary, "its status tells its generation");
    let metric = options.metrics_of(target(&options)).unwrap().unwrap();
    assert_eq!((metric.port, metric.path.as_str()), (8080, "/metrics"));
    let none = asked(&["--deploy", deploy, "--canary", "none", "--metrics", "none"]).unwrap();
    assert_eq!((none.canary, none.metrics), (None, None));
}

#[test]
fn manifests_of_another_operator_do_not_get_our_image_canary_and_metrics() {
    let folder = folder("");
    let named = DEPLOYMENT.replace(
        "image: \"example/manager:1\"",
        "image: \"example/manager:1\", env: [{name: LEASE_NAME, value: theirs}, \
         {name: LEASE_DURATION_SECONDS, value: \"15\"}, {name: LEASE_RENEW_DEADLINE_SECONDS, value: \"10\"}, \
         {name: LEASE_RETRY_PERIOD_SECONDS, value: \"2\"}]",
    );
    let file = folder.path().join("foreign.yaml");
    std::fs::write(&file, named).unwrap();
    let options = asked(&["--deploy", file.to_str().unwrap()]).unwrap();
    assert_eq!(target(&options).image, "example/manager:1");
    assert_eq!((options.canary, options.metrics), (None, None));
}

#[test]
fn a_deployment_that_runs_already_is_named_and_needs_its_cluster() {
    let named: Vec<&str> = "--running --namespace n --deployment d --lease l"
        .split(' ')
        .collect();
    let error = asked(&named).unwrap_err();
    assert!(error.is_usage(), "{error}");
    says(&error, &["--kubeconfig"]);
    let brought = [&named[..], &["--kubeconfig", "k"]].concat();
    let options = asked(&brought).unwrap();
    assert!(matches!(
        &options.source,
        Source::Running { namespace, deployment } if namespace == "n" && deployment == "d"
    ));
    assert_eq!((options.canary, options.images.len()), (None, 0));
    says(
        &asked(&["--running", "--deployment", "d", "--kubeconfig", "k"]).unwrap_err(),
        &["--namespace"],
    );
    let unfenced = [&brought[..], &["--fence", "off"]].concat();
    says(&asked(&unfenced).unwrap_err(), &["--fence off"]);
}

#[rstest::rstest]
#[case::no_gate("crash.lease.max>2s", "crash.lease", &["failover.toml:21:12", "run.fail_if[0]", "crash.lease"])]
#[case::gate_without_trial("crash.lease", "zombie.lease", &["failover.toml:21:12", "run.fail_if[0]", "--faults"])]
#[case::no_variable("A = \"file\"", "\"1A\" = \"x\"", &["failover.toml:20:20", "run.set_env.1A", "NAME=VALUE"])]
#[case::changes_nothing("number {counter}", "same", &["failover.toml:15:9", "canary.patch", "{counter}"])]
#[case::no_object("apiVersion = \"v1\", ", "", &["failover.toml:14:10", "canary.object", "apiVersion"])]
#[case::no_such_deployment("deployment = \"foreign\"", "deployment = \"x\"", &["--deployment=x", "foreign"])]
#[case::no_settings("retry_period = \"2s\"", "", &["target.election.retry_period", "LEASE_RETRY_PERIOD_SECONDS"])]
#[case::no_promise("trials = 7", "within = \"0s\"", &["failover.toml:19:10", "run.within", "longer than 0s"])]
#[case::no_metric(
    "[run]", "[metrics]\nport = 1\nleader = \"a b\"\n[run]", &["failover.toml:19:10", "metrics.leader", "\"a b\" must be a metric"]
)]
#[case::no_goal("trials = 7", "until_confident = [\"crash.work.p50\"]", &["failover.toml:19:20", "run.until_confident[0]", "such as"])]
#[case::most_of_what("trials = 7", "max_trials = 9", &["run.max_trials", "run.until_confident"])]
#[case::too_many_to_warm_up("trials = 7", "warm_up = 101", &["failover.toml:19:11", "run.warm_up", "0 to 100"])]
#[case::regression_from_what("trials = 7", "regression = \"20%\"", &["run.regression", "run.baseline"])]
#[case::no_percentage("trials = 7", "regression = \"20\"", &["failover.toml:19:14", "run.regression", "such as 20%"])]
#[case::no_time_to_settle("trials = 7", "settle = \"0s\"", &["failover.toml:19:10", "run.settle", "longer than 0s"])]
#[case::no_port("[run]", "[metrics]\nleader = \"up\"\n[run]", &["metrics.port"])]
#[case::no_manifest("foreign.yaml", "gone", &["gone", "target.manifests"])]
fn what_does_not_fit_is_said_with_its_place(
    #[case] old: &str,
    #[case] new: &str,
    #[case] expected: &[&str],
) {
    let message = refused(&FILE.replacen(old, new, 1), &[]);
    says(&message, expected);
}

#[test]
fn how_many_trials_is_said_by_goals_flags_and_file() {
    let most = |file: &str, flags: &[&str]| {
        let precision = with_file(file, flags).unwrap().precision;
        (precision.warm_up, precision.trials, precision.max_trials)
    };
    assert_eq!(most(FILE, &[]), (0, 7, 7));
    let goal = FILE.replace(
        "trials = 7",
        "trials = 7\nwarm_up = 2\nuntil_confident = [\"crash.work.p50<=50ms\"]",
    );
    assert_eq!(most(&goal, &[]), (2, 7, MAX_TRIALS));
    assert_eq!(most(&goal, &["--trials", "500"]), (2, 500, 500));
    assert_eq!(
        most(&goal, &["--max-trials", "20", "--warm-up", "0"]),
        (0, 7, 20)
    );
    let capped = goal.replace("trials = 7", "trials = 7\nmax_trials = 30");
    assert_eq!(most(&capped, &[]), (2, 7, 30));
}

#[test]
fn settling_and_the_budgets_rule_can_be_asked_for_by_the_file() {
    assert_eq!(with_file(FILE, &[]).unwrap().settle, merge::SETTLE);
    let patient = FILE.replace("trials = 7", "settle = \"3m\"");
    let options = with_file(&patient, &[]).unwrap();
    assert_eq!(options.settle, Duration::from_mins(3));
    let options = with_file(&patient, &["--settle", "1m"]).unwrap();
    assert_eq!(options.settle, Duration::from_mins(1));
    let shaped = FILE.replace("trials = 7", "budget = \"max-unavailable-1\"");
    let message = refused(&shaped, &[]);
    says(&message, &["PodDisruptionBudget"]);
    assert!(with_file(&shaped, &["--budget", "as-is"]).is_ok());
}

#[test]
fn a_baseline_is_read_where_the_file_says() {
    let file = FILE.replace("trials = 7", "baseline = \"old.json\"");
    let message = refused(&file, &[]);
    says(&message, &["run.baseline"]);
    let flag = refused(FILE, &["--baseline", "/nonexistent.json"]);
    says(&flag, &["--baseline"]);
}

#[test]
fn a_rollout_of_the_users_own_is_a_command_of_file_or_flag() {
    let file = FILE.replace("[run]", "[run]\nrollout = \"helm upgrade it ./chart\"");
    let rollout = |flags: &[&str]| {
        let flags = [&["--faults", "rolling-update"], flags].concat();
        let file = file.replace("fail_if = [\"crash.lease.max>2s\"]", "");
        with_file(&file, &flags)
            .unwrap()
            .rollout
            .unwrap()
            .to_string()
    };
    assert_eq!(rollout(&[]), "helm upgrade it ./chart");
    assert_eq!(rollout(&["--rollout", "make upgrade"]), "make upgrade");
    let said = refused(&file, &[]);
    says(&said, &["rolling-update"]);
}

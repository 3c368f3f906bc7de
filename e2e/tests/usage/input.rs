//! Bad input ends with exit code 2 and a message that names it, before anything is started.

use failover_judging::samples::says;
use std::{path::Path, process::Command};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");

/// Runs `failover run` with these flags; gives exit code and standard error.
fn failover(flags: &[&str]) -> (Option<i32>, String) {
    command(&[&["run"], flags].concat())
}

/// Runs `failover` with these arguments; gives exit code and standard error.
fn command(arguments: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_failover"))
        .args(arguments)
        // No engine answers here: what gets as far as asking for one fails differently.
        .env("DOCKER_HOST", "tcp://127.0.0.1:1")
        .output()
        .unwrap();
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    folder
}

fn path(folder: &Path) -> &str {
    folder.to_str().unwrap()
}

#[rstest::rstest]
#[case::unknown_fault(&["--faults", "meteor"], &["--faults", "meteor", "crash-loop"])]
#[case::no_trials(&["--trials", "0"], &["--trials", "0 must be a whole number from 1 to 1000"])]
#[case::no_replicas(&["--replicas", "0"], &["--replicas", "0 must be a whole number from 1 to 20"])]
#[case::unparsable_promise(&["--within", "soon"], &["--within", "soon"])]
#[case::unparsable_steady(&["--steady", "1 fortnight"], &["--steady", "fortnight"])]
#[case::nameless_variable(&["--set-env", "=1"], &["--set-env", "NAME=VALUE"])]
#[case::gate_without_a_sign(&["--fail-if", "crash.work.p50"], &["--fail-if", "crash.work.p95>2s"])]
#[case::gate_for_a_fault_that_is_not_tried(
    &["--deploy", DEPLOY, "--faults", "graceful", "--fail-if", "crash.work.p50>1s"], &["--fail-if", "--faults"]
)]
#[case::goal_for_a_fault_that_is_not_tried(
    &["--deploy", DEPLOY, "--faults", "graceful", "--until-confident", "crash.work.p50<=1s"],
    &["--until-confident crash.work.p50<=1s", "--faults"]
)]
#[case::goal_that_takes_more_trials(
    &["--deploy", DEPLOY, "--until-confident", "crash.work.p95<=1s", "--max-trials", "20"], &["--max-trials 20", "59"]
)]
#[case::missing_baseline(
    &["--deploy", DEPLOY, "--baseline", "/nonexistent.json"], &["--baseline", "/nonexistent.json"]
)]
#[case::no_percentage(&["--baseline", "a", "--regression", "20"], &["--regression", "20%"])]
#[case::unknown_switch(&["--fence", "maybe"], &["--fence", "on, off"])]
#[case::missing_folder(&["--deploy", "/nonexistent"], &["--deploy=/nonexistent", "kustomization.yaml"])]
#[case::missing_config(&["--config", "/nonexistent.toml"], &["--config=/nonexistent.toml"])]
#[case::running_without_a_cluster(
    &["--running", "--namespace", "n", "--deployment", "d"], &["--deploy", "--kubeconfig"]
)]
#[case::kubeconfig_for_a_new_cluster(
    &["--deploy", DEPLOY, "--provider", "node", "--kubeconfig", "x"], &["--kubeconfig=x", "--provider node"]
)]
#[case::missing_kubeconfig(
    &["--deploy", DEPLOY, "--kubeconfig", "/nonexistent/kubeconfig"], &["/nonexistent/kubeconfig"]
)]
fn bad_input_is_named(#[case] flags: &[&str], #[case] named: &[&str]) {
    let (code, stderr) = failover(flags);
    assert_eq!(code, Some(2), "{stderr}");
    says(&stderr, named);
}

const OBJECT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

#[rstest::rstest]
#[case::without_the_fence_that_is_to_be_on(
    &[("kustomization.yaml", "resources: [a.yaml]\n"), ("a.yaml", OBJECT)],
    &["--fence", "on"],
    &["--fence on", "ValidatingAdmissionPolicy"]
)]
#[case::with_a_field_that_changes_what_is_deployed(
    &[("kustomization.yaml", "resources: []\nimages: []\n")], &[], &["images", "kustomization.yaml"]
)]
#[case::without_an_elected_deployment(&[("kustomization.yaml", "resources: []\n")], &[], &["LEASE_NAME", "found 0"])]
fn manifests_that_can_not_be_put_to_the_test_are_refused(
    #[case] files: &[(&str, &str)],
    #[case] flags: &[&str],
    #[case] named: &[&str],
) {
    let folder = folder(files);
    let (code, stderr) = failover(&[&["--deploy", path(folder.path())], flags].concat());
    assert_eq!(code, Some(2), "{stderr}");
    says(&stderr, named);
}

#[rstest::rstest]
#[case::replay(&["replay", "FILE"])]
#[case::replay_against_a_baseline(&["replay", "FILE", "--baseline", "FILE"])]
#[case::compare(&["compare", "FILE", "FILE"])]
fn a_report_of_another_version_is_refused_by_name(#[case] arguments: &[&str]) {
    let folder = folder(&[("old.json", r#"{"format_version": 1, "verdict": "PASS"}"#)]);
    let file = folder.path().join("old.json");
    let arguments = arguments.iter().map(|argument| match *argument {
        "FILE" => path(&file),
        other => other,
    });
    let (code, stderr) = command(&arguments.collect::<Vec<_>>());
    assert_eq!(code, Some(2), "{stderr}");
    says(
        &stderr,
        &["old.json: format_version is 1, this failover reads"],
    );
}

#[test]
fn without_an_engine_there_is_no_verdict() {
    let (code, stderr) = failover(&["--deploy", DEPLOY]);
    assert_eq!(code, Some(3), "{stderr}");
    says(&stderr, &["127.0.0.1:1"]);
}

#[test]
fn a_file_that_is_wrong_is_pointed_into() {
    let folder = folder(&[("failover.toml", "[run]\ntrials = 0\n")]);
    let file = folder.path().join("failover.toml");
    let (code, stderr) = failover(&["--config", path(&file)]);
    assert_eq!(code, Some(2), "{stderr}");
    let expected = format!(
        "{}:2:10: run.trials: 0 must be a whole number",
        file.display()
    );
    assert!(stderr.contains(&expected), "{stderr}");
}

#[rstest::rstest]
#[case::is_found(&["run"], "failover.toml:2:1: run.trails")]
#[case::is_not_overwritten(&["init", "--namespace", "n", "--deployment", "d"], "--out=failover.toml: exists already")]
fn a_file_in_the_working_folder(#[case] arguments: &[&str], #[case] named: &str) {
    let folder = folder(&[("failover.toml", "[run]\ntrails = 1\n")]);
    let output = Command::new(env!("CARGO_BIN_EXE_failover"))
        .args(arguments)
        .current_dir(folder.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    says(&stderr, &[named]);
}

//! Bad input ends with exit code 2 and a message that names it, before anything is started.

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
#[case::no_trials(&["--trials", "0"], &["--trials", "0 is not in"])]
#[case::no_replicas(&["--replicas", "0"], &["--replicas", "0 is not in"])]
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
fn bad_input_is_named(#[case] flags: &[&str], #[case] named: &[&str]) {
    let (code, stderr) = failover(flags);
    assert_eq!(code, Some(2), "{stderr}");
    for expected in named {
        assert!(stderr.contains(expected), "no {expected:?} in: {stderr}");
    }
}

#[test]
fn a_fence_that_is_not_there_can_not_be_switched_on() {
    let kustomization = "resources: [a.yaml]\n";
    let object = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";
    let folder = folder(&[("kustomization.yaml", kustomization), ("a.yaml", object)]);
    let (code, stderr) = failover(&["--deploy", path(folder.path()), "--fence", "on"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.contains("--fence on") && stderr.contains("5spot-fence"),
        "{stderr}"
    );
}

#[test]
fn a_kustomization_that_changes_what_is_deployed_is_refused_by_its_field() {
    let folder = folder(&[("kustomization.yaml", "resources: []\nimages: []\n")]);
    let (code, stderr) = failover(&["--deploy", path(folder.path())]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.contains("images") && stderr.contains("kustomization.yaml"),
        "{stderr}"
    );
}

#[test]
fn manifests_without_an_elected_deployment_are_refused() {
    let folder = folder(&[("kustomization.yaml", "resources: []\n")]);
    let (code, stderr) = failover(&["--deploy", path(folder.path())]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("LEASE_NAME"), "{stderr}");
}

#[test]
fn a_kubeconfig_that_is_not_there_is_named_and_nothing_is_reported() {
    let (code, stderr) = failover(&[
        "--deploy",
        DEPLOY,
        "--kubeconfig",
        "/nonexistent/kubeconfig",
    ]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("/nonexistent/kubeconfig"), "{stderr}");
}

#[rstest::rstest]
#[case::replay(&["replay", "FILE"])]
#[case::replay_against_a_baseline(&["replay", "FILE", "--baseline", "FILE"])]
#[case::compare(&["compare", "FILE", "FILE"])]
fn a_report_of_another_version_is_refused_by_name(#[case] arguments: &[&str]) {
    let folder = folder(&[("old.json", r#"{"format_version": 1, "verdict": "PASS"}"#)]);
    let file = folder.path().join("old.json");
    let named: Vec<&str> = arguments
        .iter()
        .map(|argument| {
            if *argument == "FILE" {
                path(&file)
            } else {
                argument
            }
        })
        .collect();
    let (code, stderr) = command(&named);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(
        stderr.contains("old.json: format_version is 1, this failover reads"),
        "{stderr}"
    );
}

#[test]
fn without_an_engine_there_is_no_verdict() {
    let (code, stderr) = failover(&["--deploy", DEPLOY]);
    assert_eq!(code, Some(3), "{stderr}");
    assert!(stderr.contains("127.0.0.1:1"), "{stderr}");
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

#[test]
fn a_file_in_the_working_folder_is_found() {
    let folder = folder(&[("failover.toml", "[run]\ntrails = 1\n")]);
    let output = Command::new(env!("CARGO_BIN_EXE_failover"))
        .arg("run")
        .current_dir(folder.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(stderr.contains("failover.toml:2:1: run.trails"), "{stderr}");
}

#[test]
fn a_first_file_overwrites_none() {
    let folder = folder(&[("failover.toml", "")]);
    let output = Command::new(env!("CARGO_BIN_EXE_failover"))
        .args(["init", "--namespace", "n", "--deployment", "d"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("--out=failover.toml: exists already"),
        "{stderr}"
    );
}

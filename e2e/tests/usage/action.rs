//! The action that gates a pipeline: its scripts do what they say, and what the workflows pass to each other exists.

use failover_judging::samples::says;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

const HARNESS: &str = env!("CARGO_MANIFEST_DIR");

fn text(path: &str) -> String {
    fs::read_to_string(Path::new(HARNESS).join(path)).unwrap()
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).unwrap()
}

fn keys(object: &Value) -> Vec<&str> {
    let object = object.as_object().unwrap();
    object.keys().map(String::as_str).collect()
}

/// A stand-in for the harness that writes down its arguments and ends with this code.
fn stand_in(folder: &Path, code: i32) -> PathBuf {
    let path = folder.join("failover");
    let script = format!(
        "#!/bin/sh\nprintf '%s\\n' \"$@\" > '{}/args'\nexit {code}\n",
        folder.display()
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn gate(folder: &Path, code: i32, variables: &[(&str, &str)]) -> Output {
    Command::new(Path::new(HARNESS).join("action/gate.sh"))
        .current_dir(folder)
        .env("FAILOVER", stand_in(folder, code))
        .env("GITHUB_OUTPUT", folder.join("output"))
        .envs(variables.iter().copied())
        .output()
        .unwrap()
}

#[rstest::rstest]
#[case(0, "PASS")]
#[case(1, "FAIL")]
#[case(2, "")]
#[case(3, "INCONCLUSIVE")]
fn the_gate_ends_with_the_verdict_of_the_run(#[case] code: i32, #[case] verdict: &str) {
    let folder = tempfile::tempdir().unwrap();
    let ended = gate(folder.path(), code, &[]);
    assert_eq!(ended.status.code(), Some(code));
    let said = fs::read_to_string(folder.path().join("output")).unwrap();
    assert_eq!(said, format!("exit-code={code}\nverdict={verdict}\n"));
}

#[test]
fn the_gate_passes_config_and_arguments_on_and_names_the_report() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("report");
    fs::create_dir(&out).unwrap();
    let out = out.to_str().unwrap();
    let ended = gate(
        folder.path(),
        0,
        &[
            ("FAILOVER_OUT", out),
            ("FAILOVER_CONFIG", "ci/fail over.toml"),
            (
                "FAILOVER_ARGS",
                "--trials 3 --fail-if 'crash.work.p95 > 2s' --image \"$HOME\"",
            ),
        ],
    );
    assert!(ended.status.success(), "{ended:?}");
    let args = fs::read_to_string(folder.path().join("args")).unwrap();
    let expected = [
        "run",
        "--out",
        out,
        "--config",
        "ci/fail over.toml",
        "--trials",
        "3",
        "--fail-if",
        "crash.work.p95 > 2s",
        "--image",
        "$HOME",
    ];
    assert_eq!(args.lines().collect::<Vec<_>>(), expected);
    let said = fs::read_to_string(folder.path().join("output")).unwrap();
    assert!(said.contains(&format!("report={out}\n")), "{said}");
}

#[test]
fn a_quote_that_is_not_closed_is_bad_input() {
    let folder = tempfile::tempdir().unwrap();
    let ended = gate(folder.path(), 0, &[("FAILOVER_ARGS", "--image 'x")]);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    let said = String::from_utf8_lossy(&ended.stderr).into_owned();
    says(&said, &["FAILOVER_ARGS", "quote"]);
}

#[test]
fn the_same_sources_are_the_same_harness_and_others_are_not() {
    let identity = |source: &str| {
        let output = Command::new(Path::new(HARNESS).join("action/build.sh"))
            .arg("--identify")
            .env("HARNESS_SOURCE", source)
            .env("HARNESS_HOME", "/home")
            .output()
            .unwrap();
        (
            output.status.code(),
            String::from_utf8(output.stdout).unwrap(),
        )
    };
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let (code, first) = identity(root);
    assert_eq!(code, Some(0));
    let (folder, id) = first.trim().split_once("\nidentity=").unwrap();
    assert_eq!(folder, format!("folder=/home/{id}"));
    assert_eq!(identity(root).1, first);

    let copy = tempfile::tempdir().unwrap();
    for (file, content) in [
        ("Cargo.toml", "a"),
        ("Cargo.lock", "b"),
        ("rust-toolchain.toml", "c"),
        ("e2e/Cargo.toml", "d"),
        ("e2e/src/main.rs", "e"),
        ("e2e/judging/src/lib.rs", "f"),
        ("e2e/reports/src/lib.rs", "g"),
        ("e2e/rig/src/lib.rs", "h"),
        ("e2e/examples/5spot/failover.toml", "i"),
    ] {
        let path = copy.path().join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
    let source = copy.path().to_str().unwrap();
    for file in ["e2e/src/main.rs", "e2e/judging/src/lib.rs"] {
        let before = identity(source);
        fs::write(copy.path().join(file), "changed").unwrap();
        assert_eq!((before.0, identity(source).0), (Some(0), Some(0)));
        assert_ne!(before.1, identity(source).1);
    }
    assert_eq!(identity("/nonexistent").0, Some(2));
}

#[test]
fn every_input_is_described_and_in_the_readme() {
    let action = yaml("action/action.yml");
    let readme = text("README.md");
    for (name, input) in action["inputs"].as_object().unwrap() {
        assert!(
            input["description"]
                .as_str()
                .is_some_and(|text| text.len() > 20),
            "{name}"
        );
        assert!(input["default"].is_string(), "{name} has no default");
        assert!(
            readme.contains(&format!("| `{name}` |")),
            "{name} is not in README.md"
        );
    }
    for name in keys(&action["outputs"]) {
        assert!(
            readme.contains(&format!("`{name}`")),
            "{name} is not in README.md"
        );
    }
}

#[test]
fn the_workflow_passes_on_what_it_takes_and_what_the_action_knows() {
    let inputs = yaml("action/action.yml")["inputs"].clone();
    let workflow = yaml("../.github/workflows/failover.yaml");
    let taken = &workflow["on"]["workflow_call"]["inputs"];
    let steps = workflow["jobs"]["failover"]["steps"].as_array().unwrap();
    let step = steps
        .iter()
        .find(|step| step["uses"] == "./.failover-harness/e2e/action")
        .unwrap();
    for (name, value) in step["with"].as_object().unwrap() {
        assert!(inputs.get(name).is_some(), "the action has no input {name}");
        assert_eq!(value.as_str().unwrap(), format!("${{{{ inputs.{name} }}}}"));
        assert!(
            taken.get(name).is_some(),
            "the workflow has no input {name}"
        );
    }
}

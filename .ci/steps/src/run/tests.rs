//! Steps as real processes, with a script in the place of `just`.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

use super::{now, run};
use crate::graph::{Class, Step};

/// A folder of its own with a program that does for each recipe what `script` says.
fn folder(name: &str, script: &str) -> (PathBuf, PathBuf) {
    let folder = std::env::temp_dir().join(format!("steps-{name}-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let just = folder.join("just");
    // As `just --no-deps RECIPE`.
    let script = format!(
        "#!/bin/sh\ncd {}\ncase $2 in\n{script}\nesac\n",
        folder.display()
    );
    fs::write(&just, script).unwrap();
    fs::set_permissions(&just, fs::Permissions::from_mode(0o755)).unwrap();
    (folder, just)
}

fn step(name: &str, class: Class, after: &[usize]) -> Step {
    Step {
        name: name.to_owned(),
        class,
        usual: 1,
        after: after.to_vec(),
    }
}

fn is_there(folder: &Path, file: &str) -> bool {
    folder.join(file).exists()
}

#[test]
fn steps_run_in_order_and_their_times_and_logs_are_kept() {
    let (folder, just) = folder(
        "order",
        "a) touch a; echo built;; b) test -e a && touch b;;",
    );
    let steps = [step("a", Class::Rust, &[]), step("b", Class::Cluster, &[0])];
    assert_eq!(run(&steps, &just, &folder).unwrap(), 0);
    assert!(is_there(&folder, "b"));
    assert_eq!(fs::read_to_string(folder.join("a.log")).unwrap(), "built\n");
    assert_eq!(
        fs::read_to_string(folder.join("times")).unwrap(),
        "a\t0\nb\t0\n"
    );
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn a_failure_ends_everything_beside_it_at_once() {
    let script = "fails) sleep 1; exit 3;; beside) sleep 60 & echo $! >child; wait; touch late;; after) touch late;;";
    let (folder, just) = folder("failure", script);
    let steps = [
        step("fails", Class::Rust, &[]),
        step("beside", Class::Cluster, &[]),
        step("after", Class::Rust, &[0]),
    ];
    let begin = now();
    assert_eq!(run(&steps, &just, &folder).unwrap(), 1);
    assert!(
        begin.elapsed() < Duration::from_secs(30),
        "{:?}",
        begin.elapsed()
    );
    assert!(!is_there(&folder, "late"));
    let child = fs::read_to_string(folder.join("child")).unwrap();
    let stat = fs::read_to_string(Path::new("/proc").join(child.trim()).join("stat"));
    // Ended, even where nobody has collected it yet.
    assert!(
        stat.is_err() || stat.is_ok_and(|stat| stat.contains(") Z")),
        "{child} runs on"
    );
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn all_that_the_machine_lacks_is_said_before_anything_is_built() {
    let script = "need-a) touch a; exit 2;; need-b) touch b; exit 2;; build) touch late;;";
    let (folder, just) = folder("needs", script);
    let steps = [
        step("build", Class::Rust, &[]),
        step("need-a", Class::Need, &[]),
        step("need-b", Class::Need, &[]),
    ];
    assert_eq!(run(&steps, &just, &folder).unwrap(), 2);
    assert!(is_there(&folder, "a") && is_there(&folder, "b") && !is_there(&folder, "late"));
    fs::remove_dir_all(folder).unwrap();
}

//! What a person gets to read.

use super::*;
use failover_judging::samples::{handover, says};

#[test]
fn the_lease_is_told_around_the_fault_with_releases_by_name() {
    let data = handover();
    let text = lease_lines(&data.leases, &data);
    says(&text, &["(released)"]);
    says(&text.lines().last().unwrap(), &[" b v/1"]);
    assert!(
        text.lines().nth(1).unwrap().trim_start().starts_with('-'),
        "before the fault: {text}"
    );
}

#[test]
fn the_audit_excerpt_is_in_order_and_names_who_wrote_what() {
    let data = handover();
    let text = audit_lines(&data.calls, &data);
    let lines: Vec<&str> = text.lines().skip(1).collect();
    let at = |line: &str| {
        line.split_whitespace()
            .next()
            .unwrap()
            .parse::<f64>()
            .unwrap()
    };
    assert!(lines.is_sorted_by(|a, b| at(a) <= at(b)), "{text}");
    says(
        &lines.last().unwrap(),
        &["200 b patch scheduledmachines/status failover-canary"],
    );
    assert!(
        !text.contains("harness"),
        "only the operator's calls: {text}"
    );
}

#[test]
fn files_land_in_the_folder_and_a_place_that_can_not_be_written_is_named() {
    let place = tempfile::tempdir().unwrap();
    let folder = Folder::create(place.path().join("run")).unwrap();
    let written = folder.write_trial(&handover()).unwrap();
    assert!(written.ends_with("trials/2-graceful-1.json"));
    assert!(serde_json::from_slice::<TrialData>(&std::fs::read(&written).unwrap()).is_ok());
    std::fs::write(place.path().join("file"), "").unwrap();
    let error = Folder::create(place.path().join("file/run")).unwrap_err();
    says(&error, &["file/run"]);
}

#[test]
fn the_logs_of_another_run_are_copied_and_its_own_are_left_alone() {
    let place = tempfile::tempdir().unwrap();
    let old = Folder::create(place.path().join("old")).unwrap();
    let new = Folder::create(place.path().join("new")).unwrap();
    std::fs::write(old.logs().join("op-a-0.log"), "a line").unwrap();
    let read = |folder: &Folder| std::fs::read_to_string(folder.logs().join("op-a-0.log")).unwrap();
    new.take_logs(old.path()).unwrap();
    old.take_logs(old.path()).unwrap();
    assert_eq!(
        (read(&old), read(&new)),
        ("a line".to_owned(), "a line".to_owned())
    );
    std::fs::remove_dir_all(old.logs()).unwrap();
    new.take_logs(old.path()).unwrap();
    assert_eq!(read(&new), "a line");
}

//! Hand-built trials: what is found, and what is not silently passed.

mod faults;
mod gray;
mod limits;
mod unaudited;

use super::*;
use crate::{
    fault::FaultKind,
    judge::takeover::Reason,
    observed::{PodSeen, Presence, Recovery, RigFault, Role, Stall},
    samples::{PROMISE, SETTINGS, expiry, handover, own, pod, record, stamp, wall},
    verdict::{Check, CheckId},
};

fn judged(data: &TrialData) -> TrialResult {
    judge(data, PROMISE)
}

/// Judges a trial that all checks pass.
fn passed(data: &TrialData) -> TrialResult {
    let result = judged(data);
    assert_eq!(result.verdict, Verdict::Pass, "{:#?}", result.checks);
    result
}

fn has(result: &TrialResult, id: CheckId) -> bool {
    result.checks.iter().any(|check| check.id == id)
}

fn check_of(result: &TrialResult, id: CheckId) -> &Check {
    let mut checks = result.checks.iter();
    let found = checks.find(|check| check.id == id);
    found.unwrap_or_else(|| panic!("no {id} in {:#?}", result.checks))
}

fn says(result: &TrialResult, id: CheckId, words: &[&str]) {
    let check = check_of(result, id);
    for words in words {
        assert!(check.detail.contains(words), "no {words:?} in {check:#?}");
    }
}

fn passes(result: &TrialResult, id: CheckId, words: &[&str]) {
    came_out(Verdict::Pass, result, id, words);
}

fn fails(result: &TrialResult, id: CheckId, words: &[&str]) {
    came_out(Verdict::Fail, result, id, words);
}

fn undecided(result: &TrialResult, id: CheckId, words: &[&str]) {
    came_out(Verdict::Inconclusive, result, id, words);
}

/// Whether a measured time is the true one, but for the measuring error.
fn about(result: &TrialResult, measured: Option<f64>, truth: f64) {
    let difference = (measured.unwrap() - truth).abs();
    assert!(difference <= result.error.total_ms, "{:#?}", result.phases);
}

fn came_out(expected: Verdict, result: &TrialResult, id: CheckId, words: &[&str]) {
    let check = check_of(result, id);
    assert_eq!(check.verdict, expected, "{check:#?}");
    says(result, id, words);
}

/// Takes out what was seen of the Lease after the fault.
fn not_taken(mut data: TrialData) -> TrialData {
    data.leases.truncate(1);
    data.calls
        .retain(|call| !call.is_lease() || call.resource_version == Some(10));
    data
}

#[test]
fn a_clean_handover_passes_and_every_phase_has_its_number() {
    let result = passed(&handover());
    assert_eq!(result.reason, Some(Reason::Released));
    let phases = result.phases;
    about(&result, phases.released_ms, 100.0);
    about(&result, phases.lease_ms, 120.0);
    about(&result, phases.work_ms, 200.0);
    assert_eq!(phases.release_to_holder_ms, Some(20.0));
    assert_eq!(
        (result.error.clock_ms, result.error.total_ms),
        (Some(4.0), 4.0)
    );
    assert_eq!((result.canary.changed, result.canary.lost), (2, 0));
}

#[test]
fn a_late_watch_does_not_lengthen_what_the_audit_log_timed() {
    let prompt = judged(&handover());
    let mut data = handover();
    for seen in &mut data.leases {
        seen.at = seen.at + std::time::Duration::from_millis(100);
    }
    let late = judged(&data);
    assert_eq!(late.phases.lease_ms, prompt.phases.lease_ms);
    assert_eq!(late.error.total_ms, prompt.error.total_ms);
    assert!(late.error.watch_lag_ms > 90.0);
}

#[test]
fn without_audited_lease_writes_the_delay_of_the_watch_is_part_of_the_error() {
    let mut data = handover();
    data.calls
        .retain(|call| !call.is_lease() || call.resource_version == Some(10));
    for seen in &mut data.leases {
        seen.at = seen.at + std::time::Duration::from_millis(50);
    }
    let error = judged(&data).error;
    assert!(error.total_ms > 45.0, "{error:?}");
}

#[test]
fn an_expiry_passes_and_says_how_long_the_silence_was() {
    let result = passed(&expiry(15_010));
    assert_eq!(result.reason, Some(Reason::Expired));
    says(&result, CheckId::Reason, &["15010 ms of silence"]);
}

/// A standby hears of a renewal when it is stored, and the audit log names the moment at which its writer had the answer.
#[test]
fn an_expiry_counts_from_when_the_last_renewal_may_have_been_stored() {
    let mut data = expiry(14_990);
    let result = judged(&data);
    fails(&result, CheckId::Reason, &[]);
    for call in data.calls.iter_mut().filter(|call| call.is_lease()) {
        call.received.0 = call.completed.0 - 12_000;
    }
    let result = judged(&data);
    passes(&result, CheckId::Reason, &[]);
}

#[test]
fn a_takeover_before_expiry_fails_for_want_of_a_reason() {
    let result = judged(&expiry(9_000));
    fails(&result, CheckId::Reason, &[]);
    // Too fast is not too slow.
    passes(&result, CheckId::LeaseFailover, &[]);
}

#[test]
fn a_handover_by_expiry_breaks_the_graceful_bound_and_names_the_setting() {
    let mut data = expiry(15_010);
    data.id.fault = FaultKind::Graceful;
    fails(
        &judged(&data),
        CheckId::LeaseFailover,
        &["graceful bound of 2000 ms", "LEASE_RETRY_PERIOD_SECONDS=2"],
    );
}

/// b empties the Lease at `emptied` on behalf of `writer` and takes it 20 ms later.
fn emptied_by(writer: &str, fault: FaultKind, emptied: i64) -> TrialData {
    TrialData::of(fault)
        .change(2, 990)
        .lease_by(writer, 20, emptied, "", "u/1")
        .lease(21, emptied + 20, "b", "v/1")
        .work("b", 25, emptied + 100, 2)
        .roles(&[("b", Role::Leading), ("c", Role::Standby)])
}

#[test]
fn a_standby_that_empties_the_lease_and_takes_it_fails_and_is_named() {
    for fault in [FaultKind::Graceful, FaultKind::Crash, FaultKind::CrashLoop] {
        let result = judged(&emptied_by("b", fault, 1100));
        fails(
            &result,
            CheckId::Reason,
            &["b emptied the Lease that a held"],
        );
    }
}

#[test]
fn a_killed_leader_can_have_released_before_the_kill_and_not_after_it() {
    let result = judged(&emptied_by("a", FaultKind::Crash, 990));
    passes(&result, CheckId::Reason, &[]);
    for fault in [FaultKind::Crash, FaultKind::CrashLoop] {
        let result = judged(&emptied_by("a", fault, 1100));
        fails(&result, CheckId::Reason, &[]);
    }
    passed(&emptied_by("a", FaultKind::Graceful, 1100));
}

#[test]
fn a_release_that_the_audit_log_does_not_show_is_not_passed() {
    let mut data = handover();
    data.calls.retain(|call| call.resource_version != Some(20));
    undecided(&judged(&data), CheckId::Reason, &[]);
    let mut data = handover();
    for call in &mut data.calls {
        if call.resource_version == Some(20) {
            call.pod = None;
        }
    }
    undecided(&judged(&data), CheckId::Reason, &[]);
}

#[test]
fn a_promise_shorter_than_the_takeover_fails_and_names_the_option() {
    let result = judge(&expiry(15_010), Promise { within_ms: 5_000.0 });
    fails(&result, CheckId::Within, &["--within"]);
    passes(&result, CheckId::LeaseFailover, &[]);
}

#[test]
fn a_reclaim_by_the_same_pod_passes_a_crash() {
    let data = TrialData::of(FaultKind::Crash)
        .change(2, 990)
        .lease(21, 2400, "a", "u/2")
        .work("a", 25, 2450, 2)
        .roles(&[("a", Role::Leading), ("b", Role::Standby)]);
    assert_eq!(passed(&data).reason, Some(Reason::Reclaimed));
}

#[test]
fn a_pod_that_was_to_stay_down_and_reclaimed_shows_no_takeover() {
    let mut data = expiry(15_010);
    data.leases.truncate(1);
    data.calls
        .retain(|call| call.lease.as_ref().is_none_or(|lease| lease.holder != "b"));
    fails(
        &judged(&data.lease(21, 2400, "a", "u/2")),
        CheckId::Takeover,
        &[],
    );
}

#[test]
fn a_write_of_the_old_leader_after_the_new_ones_first_fails() {
    let result = judged(&handover().work("a", 27, 1300, 2));
    fails(&result, CheckId::Overlap, &[]);
    fails(&result, CheckId::OnlyHolderWrites, &[]);
    says(&result, CheckId::Overlap, &["old leader a"]);
}

#[test]
fn a_write_between_two_leaders_fails() {
    fails(
        &judged(&handover().work("a", 20, 1112, 2).work("a", 20, 1113, 2)),
        CheckId::OnlyHolderWrites,
        &[],
    );
}

#[test]
fn two_leaders_by_metrics_fail() {
    fails(
        &judged(&handover().roles(&[("b", Role::Leading), ("c", Role::Leading)])),
        CheckId::OneLeader,
        &[],
    );
}

#[test]
fn metrics_that_name_another_than_the_lease_fail() {
    fails(
        &judged(&handover().roles(&[("b", Role::Standby), ("c", Role::Leading)])),
        CheckId::OneLeader,
        &["the Lease names b"],
    );
}

#[test]
fn metrics_that_were_never_read_are_not_passed() {
    let mut data = handover();
    data.roles.clear();
    undecided(&judged(&data), CheckId::OneLeader, &[]);
}

#[test]
fn a_missing_audit_log_is_not_passed() {
    let mut data = handover();
    data.calls.clear();
    let result = judged(&data);
    assert_eq!(
        result.verdict,
        Verdict::Inconclusive,
        "{:#?}",
        result.checks
    );
    for id in [
        CheckId::Evidence,
        CheckId::Overlap,
        CheckId::OnlyHolderWrites,
        CheckId::WorkFailover,
    ] {
        undecided(&result, id, &[]);
    }
}

#[test]
fn an_audit_log_that_broke_off_is_not_passed() {
    let mut data = handover();
    data.rig.push(RigFault::AuditLost {
        detail: "tail ended".to_owned(),
    });
    assert_eq!(judged(&data).verdict, Verdict::Inconclusive);
}

#[test]
fn a_leader_that_does_no_work_fails() {
    let mut data = handover();
    data.calls.retain(|call| call.resource_version != Some(25));
    let result = judged(&data);
    fails(&result, CheckId::WorkFailover, &[]);
    // The last change is lost.
    fails(&result, CheckId::Canary, &[]);
}

#[test]
fn no_takeover_at_all_fails() {
    let data = not_taken(handover());
    fails(&judged(&data), CheckId::Takeover, &[]);
}

#[test]
fn a_second_hop_after_one_fault_fails() {
    fails(
        &judged(
            &handover()
                .lease(30, 1500, "", "v/1")
                .lease(31, 1520, "c", "w/1"),
        ),
        CheckId::Takeover,
        &["2 takeovers"],
    );
}

#[test]
fn replicas_that_do_not_come_back_fail_and_say_what_is_waited_for() {
    let mut data = handover();
    data.recovery = Recovery {
        waiting_for: Some("1 of 2 replicas Ready".to_owned()),
        ..Recovery::default()
    };
    fails(
        &judged(&data),
        CheckId::Restored,
        &["1 of 2 replicas Ready"],
    );
}

#[test]
fn a_budget_that_allowed_nothing_before_is_not_waited_for() {
    let mut data = handover();
    data.recovery.budget = None;
    fails(&judged(&data), CheckId::Restored, &[]);
    data.allowed_before = Ok(Some(0));
    passes(&judged(&data), CheckId::Restored, &[]);
    data.allowed_before = Err("the server is gone".to_owned());
    let result = judged(&data);
    // Unread is not none.
    undecided(&result, CheckId::Restored, &[]);
    says(&result, CheckId::Restored, &["the server is gone"]);
}

#[test]
fn replicas_that_a_full_node_can_not_run_are_inconclusive() {
    let mut data = handover();
    data.recovery = Recovery::default();
    data.rig.push(RigFault::NodeExhausted {
        detail: "0/1 nodes are available: 1 Insufficient memory".to_owned(),
    });
    assert_eq!(judged(&data).verdict, Verdict::Inconclusive);
}

#[test]
fn a_lease_write_that_only_the_audit_log_saw_is_part_of_the_history() {
    let mut data = handover();
    data.leases
        .retain(|seen| seen.record.resource_version != 20);
    assert_eq!(judged(&data).reason, Some(Reason::Released));
}

#[test]
fn a_graceful_process_is_dead_when_its_container_no_longer_runs() {
    let mut data = handover();
    let pod = |at, running| PodSeen {
        at: stamp(at),
        ready: running,
        presence: Presence::Terminating,
        running,
        ..pod("a")
    };
    data.pods = vec![pod(1010, true), pod(1180, false)];
    assert_eq!(judged(&data).phases.process_dead_ms, Some(180.0));
}

#[test]
fn a_trial_survives_the_way_through_json() {
    let data = handover();
    let text = serde_json::to_string(&data).unwrap();
    assert_eq!(serde_json::from_str::<TrialData>(&text).unwrap(), data);
}

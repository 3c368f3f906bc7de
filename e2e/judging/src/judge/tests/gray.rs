//! Gray failures: calls that take place slowly or without an answer. Somebody leads all the while, but for one takeover.

use super::*;
use crate::{
    clock::Stamp,
    observed::{LeaseSeen, Unobserved},
    samples::{begun, pod},
};

/// The fault lasts from 1000 ms to here.
const UNDONE: i64 = 46_000;

/// Until then the canary is changed, every 500 ms.
const SINGS_UNTIL: i64 = 50_000;

/// Who follows the canary at a moment.
type Worker = fn(i64) -> Option<&'static str>;

/// A trial in which `worker` follows the canary. Revisions are moments in milliseconds.
fn trial(fault: FaultKind, worker: Worker) -> TrialData {
    let mut data = TrialData::of(fault);
    data.strike.returned = stamp(1_060);
    data.strike.undone = Some(stamp(UNDONE));
    data.recovery.replicas = Some(stamp(47_000));
    data.recovery.budget = Some(stamp(47_000));
    data.ended = stamp(60_000);
    data.pods = vec![PodSeen {
        at: stamp(0),
        ..pod("a")
    }];
    for at in (1_500..=SINGS_UNTIL).step_by(500) {
        data = data.change(at, at);
        if let Some(pod) = worker(at) {
            data = data.work(pod, version(at + 50), at + 50, at);
        }
    }
    data
}

fn version(at: i64) -> u64 {
    at.unsigned_abs()
}

/// The Lease is renewed by `holder` every two seconds.
fn renewed(mut data: TrialData, holder: &str, from: i64, until: i64) -> TrialData {
    let life = if holder == "a" { "u/1" } else { "v/1" };
    for at in (from..=until).step_by(2_000) {
        data = data.lease(version(at), at, holder, life);
    }
    data
}

fn leads(data: TrialData, leader: &str) -> TrialData {
    let role = |pod: &str| {
        if pod == leader {
            Role::Leading
        } else {
            Role::Standby
        }
    };
    data.roles(&[("a", role("a")), ("b", role("b"))])
}

/// a keeps its Lease and works all the time.
fn kept() -> TrialData {
    let data = trial(FaultKind::SlowWebhook, |_| Some("a"));
    leads(renewed(data, "a", 2_900, SINGS_UNTIL), "a")
}

/// a works until 12 s, and its last renewal is at 10.9 s; b takes the Lease at `taken`, and keeps it.
fn moved(taken: i64, worker: Worker) -> TrialData {
    let data = trial(FaultKind::SlowWebhook, worker);
    let data = renewed(data, "a", 2_900, 10_900);
    leads(renewed(data, "b", taken, SINGS_UNTIL), "b")
}

fn failed(result: &TrialResult) -> Vec<CheckId> {
    let failed = result.checks.iter();
    let failed = failed.filter(|check| check.verdict != Verdict::Pass);
    failed.map(|check| check.id).collect()
}

#[test]
fn a_leader_that_keeps_its_lease_through_slow_writes_passes() {
    let result = passed(&kept());
    assert_eq!(result.reason, Some(Reason::Own));
    assert_eq!(
        result.phases.onset_ms, 45_000.0,
        "it goes on after the repair"
    );
    says(&result, CheckId::Led, &["21000 ms", "550 ms"]);
    assert!(!has(&result, CheckId::Within));
}

#[test]
fn a_lease_that_is_renewed_while_nobody_works_is_not_led() {
    let data = trial(FaultKind::SlowWebhook, |at| {
        (!(11_000..=UNDONE).contains(&at)).then_some("a")
    });
    let result = judged(&leads(renewed(data, "a", 2_900, SINGS_UNTIL), "a"));
    assert_eq!(failed(&result), [CheckId::Led], "{:#?}", result.checks);
    says(
        &result,
        CheckId::Led,
        &["over 21000 ms", "LEASE_RETRY_PERIOD_SECONDS=2"],
    );
}

#[test]
fn nobody_who_leads_until_the_end_fails() {
    let data = trial(FaultKind::SlowWebhook, |at| (at < 11_000).then_some("a"));
    let result = judged(&leads(renewed(data, "a", 2_900, 10_900), "a"));
    assert_eq!(result.verdict, Verdict::Fail);
    for id in [CheckId::Takeover, CheckId::Led] {
        fails(&result, id, &[]);
    }
}

#[test]
fn one_move_within_the_limit_passes_and_counts_from_the_old_leaders_last_work() {
    let result = passed(&moved(28_000, |at| match at {
        ..=12_000 => Some("a"),
        28_000.. => Some("b"),
        _ => None,
    }));
    assert_eq!(result.new_leader.as_deref(), Some("b"));
    about(&result, result.phases.lease_ms, 15_950.0);
}

#[test]
fn a_move_beyond_the_limit_fails_and_names_the_settings() {
    let result = judged(&moved(35_000, |at| match at {
        ..=12_000 => Some("a"),
        35_000.. => Some("b"),
        _ => None,
    }));
    assert_eq!(failed(&result), [CheckId::LeaseFailover, CheckId::Led]);
    says(
        &result,
        CheckId::LeaseFailover,
        &[
            "slow-webhook bound of 19000 ms",
            "LEASE_DURATION_SECONDS=15 + 2 x LEASE_RETRY_PERIOD_SECONDS=2",
        ],
    );
}

#[test]
fn a_leader_that_does_not_stay_leader_fails() {
    let data = moved(28_000, |at| match at {
        ..=12_000 | 40_000.. => Some("a"),
        28_000..40_000 => Some("b"),
        _ => None,
    });
    let back = data
        .lease(40_001, 40_001, "", "v/1")
        .lease(40_002, 40_002, "a", "u/1");
    let mut back = leads(renewed(back, "a", 42_100, SINGS_UNTIL), "a");
    back.leases
        .retain(|seen| seen.record.holder != "b" || seen.at < stamp(40_001));
    back.calls.retain(|call| {
        let is_late = call.resource_version > Some(40_002);
        !(is_late && call.lease.as_ref().is_some_and(|lease| lease.holder == "b"))
    });
    fails(&judged(&back), CheckId::Takeover, &["2 takeovers"]);
}

#[test]
fn a_write_of_the_old_leader_after_the_new_ones_first_fails_in_a_gray_failure_as_well() {
    let data = moved(28_000, |at| match at {
        ..=12_000 | 30_000 => Some("a"),
        28_000.. => Some("b"),
        _ => None,
    });
    let result = judged(&data);
    for id in [CheckId::Overlap, CheckId::OnlyHolderWrites] {
        fails(&result, id, &[]);
    }
}

/// The answers to a are lost: its renewals take place until 10.9 s, it works until `a_works_until`, and b takes the Lease at
/// `taken`.
fn unanswered(taken: i64, worker: Worker) -> TrialData {
    let data = trial(FaultKind::LostAnswers, worker);
    let data = renewed(data, "a", 2_900, 10_900);
    leads(renewed(data, "b", taken, SINGS_UNTIL), "b")
}

#[test]
fn a_leader_that_is_never_answered_is_followed_after_its_deadline_and_the_lease_duration() {
    let data = unanswered(26_000, |at| (at >= 26_000).then_some("b"));
    let result = passed(&data);
    assert_eq!(result.reason, Some(Reason::Expired));
    assert_eq!(
        (result.phases.onset_ms, result.limits.lease.limit_ms),
        (0.0, 29_000.0)
    );
    let late = judged(&unanswered(31_000, |at| (at >= 31_000).then_some("b")));
    let deadline = &["LEASE_RENEW_DEADLINE_SECONDS=10"];
    fails(&late, CheckId::LeaseFailover, deadline);
}

#[test]
fn a_leader_that_is_never_answered_and_keeps_others_out_fails() {
    let data = trial(FaultKind::LostAnswers, |at| (at > UNDONE).then_some("a"));
    let result = judged(&leads(renewed(data, "a", 2_900, SINGS_UNTIL), "a"));
    for id in [CheckId::Takeover, CheckId::Led] {
        fails(&result, id, &[]);
    }
}

#[test]
fn a_leader_that_is_never_answered_may_not_work_on_by_renewals_that_take_place() {
    // The last renewal that was answered was received at 897 ms.
    let works_on = unanswered(26_000, |at| match at {
        ..=11_500 => Some("a"),
        26_000.. => Some("b"),
        _ => None,
    });
    let result = judged(&works_on);
    assert_eq!(
        failed(&result),
        [CheckId::SteppedDown],
        "{:#?}",
        result.checks
    );
}

#[test]
fn without_an_audit_log_a_gray_failure_is_judged_by_the_lease() {
    let by_the_watch = |held_until: i64, taken: i64| {
        let mut data = begun(kept().id, record(10, "a", "u/1"));
        data.strike = kept().strike;
        data.recovery = kept().recovery;
        data.unobserved = vec![Unobserved::Audit, Unobserved::Roles];
        data.ended = stamp(60_000);
        let renewals = (900..=60_000).step_by(2_000);
        data.leases = renewals
            .filter(|at| *at <= held_until || *at >= taken)
            .map(|at| LeaseSeen {
                at: Stamp::from_micros(at * 1000),
                record: record(version(at), "a", "u/1"),
                deleted: false,
            })
            .collect();
        data.before.resource_version = 900;
        check_of(&judged(&data), CheckId::Led).verdict
    };
    assert_eq!(by_the_watch(60_000, 0), Verdict::Pass);
    assert_eq!(by_the_watch(10_900, 44_000), Verdict::Fail);
}

#[test]
fn a_gray_failure_of_which_no_canary_sang_is_not_passed() {
    let mut data = kept();
    data.own.clear();
    undecided(&judged(&data), CheckId::Led, &[]);
}

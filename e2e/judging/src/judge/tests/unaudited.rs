//! Trials on clusters that show less: what can be had is judged, and nothing is passed off as seen.

use super::*;
use crate::observed::{
    ApiCall, Unobserved,
    audit::purpose::{CANARY, LOOK},
};

/// The trial as a cluster without an audit log shows it: by the watch alone, with a read of the Lease at these moments.
fn unaudited(mut data: TrialData, looks: &[i64]) -> TrialData {
    data.calls.clear();
    data.own.clear();
    data.roles.clear();
    data.unobserved = vec![Unobserved::Audit, Unobserved::Roles];
    data.own = looks.iter().map(|at| own(LOOK, *at, 5)).collect();
    data
}

#[test]
fn without_an_audit_log_the_lease_is_timed_by_the_watch_to_its_period() {
    let result = passed(&unaudited(handover(), &[1_000, 1_105, 1_210]));
    assert_eq!(
        (result.error.total_ms, result.error.clock_ms),
        (110.0, None)
    );
    assert_eq!(result.phases.lease_ms, Some(122.0));
    assert_eq!(result.phases.work_ms, None);
    for id in [
        CheckId::WorkFailover,
        CheckId::Overlap,
        CheckId::OnlyHolderWrites,
        CheckId::Canary,
    ] {
        assert!(!has(&result, id), "{id}");
    }
    says(&result, CheckId::Evidence, &["no audit log"]);
    says(&result, CheckId::Reason, &["by whom is not observed"]);
}

#[test]
fn the_watch_may_always_be_late_by_the_pause_between_two_looks() {
    let result = judged(&unaudited(handover(), &[]));
    assert_eq!(result.error.total_ms, 100.0);
}

#[test]
fn a_lease_that_was_not_looked_at_for_a_while_is_no_evidence() {
    undecided(
        &judged(&unaudited(handover(), &[1_000, 2_100])),
        CheckId::Evidence,
        &["1105 ms"],
    );
}

#[test]
fn while_the_fault_has_stopped_the_api_server_nobody_can_look() {
    let mut data = unaudited(handover(), &[900, 18_100, 19_600, 19_700]);
    data.id.fault = FaultKind::ApiStop;
    data.strike.undone = Some(stamp(18_000));
    assert_eq!(judged(&data).error.total_ms, 105.0);
}

#[test]
fn a_missed_limit_is_a_failure_without_an_audit_log_too() {
    let result = judged(&unaudited(expiry(17_500), &[1_000, 1_100]));
    fails(&result, CheckId::LeaseFailover, &[]);
    fails(
        &judged(&unaudited(expiry(9_000), &[1_000, 1_100])),
        CheckId::Reason,
        &[],
    );
}

#[test]
fn a_killed_leader_releases_nothing_whoever_watches() {
    let mut data = unaudited(handover(), &[1_000, 1_100]);
    data.id.fault = FaultKind::Crash;
    for seen in &mut data.leases {
        if seen.record.is_free() {
            seen.at = stamp(1_300);
        } else if seen.record.holder == "b" {
            seen.at = stamp(1_320);
        }
    }
    fails(
        &judged(&data),
        CheckId::Reason,
        &["a killed process can't release"],
    );
}

#[test]
fn writes_that_nobody_asked_for_are_judged_where_there_are_any() {
    let mut data = handover().work("a", 27, 1300, 2);
    data.own.retain(|own| own.purpose != CANARY);
    data = data.change(3, 2_000);
    data.unobserved = vec![Unobserved::Work];
    let result = judged(&data);
    fails(&result, CheckId::OnlyHolderWrites, &[]);
    assert!(!has(&result, CheckId::Canary));
    data.work.ignore = vec!["scheduledmachines.5spot.finos.org".parse().unwrap()];
    assert!(!has(&passed(&data), CheckId::OnlyHolderWrites));
}

#[test]
fn a_standby_that_empties_an_expired_lease_before_it_takes_it_had_a_right_to() {
    let data = TrialData::of(FaultKind::CrashLoop)
        .change(2, 990)
        .lease_by("b", 20, 900 + 15_001, "", "u/1")
        .lease(21, 900 + 15_150, "b", "v/1")
        .work("b", 25, 16_130, 2)
        .roles(&[("b", Role::Leading), ("c", Role::Standby)]);
    let result = judged(&data);
    assert_eq!(result.reason, Some(Reason::Expired));
    passes(&result, CheckId::Reason, &[]);
}

#[test]
fn the_answer_of_a_foreign_leader_is_found_by_the_clock() {
    let mut data = handover();
    data.work.answer = Some(crate::observed::Answer {
        is_canary: false,
        resource: "configmaps".parse().unwrap(),
        name: Some("output".to_owned()),
    });
    for own in &mut data.own {
        own.generation = None;
    }
    let is_work = |call: &&mut ApiCall| call.subresource == "status";
    for call in data.calls.iter_mut().filter(is_work) {
        (call.group, call.resource) = (String::new(), "configmaps".to_owned());
        call.subresource = String::new();
        "output".clone_into(&mut call.name);
        call.observed_generation = None;
        call.resource_version = None;
    }
    let result = passed(&data);
    assert_eq!((result.canary.changed, result.canary.lost), (2, 0));
    data.work.answer.as_mut().unwrap().name = Some("other".to_owned());
    let result = judged(&data);
    assert_eq!(result.canary.lost, 2);
}

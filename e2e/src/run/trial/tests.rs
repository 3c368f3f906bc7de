//! What a trial waits for.

use super::{
    course::{first_write_in, takeover_in},
    *,
};
use failover_judging::{
    fault::FaultKind,
    observed::{LeaseSeen, OwnCall},
    samples::{self, call},
};

fn lease(version: u64, holder: &str, life: &str) -> LeaseSeen {
    samples::seen(version, 0, holder, life)
}

fn trial(fault: FaultKind) -> TrialData {
    let id = TrialId {
        replicas: 2,
        fault,
        number: 1,
    };
    samples::begun(id, lease(1, "a", "u/1").record)
}

#[test]
fn a_reclaim_ends_the_wait_after_a_crash_and_not_after_a_crash_loop() {
    let seen = Seen {
        leases: vec![lease(1, "a", "u/1"), lease(2, "a", "u/2")],
        ..Seen::default()
    };
    assert!(takeover_in(&seen, &trial(FaultKind::Crash)).is_some());
    assert!(takeover_in(&seen, &trial(FaultKind::CrashLoop)).is_none());
    let seen = Seen {
        leases: vec![lease(1, "a", "u/1"), lease(2, "b", "v/1")],
        ..Seen::default()
    };
    assert!(takeover_in(&seen, &trial(FaultKind::CrashLoop)).is_some());
}

#[test]
fn only_a_write_of_the_new_leader_after_it_took_the_lease_ends_the_wait_for_work() {
    let write = |pod: &str, version| {
        let mut write = call(pod, "patch", "scheduledmachines");
        write.resource_version = Some(version);
        write
    };
    let trial = trial(FaultKind::CrashLoop);
    let seen = |calls| Seen {
        leases: vec![lease(1, "a", "u/1"), lease(5, "b", "v/1")],
        calls,
        ..Seen::default()
    };
    assert_eq!(first_write_in(&seen(vec![write("a", 3)]), &trial), None);
    assert_eq!(first_write_in(&seen(vec![write("a", 7)]), &trial), None);
    assert_eq!(
        first_write_in(&seen(vec![write("a", 3), write("b", 6)]), &trial),
        Some(())
    );
}

#[test]
fn the_last_change_of_the_canary_is_covered_by_its_generation_or_a_later_one() {
    let trial = trial(FaultKind::Crash);
    let change = OwnCall {
        generation: Some(4),
        ..samples::own(CANARY, 0, 1)
    };
    let status = |generation| {
        let mut write = call("a", "patch", "scheduledmachines");
        write.observed_generation = Some(generation);
        write
    };
    let seen = |generation| Seen {
        own: vec![change.clone()],
        calls: vec![status(generation)],
        ..Seen::default()
    };
    assert_eq!(
        [3, 4, 5].map(|generation| covered(&seen(generation), &trial)),
        [None, Some(()), Some(())]
    );
}

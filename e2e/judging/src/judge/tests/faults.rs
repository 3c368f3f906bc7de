//! What each kind of fault is held against, beyond what all have in common.

use super::*;
use crate::{
    observed::{Eviction, Unobserved, audit::purpose::CANARY},
    samples::{handover, pod},
};

/// a is out of the Lease's reach from 1000 ms on, b takes at 15 950 ms, and the fault is undone at 16 500 ms.
fn silenced(fault: FaultKind) -> TrialData {
    let mut data = expiry(15_050);
    data.id.fault = fault;
    data.strike.undone = Some(stamp(16_500));
    data.pods = vec![pod_at("a", 0, 0), pod_at("b", 0, 0)];
    data.roles(&[("a", Role::Standby), ("b", Role::Leading)])
}

fn pod_at(name: &str, at: i64, restarts: i32) -> PodSeen {
    PodSeen {
        at: stamp(at),
        restarts,
        ..pod(name)
    }
}

/// The harness asked something that was answered `took` ms later.
fn asked(mut data: TrialData, sent: i64, took: i64) -> TrialData {
    data.own.push(own(CANARY, sent, took));
    data
}

#[rstest::rstest]
#[case(FaultKind::Zombie)]
#[case(FaultKind::Partition)]
#[case(FaultKind::LateWrite)]
#[case(FaultKind::RenewalsDenied)]
fn a_silenced_leader_is_followed_within_the_lease_duration(#[case] fault: FaultKind) {
    let result = passed(&silenced(fault));
    assert_eq!(result.reason, Some(Reason::Expired));
    assert_eq!(result.phases.undone_ms, Some(15_500.0));
}

#[test]
fn a_write_that_is_refused_to_a_zombie_is_counted_and_does_no_harm() {
    let mut data = silenced(FaultKind::Zombie).work("a", 0, 16_600, 2);
    data.calls.last_mut().unwrap().code = 403;
    let result = passed(&data);
    assert_eq!(result.exclusion.refused, 1);
    says(&result, CheckId::OnlyHolderWrites, &["1 were refused"]);
}

#[test]
fn a_write_that_is_accepted_from_a_zombie_fails() {
    let result = judged(&silenced(FaultKind::Zombie).work("a", 40, 16_600, 2));
    fails(&result, CheckId::Overlap, &[]);
    fails(&result, CheckId::OnlyHolderWrites, &[]);
}

#[test]
fn a_zombie_that_was_restarted_did_not_step_down() {
    let mut data = silenced(FaultKind::Zombie);
    data.pods.push(pod_at("a", 17_000, 1));
    fails(
        &judged(&data),
        CheckId::Survived,
        &["16000 ms after the fault it was restarted"],
    );
}

#[test]
fn a_leader_that_is_killed_need_not_survive() {
    let mut data = expiry(15_010);
    data.pods = vec![pod_at("a", 0, 0), pod_at("a", 2_000, 1)];
    let result = judged(&data);
    assert!(!has(&result, CheckId::Survived));
}

#[test]
fn a_leader_whose_renewals_are_denied_may_write_until_its_renew_deadline() {
    // The last renewal was received at 897 ms, so the term ends at 10 897 ms.
    let in_time = silenced(FaultKind::RenewalsDenied).work("a", 18, 10_890, 2);
    let result = judged(&in_time);
    passes(&result, CheckId::SteppedDown, &[]);
    let late = silenced(FaultKind::RenewalsDenied).work("a", 18, 11_400, 2);
    let result = judged(&late);
    fails(
        &result,
        CheckId::SteppedDown,
        &["LEASE_RENEW_DEADLINE_SECONDS=10"],
    );
}

/// The API server is stopped from 1000 to 18 000 ms; a goes on at 18 400 ms.
fn outage() -> TrialData {
    let mut data = TrialData::of(FaultKind::ApiStop)
        .change(2, 990)
        .lease(20, 18_400, "a", "u/1")
        .work("a", 25, 18_500, 2)
        .roles(&[("a", Role::Leading), ("b", Role::Standby)]);
    data.strike.undone = Some(stamp(18_000));
    data.pods = vec![pod_at("a", 0, 0), pod_at("b", 0, 0)];
    data
}

#[test]
fn after_an_outage_everything_counts_from_the_return_of_the_api_server() {
    let result = passed(&outage());
    assert_eq!(
        (result.reason, result.new_leader.as_deref()),
        (Some(Reason::Own), Some("a"))
    );
    let phases = result.phases;
    assert_eq!(phases.onset_ms, 17_000.0);
    about(&result, phases.lease_ms, 400.0);
    about(&result, phases.work_ms, 500.0);
}

#[test]
fn a_request_that_met_the_outage_says_nothing_about_the_rig() {
    let late = not_taken(outage());
    let during = asked(late.clone(), 4_000, 5_000);
    fails(&judged(&during), CheckId::Takeover, &[]);
    let after = asked(late, 20_000, 5_000);
    undecided(&judged(&after), CheckId::Takeover, &[]);
}

/// a's pod is asked to stop at 5000 ms in the course of a rollout, and b takes 120 ms later.
fn rollout() -> TrialData {
    let mut data = TrialData::of(FaultKind::RollingUpdate)
        .change(2, 990)
        .lease(20, 5_100, "", "u/1")
        .lease(21, 5_120, "b", "v/1")
        .work("b", 25, 5_200, 2)
        .roles(&[("b", Role::Leading), ("c", Role::Standby)]);
    let going = PodSeen {
        presence: Presence::Terminating,
        ..pod_at("a", 5_000, 0)
    };
    data.pods = vec![pod_at("a", 0, 0), going];
    data
}

#[test]
fn a_rollout_hands_over_once_and_counts_from_when_the_leader_was_asked_to_stop() {
    let result = passed(&rollout());
    about(&result, result.phases.lease_ms, 120.0);
}

#[test]
fn the_audit_log_times_the_end_of_a_pod_better_than_the_watch() {
    let mut data = rollout();
    let mut delete = crate::samples::call("x", "delete", "pods");
    delete.user = "system:serviceaccount:kube-system:replicaset-controller".to_owned();
    delete.group = String::new();
    delete.name = "a".to_owned();
    delete.received = wall(4_950);
    data.calls.push(delete);
    let lease_ms = judged(&data).phases.lease_ms.unwrap();
    assert!((lease_ms - 170.0).abs() <= 5.0, "{lease_ms}");
}

#[test]
fn a_rollout_that_hands_over_twice_or_never_fails() {
    let twice = rollout()
        .lease(30, 7_000, "", "v/1")
        .lease(31, 7_020, "c", "w/1");
    fails(&judged(&twice), CheckId::Takeover, &["2 takeovers"]);
    let never = not_taken(rollout());
    fails(&judged(&never), CheckId::Takeover, &[]);
}

#[test]
fn every_hop_of_a_rollout_needs_a_reason() {
    let result = judged(&rollout().lease(31, 7_020, "c", "w/1"));
    let reasons: Vec<Verdict> = result
        .checks
        .iter()
        .filter(|check| check.id == CheckId::Reason)
        .map(|check| check.verdict)
        .collect();
    assert_eq!(reasons, [Verdict::Pass, Verdict::Fail]);
}

/// a is killed at 1000 ms; b takes at `taken` ms and says why, and writes 80 ms later.
fn killed(says: &str, taken: i64) -> TrialData {
    let mut data = TrialData::of(FaultKind::Crash).change(2, 990);
    data.before.takeover = Some("released".to_owned());
    let mut data = data
        .lease(21, taken, "b", "v/1")
        .work("b", 25, taken + 80, 2)
        .roles(&[("a", Role::Standby), ("b", Role::Leading)]);
    let said = |record: &mut crate::observed::LeaseRecord| {
        if record.holder == "b" {
            record.takeover = Some(says.to_owned());
        }
    };
    data.leases
        .iter_mut()
        .for_each(|seen| said(&mut seen.record));
    data.calls
        .iter_mut()
        .filter_map(|call| call.lease.as_mut())
        .for_each(said);
    data
}

fn reported_dead(mut data: TrialData, version: u64, at: i64) -> TrialData {
    data.pods = vec![
        PodSeen {
            uid: "u".to_owned(),
            ..pod_at("a", 0, 0)
        },
        PodSeen {
            uid: "u".to_owned(),
            running: false,
            resource_version: version,
            last_words: vec!["1".to_owned()],
            ..pod_at("a", at, 0)
        },
    ];
    data
}

#[test]
fn a_proven_death_passes_and_is_held_against_what_a_proof_takes() {
    let result = passed(&reported_dead(killed("proof", 1_600), 20, 1_590));
    assert_eq!(result.reason, Some(Reason::Proof));
    assert_eq!(result.limits.work_limit_ms(), 2_000.0);
    let slow = judged(&reported_dead(killed("proof", 3_400), 20, 3_390));
    for id in [CheckId::LeaseFailover, CheckId::WorkFailover] {
        fails(&slow, id, &["proof of death"]);
    }
}

#[test]
fn a_proof_that_nobody_saw_is_none() {
    fails(
        &judged(&killed("proof", 1_600)),
        CheckId::Reason,
        &["no end of the process 1 of a was reported"],
    );
}

#[test]
fn a_hint_needs_a_kill_and_a_fence() {
    let mut data = killed("hint", 1_080);
    fails(&judged(&data), CheckId::Reason, &[]);
    data.fence = true;
    let result = passed(&data);
    assert_eq!(result.reason, Some(Reason::Hint));
    data.id.fault = FaultKind::Partition;
    fails(&judged(&data), CheckId::Reason, &[]);
}

#[test]
fn a_leader_lost_with_its_node_is_followed_when_its_lease_has_expired() {
    let mut data = expiry(15_050);
    data.id.fault = FaultKind::NodeLoss;
    data.strike.undone = Some(stamp(17_000));
    assert_eq!(passed(&data).reason, Some(Reason::Expired));
}

#[rstest::rstest]
#[case("proof", "no end of the process")]
#[case("hint", "nobody killed the process")]
fn of_a_lost_node_there_is_neither_proof_nor_hint(#[case] says: &str, #[case] doubt: &str) {
    let mut data = killed(says, 1_600);
    data.id.fault = FaultKind::NodeLoss;
    data.fence = true;
    fails(&judged(&data), CheckId::Reason, &[doubt]);
}

fn eviction(pod: &str, at: i64, code: u16) -> Eviction {
    Eviction {
        pod: pod.to_owned(),
        leader: pod == "a",
        at: stamp(at),
        took_ms: 5.0,
        code,
        message: "Cannot evict pod as it would violate the pod's disruption budget.".to_owned(),
        by_budget: code == 429,
    }
}

/// c and the leader a share a node that is drained from 1000 ms on; a's eviction is refused once.
fn drained() -> TrialData {
    let mut data = rollout();
    data.id.fault = FaultKind::Drain;
    data.strike.evictions = vec![
        eviction("c", 1_050, 201),
        eviction("a", 1_060, 429),
        eviction("a", 4_990, 201),
    ];
    data
}

#[test]
fn a_drain_within_the_budget_hands_over_once_and_counts_from_the_leaders_eviction() {
    let result = passed(&drained());
    says(
        &result,
        CheckId::Drained,
        &["2 evictions allowed, 1 refused by the disruption budget"],
    );
    about(&result, result.phases.lease_ms, 120.0);
}

#[test]
fn a_budget_that_never_lets_the_leader_go_fails_the_drain() {
    let mut data = drained();
    data.strike.evictions[2] = eviction("a", 91_060, 429);
    fails(
        &judged(&data),
        CheckId::Drained,
        &["to let a go for 90000 ms", "disruption budget"],
    );
}

#[test]
fn what_is_not_observed_is_not_judged_and_the_rest_is() {
    let mut data = handover();
    data.calls.retain(crate::observed::ApiCall::is_lease);
    // The harness's own requests are all that the clocks are compared by.
    data = data.change(3, 2_000);
    data.roles.clear();
    data.unobserved = vec![Unobserved::Work, Unobserved::Roles];
    let result = passed(&data);
    for id in [
        CheckId::WorkFailover,
        CheckId::Overlap,
        CheckId::Canary,
        CheckId::OneLeader,
    ] {
        assert!(!has(&result, id), "{id}");
    }
    assert!(has(&result, CheckId::LeaseFailover) && has(&result, CheckId::Reason));
}

#[test]
fn a_holder_with_a_random_part_is_the_pod_before_it() {
    let mut before = record(10, "a_7f3a", "u/1");
    before.incarnation = None;
    assert_eq!(before.pod(), "a");
    assert_eq!(
        FaultKind::Crash
            .limits(&SETTINGS, before.is_provable())
            .total,
        None
    );
}

/// old-1's pod is asked to stop at 5000 ms and old-2 takes; that one goes as well, and new-1 takes. `ready` is when new-1 is
/// Ready.
fn rollout_over(first: &str, ready: i64) -> TrialData {
    let mut data = TrialData::of(FaultKind::RollingUpdate)
        .change(2, 990)
        .lease(20, 5_100, "", "u/1")
        .lease(21, 5_120, first, "v/1")
        .work(first, 25, 5_200, 2)
        .lease(30, 7_000, "", "v/1")
        .lease(31, 7_020, "new-1", "w/1")
        .work("new-1", 35, 7_100, 3)
        .roles(&[("new-1", Role::Leading), ("new-2", Role::Standby)]);
    data.before.holder = "old-1".to_owned();
    for lease in &mut data.leases {
        if lease.record.holder == "a" {
            lease.record.holder = "old-1".to_owned();
        }
    }
    let going = PodSeen {
        presence: Presence::Terminating,
        ..pod_at("old-1", 5_000, 0)
    };
    data.pods = vec![
        pod_at("old-1", 0, 0),
        pod_at("old-2", 0, 0),
        pod_at("new-1", ready, 0),
        going,
    ];
    data.pods.sort_by_key(|pod| pod.at);
    data
}

#[rstest::rstest]
#[case::to_the_only_one_there_is("old-2", 6_500, Verdict::Pass)]
#[case::although_a_new_one_was_ready("old-2", 4_000, Verdict::Fail)]
#[case::away_from_one_that_stays("new-2", 6_500, Verdict::Fail)]
fn a_rollout_that_takes_the_leader_first_hands_over_once_more_and_not_without_need(
    #[case] first: &str,
    #[case] ready: i64,
    #[case] verdict: Verdict,
) {
    let result = judged(&rollout_over(first, ready));
    came_out(verdict, &result, CheckId::Takeover, &[]);
}

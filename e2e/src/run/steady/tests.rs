//! What counts as steady, and what is said to be missing.

use serde_json::json;

use super::*;
use failover_judging::{
    observed::OwnCall,
    samples::{self, call, pod, says, stamp},
};

fn renewal(version: u64, at_ms: i64, life: &str) -> LeaseSeen {
    samples::seen(version, at_ms, "a", life)
}

fn change(generation: i64, sent_ms: i64) -> OwnCall {
    OwnCall {
        generation: Some(generation),
        ..samples::own(CANARY, sent_ms, 5)
    }
}

#[test]
fn exactly_the_wanted_replicas_must_be_ready_and_stay() {
    let (a, b) = (pod("a"), pod("b"));
    assert_eq!(all_ready(&[&a, &b], 2), Ok(()));
    let missing = |pods: &[&PodSeen]| all_ready(pods, 2).unwrap_err();
    says(&missing(&[&a]), &["1 of 2"]);
    let going = PodSeen {
        presence: Presence::Terminating,
        ..pod("c")
    };
    says(&missing(&[&a, &b, &going]), &["c: terminating"]);
    let waiting = PodSeen {
        ready: false,
        waiting: Some("CrashLoopBackOff".to_owned()),
        ..pod("b")
    };
    says(&missing(&[&a, &waiting]), &["b: CrashLoopBackOff"]);
}

#[test]
fn a_term_counts_after_it_has_been_renewed_for_a_period_and_while_it_is() {
    let period = Duration::from_secs(2);
    let seen = |leases: Vec<LeaseSeen>| Seen {
        leases,
        ..Seen::default()
    };
    let held = seen(vec![renewal(1, 0, "u/1"), renewal(2, 2_000, "u/1")]);
    let last = held.leases[1].clone();
    assert_eq!(renewed(&held, &last, stamp(3_000), period), Ok(()));
    assert!(
        renewed(&held, &last, stamp(6_500), period)
            .unwrap_err()
            .contains("4500 ms")
    );
    let taken = seen(vec![renewal(1, 0, "u/1"), renewal(2, 2_000, "u/2")]);
    let last = taken.leases[1].clone();
    assert!(
        renewed(&taken, &last, stamp(2_100), period).is_err(),
        "the renewal was of another term"
    );
}

#[test]
fn the_holder_works_when_its_write_follows_a_fresh_change_of_the_canary() {
    let write = |pod: &str, generation| {
        let mut write = call(pod, "patch", "scheduledmachines");
        write.observed_generation = Some(generation);
        write
    };
    let user = write("a", 1).user;
    let rule = WorkRule::default();
    let seen = |calls| Seen {
        calls,
        own: vec![change(6, 900), change(7, 1_000)],
        ..Seen::default()
    };
    let works_at = |write, at| works(&seen(vec![write]), "a", &user, &rule, stamp(at));
    // The newest change may be a moment old, and an old one says nothing about now.
    assert!(works_at(write("a", 6), 1_100));
    assert!(!works_at(write("a", 5), 1_100));
    assert!(!works_at(write("b", 7), 1_100));
    assert!(!works_at(write("a", 7), 60_000));
}

#[test]
fn a_rollout_is_complete_when_every_count_is_the_wanted_one() {
    let deployment = |updated: i32, observed: i64| -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"generation": 2},
            "status": {
                "observedGeneration": observed, "replicas": 2, "updatedReplicas": updated, "readyReplicas": 2,
                "availableReplicas": 2,
            },
        }))
        .unwrap()
    };
    assert!(complete(&deployment(2, 2), 2));
    assert!(!complete(&deployment(1, 2), 2));
    assert!(!complete(&deployment(2, 1), 2));
    assert!(!complete(&deployment(2, 2), 3));
}

#[test]
fn only_the_operators_own_image_makes_waiting_hopeless() {
    let pod: Pod = serde_json::from_value(serde_json::json!({
        "spec": {"containers": [
            {"name": "operator", "image": "five-spot/none:broken"},
            {"name": "sidecar", "image": "operator:dev"},
        ]}
    }))
    .unwrap();
    let why = || "ErrImageNeverPull".to_owned();
    assert_eq!(no_image(&pod, "operator", "operator:dev", why()), None);
    assert!(matches!(
        no_image(&pod, "operator", "five-spot/none:broken", why()),
        Some(Unsteady::Image { .. })
    ));
}

#[test]
fn where_no_pod_is_the_deployment_says_why() {
    let deployment = |generation: i64| -> Deployment {
        serde_json::from_value(json!({
            "metadata": {"generation": generation},
            "spec": {"replicas": 2, "selector": {}, "template": {}},
            "status": {
                "observedGeneration": 2,
                "conditions": [{"type": "ReplicaFailure", "status": "True", "message": "exceeded quota"}],
            },
        }))
        .unwrap()
    };
    assert_eq!(
        deployment_says("operator", &deployment(2)),
        "Deployment operator wants 2 replicas and says ReplicaFailure=True: exceeded quota"
    );
    assert!(deployment_says("operator", &deployment(3)).contains("generation 3, looked at 2"));
}

#[test]
fn two_replicas_that_renew_under_one_name_are_told_from_one_that_took_over() {
    let write = |pod: &str, version| ApiCall {
        resource_version: Some(version),
        ..call(pod, "update", "leases")
    };
    let held_by = |holder: &str, version, at_ms| {
        let mut seen = renewal(version, at_ms, "u/1");
        seen.record.holder = holder.to_owned();
        seen
    };
    let seen = Seen {
        leases: vec![
            held_by("b", 3, 0),
            held_by("a", 5, 1_000),
            held_by("a", 7, 3_000),
        ],
        calls: vec![write("b", 3), write("a", 5), write("a", 7)],
        ..Seen::default()
    };
    let user = write("a", 5).user;
    assert_eq!(shared_identity(&seen, &user), None);
    let shared = Seen {
        calls: vec![write("b", 3), write("a", 5), write("b", 7)],
        ..seen
    };
    let why = shared_identity(&shared, &user).unwrap();
    assert!(why.contains("\"a\"") && why.ends_with("a, b"), "{why}");
    let mut other = shared;
    other.calls[2].other_lease = true;
    let found = shared_identity(&other, &user);
    assert_eq!(found, None, "it renews a Lease of its own beside that one");
}

#[test]
fn what_was_seen_is_not_excused_by_the_rig_and_what_is_missing_may_be() {
    let limit = Duration::from_secs(1);
    let why = "two as one".to_owned();
    assert!(Unsteady::SharedIdentity { why, limit }.is_certain());
    let waiting_for = "a renewal".to_owned();
    assert!(!Unsteady::TimeUp { waiting_for, limit }.is_certain());
}

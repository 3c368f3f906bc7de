//! Limits of time: by how much they are extended, and when a missed one is held against the rig.

use super::*;
use crate::observed::audit::purpose::CANARY;

#[test]
fn a_missed_bound_on_a_slow_rig_is_inconclusive_and_stray_writes_are_not() {
    let mut data = expiry(17_500).work("a", 40, 19_000, 2);
    data.own.push(own(CANARY, 2000, 2000));
    let result = judged(&data);
    undecided(&result, CheckId::LeaseFailover, &["took 2000 ms"]);
    fails(&result, CheckId::OnlyHolderWrites, &[]);
    assert_eq!(result.verdict, Verdict::Fail);
}

/// How a lease failover over its bound is judged on this rig, and with which words.
fn missed(change: impl FnOnce(&mut TrialData)) -> (Verdict, String) {
    let mut data = expiry(17_500);
    change(&mut data);
    let result = judged(&data);
    // All was seen.
    passes(&result, CheckId::Evidence, &[]);
    let check = check_of(&result, CheckId::LeaseFailover);
    (check.verdict, check.detail.clone())
}

#[test]
fn a_missed_bound_while_the_harness_got_no_processor_is_inconclusive() {
    let stalled = |lasted_ms| {
        missed(|data| {
            data.stalls.push(Stall {
                at: stamp(2000),
                lasted_ms,
            });
        })
    };
    assert_eq!(stalled(240.0).0, Verdict::Fail);
    let (verdict, detail) = stalled(812.0);
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(
        detail.contains("waited 812 ms for a processor (limit 250 ms)"),
        "{detail}"
    );
}

#[test]
fn a_missed_bound_while_an_image_was_pulled_is_inconclusive() {
    let (verdict, detail) = missed(|data| {
        data.rig.push(RigFault::ImagePull {
            detail: "b: Pulling image \"x\"".to_owned(),
        });
    });
    assert_eq!(verdict, Verdict::Inconclusive);
    assert!(
        detail.contains("an image was pulled: b: Pulling image \"x\""),
        "{detail}"
    );
}

#[test]
fn a_slow_rig_does_not_spoil_a_trial_that_met_its_bounds() {
    let mut data = expiry(15_010);
    data.stalls.push(Stall {
        at: stamp(2000),
        lasted_ms: 812.0,
    });
    let detail = "b: Pulling image".to_owned();
    data.rig.push(RigFault::ImagePull { detail });
    let result = passed(&data);
    says(
        &result,
        CheckId::Evidence,
        &["longest wait for a processor 812 ms"],
    );
}

#[test]
fn a_trial_that_warms_up_is_held_to_what_is_safe_and_not_to_times() {
    let mut data = expiry(17_500).work("a", 40, 19_000, 2);
    data.warm_up = true;
    let result = judged(&data);
    for timing in [
        CheckId::LeaseFailover,
        CheckId::Within,
        CheckId::WorkFailover,
    ] {
        assert!(!has(&result, timing), "{timing}");
    }
    fails(&result, CheckId::OnlyHolderWrites, &[]);
    assert!(result.warm_up && !result.counts());
    assert_eq!(
        result.phases.lease_ms,
        Some(17_400.0),
        "it is measured all the same"
    );
}

#[test]
fn a_kill_extends_its_limits_by_the_time_that_it_took() {
    // The kill took 60 ms, so the last renewal may have come that much after its call; 100 ms are for observing it.
    let data = expiry(15_250);
    passes(&judged(&data), CheckId::LeaseFailover, &[]);
    let data = expiry(15_280);
    fails(&judged(&data), CheckId::LeaseFailover, &[]);
}

#[test]
fn an_expiry_is_allowed_the_time_to_observe_it_and_says_so() {
    let instant = |silence| {
        let mut data = expiry(silence);
        data.strike.issued = stamp(902);
        data.strike.returned = stamp(902);
        data
    };
    says(
        &passed(&instant(15_080)),
        CheckId::LeaseFailover,
        &["100 ms for a standby to see the last renewal"],
    );
    let late = judged(&instant(15_130));
    fails(&late, CheckId::LeaseFailover, &[]);
    fails(&late, CheckId::Within, &[]);
}

#[test]
fn a_handover_is_not_allowed_the_time_to_observe_an_expiry() {
    assert_eq!(judged(&handover()).error.observation_ms, 0.0);
}

#[test]
fn the_limits_are_for_the_time_since_the_last_blow() {
    let mut data = expiry(17_500);
    data.strike.repeated = vec![stamp(4_000), stamp(29_000)];
    let result = judged(&data);
    assert_eq!(result.phases.lease_ms, Some(17_400.0));
    assert_eq!(result.phases.lease_since_last_blow_ms, Some(14_400.0));
    passes(&result, CheckId::LeaseFailover, &[]);
}

#[test]
fn a_missed_bound_on_a_sound_rig_fails() {
    fails(&judged(&expiry(17_500)), CheckId::LeaseFailover, &[]);
}

//! Histories of a Lease, and the reasons read from them.

use super::*;
use crate::samples::{seen, stamp};

fn only(history: &[LeaseSeen], error_ms: f64) -> Takeover {
    let mut found = takeovers(history, &history[0].record, |_| error_ms);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn the_first_write_that_left_the_lease_empty_is_the_release() {
    let takeover = only(
        &[
            seen(1, 0, "a", "u/1"),
            seen(2, 900, "", "u/1"),
            seen(3, 920, "", "u/1"),
            seen(4, 950, "b", "v/1"),
        ],
        0.0,
    );
    assert_eq!(takeover.reason, Reason::Released);
    assert_eq!(takeover.released, Some(stamp(900)));
    assert_eq!(takeover.release_version, Some(2));
    assert_eq!(takeover.seen, stamp(950));
}

/// a writes the Lease with its first life, at 0 ms and again at the moments given, then another state follows.
#[rstest::rstest]
#[case::silent_for_the_recorded_duration(&[(2_000, "a", "u/1"), (17_001, "b", "v/1")], 0.0, Reason::Expired)]
#[case::emptied(&[(900, "", "u/1"), (950, "b", "v/1")], 0.0, Reason::Released)]
#[case::emptied_when_its_time_was_over(&[(15_001, "", "u/1"), (15_500, "b", "v/1")], 0.0, Reason::Expired)]
#[case::emptied_just_before(&[(14_999, "", "u/1"), (15_500, "b", "v/1")], 0.0, Reason::Released)]
#[case::taken_before_expiry(&[(14_900, "b", "v/1")], 20.0, Reason::Unexplained)]
#[case::within_the_measuring_error_of_expiry(&[(14_990, "b", "v/1")], 20.0, Reason::Expired)]
#[case::the_same_pod_as_a_new_process(&[(1_400, "a", "u/2")], 0.0, Reason::Reclaimed)]
#[case::another_pod_of_the_same_name(&[(1_400, "a", "w/2")], 0.0, Reason::Unexplained)]
fn the_history_gives_the_reason(
    #[case] states: &[(i64, &str, &str)],
    #[case] error_ms: f64,
    #[case] reason: Reason,
) {
    let states = states.iter().zip(2..);
    let states = states.map(|((at, holder, life), version)| seen(version, *at, holder, life));
    let history: Vec<_> = [seen(1, 0, "a", "u/1")].into_iter().chain(states).collect();
    assert_eq!(only(&history, error_ms).reason, reason);
}

#[test]
fn the_silence_is_counted_from_the_last_renewal() {
    let renewed = [seen(1, 0, "a", "u/1"), seen(2, 2_000, "a", "u/1")];
    let history = [&renewed[..], &[seen(3, 17_001, "b", "v/1")]].concat();
    assert_eq!(only(&history, 0.0).silence_ms, 15_001.0);
}

#[test]
fn the_record_decides_how_long_its_holder_is_left_alone() {
    let mut history = [seen(1, 0, "a", "u/1"), seen(2, 16_000, "b", "v/1")];
    history[0].record.duration_seconds = Some(30);
    assert_eq!(only(&history, 0.0).reason, Reason::Unexplained);
}

#[test]
fn renewals_are_no_takeover() {
    let history = [seen(1, 0, "a", "u/1"), seen(2, 2_000, "a", "u/1")];
    assert!(takeovers(&history, &history[0].record, |_| 0.0).is_empty());
}

#[test]
fn a_deleted_lease_is_no_reason_to_take_it() {
    let mut history = [
        seen(1, 0, "a", "u/1"),
        seen(2, 100, "a", "u/1"),
        seen(3, 150, "b", "v/1"),
    ];
    history[1].deleted = true;
    assert_eq!(only(&history, 0.0).reason, Reason::Unexplained);
}

#[test]
fn every_hop_is_found() {
    let history = [
        seen(1, 0, "a", "u/1"),
        seen(2, 10, "", "u/1"),
        seen(3, 20, "b", "v/1"),
        seen(4, 30, "", "v/1"),
        seen(5, 40, "c", "w/1"),
    ];
    let hops: Vec<_> = takeovers(&history, &history[0].record, |_| 0.0)
        .into_iter()
        .map(|t| t.to.holder)
        .collect();
    assert_eq!(hops, ["b", "c"]);
}

//! Histories of a Lease, and the reasons read from them.

use super::*;

fn seen(version: u64, at_ms: i64, holder: &str, incarnation: &str) -> LeaseSeen {
    LeaseSeen {
        at: Stamp::from_micros(at_ms * 1000),
        record: LeaseRecord {
            resource_version: version,
            holder: holder.to_owned(),
            incarnation: Some(incarnation.to_owned()),
            duration_seconds: Some(15),
            ..LeaseRecord::default()
        },
        deleted: false,
    }
}

fn only(history: &[LeaseSeen], error_ms: f64) -> Takeover {
    let mut found = takeovers(history, &history[0].record, |_| error_ms);
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

#[test]
fn an_emptied_lease_was_released() {
    let takeover = only(
        &[
            seen(1, 0, "a", "u/1"),
            seen(2, 900, "", "u/1"),
            seen(3, 950, "b", "v/1"),
        ],
        0.0,
    );
    assert_eq!(takeover.reason, Reason::Released);
    assert_eq!(takeover.released, Some(Stamp::from_micros(900_000)));
    assert_eq!(takeover.release_version, Some(2));
    assert_eq!(takeover.seen, Stamp::from_micros(950_000));
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
    assert_eq!(takeover.release_version, Some(2));
}

#[test]
fn a_silence_of_the_recorded_duration_is_an_expiry() {
    let takeover = only(
        &[
            seen(1, 0, "a", "u/1"),
            seen(2, 2_000, "a", "u/1"),
            seen(3, 17_001, "b", "v/1"),
        ],
        0.0,
    );
    assert_eq!(takeover.reason, Reason::Expired);
    assert_eq!(takeover.silence_ms, 15_001.0);
}

#[test]
fn a_lease_that_was_emptied_when_its_time_was_over_has_expired() {
    let emptied = |at| {
        only(
            &[
                seen(1, 0, "a", "u/1"),
                seen(2, at, "", "u/1"),
                seen(3, 15_500, "b", "v/1"),
            ],
            0.0,
        )
        .reason
    };
    assert_eq!(emptied(15_001), Reason::Expired);
    assert_eq!(emptied(14_999), Reason::Released);
}

#[test]
fn a_takeover_before_expiry_has_no_reason() {
    let takeover = only(&[seen(1, 0, "a", "u/1"), seen(2, 14_900, "b", "v/1")], 20.0);
    assert_eq!(takeover.reason, Reason::Unexplained);
}

#[test]
fn the_measuring_error_is_granted_to_an_expiry() {
    assert_eq!(
        only(&[seen(1, 0, "a", "u/1"), seen(2, 14_990, "b", "v/1")], 20.0).reason,
        Reason::Expired
    );
}

#[test]
fn the_record_decides_how_long_its_holder_is_left_alone() {
    let mut history = [seen(1, 0, "a", "u/1"), seen(2, 16_000, "b", "v/1")];
    history[0].record.duration_seconds = Some(30);
    assert_eq!(only(&history, 0.0).reason, Reason::Unexplained);
}

#[test]
fn the_same_pod_as_a_new_process_reclaims() {
    assert_eq!(
        only(&[seen(1, 0, "a", "u/1"), seen(2, 1_400, "a", "u/2")], 0.0).reason,
        Reason::Reclaimed
    );
}

#[test]
fn another_pod_of_the_same_name_reclaims_nothing() {
    assert_eq!(
        only(&[seen(1, 0, "a", "u/1"), seen(2, 1_400, "a", "w/2")], 0.0).reason,
        Reason::Unexplained
    );
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

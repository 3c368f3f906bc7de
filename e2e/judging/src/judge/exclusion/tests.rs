//! Hand-built histories: what is accused, and what has the benefit of the doubt.

use super::*;
use crate::{clock::Stamp, judge::takeover::takeovers, observed::LeaseRecord};

/// A Lease state with the audited write behind it, received at `at` ms and answered 4 ms later.
fn lease(version: u64, at: i64, holder: &str) -> (LeaseSeen, ApiCall) {
    let record = LeaseRecord {
        resource_version: version,
        holder: holder.to_owned(),
        incarnation: Some(format!("{holder}/1")),
        duration_seconds: Some(15),
        ..LeaseRecord::default()
    };
    let mut call = crate::samples::call(holder, "update", "leases");
    call.resource_version = Some(version);
    call.received = Wall(at * 1000);
    call.completed = Wall((at + 4) * 1000);
    (
        LeaseSeen {
            at: Stamp::from_micros((at + 5) * 1000),
            record,
            deleted: false,
        },
        call,
    )
}

/// An accepted status write, received at `at` ms and answered 4 ms later.
fn write(pod: &str, version: Option<u64>, at: i64) -> ApiCall {
    let mut call = crate::samples::call(pod, "patch", "scheduledmachines");
    call.resource_version = version;
    call.received = Wall(at * 1000);
    call.completed = Wall((at + 4) * 1000);
    call
}

/// a leads, releases at 100 and b takes at 110.
fn handover() -> (Vec<LeaseSeen>, Vec<ApiCall>) {
    [lease(10, 0, "a"), lease(20, 100, ""), lease(22, 110, "b")]
        .into_iter()
        .unzip()
}

fn examined(history: &[LeaseSeen], calls: &[ApiCall], writes: &[ApiCall]) -> Exclusion {
    let tenures = tenures(history, calls, None);
    let takeovers = takeovers(history, &history[0].record, |_| 0.0);
    let take = takeovers.first().map(|first| Take::of(first, calls, None));
    examine(&writes.iter().collect::<Vec<_>>(), take.as_ref(), &tenures)
}

#[test]
fn a_clean_handover_accuses_nobody() {
    let (history, calls) = handover();
    let writes = [
        write("a", Some(15), 50),
        write("b", Some(25), 120),
        write("b", Some(26), 140),
    ];
    let exclusion = examined(&history, &calls, &writes);
    assert!(
        exclusion.overlap.is_empty() && exclusion.by_non_holder.is_empty(),
        "{exclusion:?}"
    );
    assert_eq!(exclusion.writes, 3);
}

#[test]
fn an_old_leader_that_writes_after_the_new_one_overlaps() {
    let (history, calls) = handover();
    let writes = [write("b", Some(25), 120), write("a", Some(27), 130)];
    let exclusion = examined(&history, &calls, &writes);
    assert_eq!(exclusion.overlap.len(), 1);
    assert_eq!(
        (
            exclusion.overlap[0].pod.as_str(),
            exclusion.overlap[0].late_ms
        ),
        ("a", 10.0)
    );
    assert_eq!(exclusion.by_non_holder.len(), 1);
}

#[test]
fn the_revision_decides_where_the_clocks_of_two_writes_cross() {
    let (history, calls) = handover();
    // Received before the new leader's write was answered, but stored after it.
    let writes = [write("b", Some(25), 120), write("a", Some(27), 122)];
    assert_eq!(examined(&history, &calls, &writes).overlap.len(), 1);
    let writes = [write("b", Some(25), 120), write("a", Some(19), 122)];
    assert_eq!(examined(&history, &calls, &writes).overlap.len(), 0);
}

#[test]
fn without_revisions_the_api_servers_clock_decides_and_a_crossing_is_not_accused() {
    let (history, calls) = handover();
    let writes = [
        write("b", None, 120),
        write("a", None, 122),
        write("a", None, 125),
    ];
    let exclusion = examined(&history, &calls, &writes);
    assert_eq!(
        exclusion.overlap.len(),
        1,
        "only the one that was received after the answer"
    );
}

#[test]
fn a_write_after_the_release_is_a_write_by_a_non_holder() {
    let (history, calls) = handover();
    let exclusion = examined(&history, &calls, &[write("a", Some(21), 106)]);
    assert_eq!(exclusion.by_non_holder.len(), 1);
    assert!(exclusion.overlap.is_empty());
}

#[test]
fn a_write_in_flight_at_the_release_has_the_benefit_of_the_doubt() {
    let (history, calls) = handover();
    assert!(
        examined(&history, &calls, &[write("a", None, 103)])
            .by_non_holder
            .is_empty()
    );
}

#[test]
fn a_standby_that_writes_before_it_takes_the_lease_is_accused() {
    let (history, calls) = handover();
    let exclusion = examined(&history, &calls, &[write("b", Some(21), 105)]);
    assert_eq!(exclusion.by_non_holder.len(), 1);
    assert!(exclusion.by_non_holder[0].late_ms < 0.0);
}

#[test]
fn a_replica_that_never_led_is_accused() {
    let (history, calls) = handover();
    assert_eq!(
        examined(&history, &calls, &[write("c", Some(30), 200)])
            .by_non_holder
            .len(),
        1
    );
}

#[test]
fn a_write_that_changed_nothing_shows_an_old_revision_and_is_no_offence() {
    let (history, calls) = handover();
    // The new leader's status write changed nothing, so the answer has the revision of a's last write.
    assert!(
        examined(&history, &calls, &[write("b", Some(15), 120)])
            .by_non_holder
            .is_empty()
    );
}

#[test]
fn a_term_that_was_won_back_is_ones_own() {
    let (mut history, mut calls) = handover();
    for (seen, call) in [lease(40, 300, ""), lease(41, 310, "a")] {
        history.push(seen);
        calls.push(call);
    }
    history[4].record.incarnation = Some("a/2".to_owned());
    let writes = [write("b", Some(25), 120), write("a", Some(45), 330)];
    let exclusion = examined(&history, &calls, &writes);
    assert!(
        exclusion.overlap.is_empty() && exclusion.by_non_holder.is_empty(),
        "{exclusion:?}"
    );
}

#[test]
fn a_write_of_an_unnamed_pod_is_counted_as_such() {
    let (history, calls) = handover();
    let mut unnamed = write("a", Some(15), 50);
    unnamed.pod = None;
    assert_eq!(examined(&history, &calls, &[unnamed]).unnamed, 1);
}

#[test]
fn the_first_write_of_a_reclaiming_pod_is_not_the_last_of_its_predecessor() {
    let (mut history, calls): (Vec<_>, Vec<_>) = [lease(10, 0, "a"), lease(20, 1400, "a")]
        .into_iter()
        .unzip();
    history[1].record.incarnation = Some("a/2".to_owned());
    let takeover = takeovers(&history, &history[0].record, |_| 0.0).remove(0);
    let before = write("a", Some(15), 90);
    let after = write("a", Some(25), 1450);
    let tenures = tenures(&history, &calls, None);
    let take = Take::of(&takeover, &calls, None);
    let first = first_write(&[&before, &after], &take, &tenures).unwrap();
    assert_eq!(first.audit_id, after.audit_id);
}

#[test]
fn a_restarted_process_with_a_name_of_its_own_is_not_its_predecessor() {
    let (history, calls): (Vec<_>, Vec<_>) = [lease(10, 0, "a_1"), lease(20, 16_000, "a_2")]
        .into_iter()
        .unzip();
    let writes = [write("a", None, 16_010), write("a", None, 16_110)];
    let exclusion = examined(&history, &calls, &writes);
    assert_eq!(exclusion.overlap, []);
}

#[test]
fn a_lease_write_missing_from_the_log_is_placed_by_its_arrival() {
    let (history, _) = handover();
    let map = ClockMap::measure(
        &[crate::observed::OwnCall {
            audit_id: Some("x".to_owned()),
            purpose: String::new(),
            sent: Stamp::from_micros(0),
            answered: Stamp::from_micros(0),
            code: 200,
            generation: None,
            resource_version: None,
        }],
        &[ApiCall {
            audit_id: "x".to_owned(),
            ..write("h", None, 0)
        }],
    )
    .unwrap();
    let tenures = tenures(&history, &[], Some(&map));
    assert_eq!(tenures.len(), 2);
    let late = write("a", None, 300);
    assert_eq!(examine(&[&late], None, &tenures).by_non_holder.len(), 1);
}

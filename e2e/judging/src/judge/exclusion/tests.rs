//! Hand-built histories: what is accused, and what has the benefit of the doubt.

use super::*;
use crate::{
    judge::takeover::takeovers,
    samples::{own, seen},
};

/// A Lease state with the audited write behind it, received at `at` ms and answered 4 ms later.
fn lease(version: u64, at: i64, holder: &str) -> (LeaseSeen, ApiCall) {
    let mut call = crate::samples::call(holder, "update", "leases");
    call.resource_version = Some(version);
    call.received = Wall(at * 1000);
    call.completed = Wall((at + 4) * 1000);
    (seen(version, at + 5, holder, &format!("{holder}/1")), call)
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

#[rstest::rstest]
// Received before the new leader's write was answered, but stored after it, or before it.
#[case::by_the_revision(Some(25), &[(Some(27), 122)], 1)]
#[case::by_the_revision_before_it(Some(25), &[(Some(19), 122)], 0)]
// Without revisions only the one that was received after the answer is accused.
#[case::by_the_clock_of_the_api_server(None, &[(None, 122), (None, 125)], 1)]
fn where_the_clocks_of_two_writes_cross_the_old_leader_overlaps(
    #[case] new: Option<u64>,
    #[case] old: &[(Option<u64>, i64)],
    #[case] overlaps: usize,
) {
    let (history, calls) = handover();
    let old = old.iter().map(|(version, at)| write("a", *version, *at));
    let writes: Vec<_> = [write("b", new, 120)].into_iter().chain(old).collect();
    let exclusion = examined(&history, &calls, &writes);
    assert_eq!(exclusion.overlap.len(), overlaps);
}

#[rstest::rstest]
#[case::after_the_release("a", Some(21), 106, 1)]
#[case::in_flight_at_the_release("a", None, 103, 0)]
#[case::by_a_replica_that_never_led("c", Some(30), 200, 1)]
// The new leader's status write changed nothing, so the answer has the revision of a's last write.
#[case::that_changed_nothing("b", Some(15), 120, 0)]
fn a_write_by_a_non_holder_is_accused(
    #[case] pod: &str,
    #[case] version: Option<u64>,
    #[case] at: i64,
    #[case] accused: usize,
) {
    let (history, calls) = handover();
    let exclusion = examined(&history, &calls, &[write(pod, version, at)]);
    assert_eq!(exclusion.by_non_holder.len(), accused);
    assert!(exclusion.overlap.is_empty());
}

#[test]
fn a_standby_that_writes_before_it_takes_the_lease_is_accused() {
    let (history, calls) = handover();
    let exclusion = examined(&history, &calls, &[write("b", Some(21), 105)]);
    assert_eq!(exclusion.by_non_holder.len(), 1);
    assert!(exclusion.by_non_holder[0].late_ms < 0.0);
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
            ..own("", 0, 0)
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

//! `decide` alone: what is seen, who asks, and when, in; a verdict out.

use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use rstest::rstest;

use super::*;
use crate::{
    clock::Moment,
    record::{
        Evidence, Observed,
        Reason::{self, Expired, Hint, Own, Proof, Reclaimed, Released},
        Record,
        Verdict::{self, Take},
        Waits, decide,
    },
};

const INCARNATION: &str = "example.com/incarnation";
const HOLDER_POD: &str = "example.com/holder-pod";
const SUCCESSOR: &str = "example.com/successor";

const WAITS: Waits = Waits {
    duration: D,
    retry_period: RP,
    leave: Duration::from_secs(30),
};

fn seen(lease: Lease) -> Record {
    Record::new(lease, &annotations())
}

/// Without evidence beside the Lease.
fn verdict(observed: &Observed, now: Moment) -> Verdict {
    verdict_for(observed, &me(), now)
}

fn verdict_for(observed: &Observed, me: &Identity, now: Moment) -> Verdict {
    decide(observed, me, &Evidence::default(), now)
}

fn wait(until: Moment) -> Verdict {
    Verdict::Wait { until }
}

fn at(seconds: u64) -> Moment {
    Moment::from_start(Duration::from_secs(seconds))
}

fn record(holder: Option<&str>, duration: Option<i32>, renewed: i64) -> Record {
    let spec = LeaseSpec {
        holder_identity: holder.map(str::to_owned),
        lease_duration_seconds: duration,
        renew_time: Some(MicroTime(Timestamp::from_second(renewed).unwrap())),
        ..LeaseSpec::default()
    };
    seen(Lease {
        spec: Some(spec),
        ..Lease::default()
    })
}

/// A Lease of this holder that was renewed.
fn renewed(holder: &str) -> Lease {
    let record = record(Some(holder), Some(15), 1);
    let renewed = record.renewed(&me(), D, Timestamp::UNIX_EPOCH);
    renewed.into_object()
}

fn held_by(holder: &str, incarnation: &str) -> Record {
    let mut lease = renewed(holder);
    let annotations = lease.metadata.annotations.get_or_insert_default();
    annotations.insert(INCARNATION.into(), incarnation.into());
    seen(lease)
}

fn me() -> Identity {
    Identity::of_new_process("me", "uid-me")
}

#[test]
fn a_lease_that_does_not_exist_is_created_once_a_leader_would_have_noticed_its_deletion() {
    let observed = Observed::first(None, at(100), WAITS);
    assert_eq!(verdict(&observed, at(100)), wait(at(104)));
    assert_eq!(verdict(&observed, at(104)), Take(Released));
}

#[rstest]
#[case::no_holder(Some(record(None, Some(15), 0)))]
#[case::released(Some(record(Some(""), Some(1), 0)))]
fn a_lease_that_nobody_holds_is_taken_at_once(#[case] seen: Option<Record>) {
    let observed = Observed::first(seen, at(100), WAITS);
    assert_eq!(verdict(&observed, at(100)), Take(Released));
}

#[rstest]
#[case::renewed_in_1970(0)]
#[case::renewed_in_2100(4_102_444_800)]
fn a_record_never_seen_before_is_waited_out_whatever_its_renew_time(#[case] renewed: i64) {
    let observed = Observed::first(
        Some(record(Some("other"), Some(15), renewed)),
        at(100),
        WAITS,
    );
    assert_eq!(verdict(&observed, at(100)), wait(at(115)));
    assert_eq!(verdict(&observed, at(114)), wait(at(115)));
    assert_eq!(verdict(&observed, at(115)), Take(Expired));
}

#[test]
fn the_duration_that_counts_is_the_record_s_own() {
    let observed = Observed::first(Some(record(Some("other"), Some(60), 0)), at(100), WAITS);
    assert_eq!(verdict(&observed, at(159)), wait(at(160)));
}

const WITH_INCARNATION: Option<&str> = Some("uid/6f0c1f2e-0f3c-4b36-9d5c-0a4f4f6f0a11");

#[rstest]
#[case::missing(None, None, 15)]
#[case::zero(Some(0), None, 15)]
#[case::negative(Some(-5), WITH_INCARNATION, 15)]
#[case::shorter_than_the_own(Some(5), None, 5)]
#[case::longer_but_sensible(Some(120), None, 120)]
#[case::of_another_program_and_too_long(Some(600), None, 150)]
#[case::of_a_replica_that_is_set_to_it(Some(600), WITH_INCARNATION, 600)]
#[case::the_longest_that_a_replica_is_set_to(Some(3600), WITH_INCARNATION, 3600)]
#[case::longer_than_any_replica_is_set_to(Some(3601), WITH_INCARNATION, 150)]
#[case::absurd(Some(2_000_000_000), None, 150)]
fn no_duration_keeps_others_out_for_longer_than_is_safe(
    #[case] stated: Option<i32>,
    #[case] incarnation: Option<&str>,
    #[case] waited: u64,
) {
    let mut lease = Lease {
        spec: Some(LeaseSpec {
            holder_identity: Some("other".to_owned()),
            lease_duration_seconds: stated,
            ..LeaseSpec::default()
        }),
        ..Lease::default()
    };
    if let Some(incarnation) = incarnation {
        let annotations = lease.metadata.annotations.get_or_insert_default();
        annotations.insert(INCARNATION.to_owned(), incarnation.to_owned());
    }
    let observed = Observed::first(Some(seen(lease)), at(100), WAITS);
    assert_eq!(verdict(&observed, at(100)), wait(at(100 + waited)));
    assert_eq!(verdict(&observed, at(100 + waited)), Take(Expired));
}

#[test]
fn what_this_process_wrote_and_heard_of_too_late_is_left_to_others_for_a_while() {
    let me = me();
    let mine = held_by("me", &me.incarnation.to_string());
    let observed = Observed::first(Some(mine), at(100), WAITS);
    let evidence = Evidence {
        unheard: true,
        ..Evidence::default()
    };
    assert_eq!(decide(&observed, &me, &evidence, at(129)), wait(at(130)));
    assert_eq!(decide(&observed, &me, &evidence, at(130)), Take(Own));
}

#[test]
fn a_renewal_restarts_the_wait_and_a_mere_label_does_not() {
    let first = record(Some("other"), Some(15), 1);
    let mut observed = Observed::first(Some(first.clone()), at(100), WAITS);
    observed.update(Some(record(Some("other"), Some(15), 2)), at(110));
    assert_eq!(verdict(&observed, at(116)), wait(at(125)));

    let mut labelled = record(Some("other"), Some(15), 2)
        .renewed(&me(), D, Timestamp::from_second(2).unwrap())
        .into_object();
    labelled
        .metadata
        .labels
        .get_or_insert_default()
        .insert("a".into(), "b".into());
    labelled.metadata.resource_version = Some("77".into());
    observed.update(Some(seen(labelled)), at(120));
    assert_eq!(verdict(&observed, at(125)), Take(Expired));
}

#[test]
fn a_deleted_lease_is_waited_out_because_its_holder_may_not_know() {
    let mut observed = Observed::first(Some(record(Some("other"), Some(15), 1)), at(100), WAITS);
    observed.update(None, at(105));
    assert_eq!(verdict(&observed, at(105)), wait(at(115)));
    assert_eq!(verdict(&observed, at(115)), Take(Expired));
    assert!(observed.existing().is_none(), "a take has to create it");
}

/// Known at 105 s is `known`; a read that was sent at `asked` finds `read`.
#[rstest]
#[case::gone_before_it_was_told_of(Some(5), None, 104, true)]
#[case::gone_since(Some(5), None, 105, false)]
#[case::there_before_it_was_deleted(None, Some(4), 104, true)]
#[case::there_after_all(None, Some(4), 105, false)]
#[case::made_anew(None, Some(6), 104, false)]
#[case::an_older_state(Some(5), Some(4), 106, true)]
#[case::a_newer_state(Some(5), Some(6), 104, false)]
fn what_a_read_found_can_be_overtaken_while_it_is_under_way(
    #[case] known: Option<u64>,
    #[case] read: Option<u64>,
    #[case] asked: u64,
    #[case] overtaken: bool,
) {
    let of = |version: u64| {
        let mut lease = record(Some("other"), Some(15), 1).into_object();
        lease.metadata.resource_version = Some(version.to_string());
        seen(lease)
    };
    let mut observed = Observed::first(Some(of(4)), at(100), WAITS);
    observed.update(known.map(of), at(105));
    assert_eq!(
        observed.has_overtaken(read.map(of).as_ref(), at(asked)),
        overtaken
    );
}

#[rstest]
#[case::released("uid-1", at(105))]
#[case::made_anew("uid-2", at(115))]
fn only_the_lease_that_was_held_can_be_released(#[case] uid: &str, #[case] free: Moment) {
    let of = |record: &Record, uid: &str| {
        let mut lease = record
            .renewed(&me(), D, Timestamp::UNIX_EPOCH)
            .into_object();
        lease.metadata.uid = Some(uid.into());
        seen(lease)
    };
    let held = of(&record(Some("other"), Some(15), 1), "uid-1");
    let mut observed = Observed::first(Some(held), at(100), WAITS);
    observed.update(Some(of(&record(None, None, 0), uid)), at(105));
    if free > at(105) {
        assert_eq!(verdict(&observed, at(105)), wait(free));
    }
    assert_eq!(verdict(&observed, free), Take(Released));
}

#[test]
fn an_earlier_life_of_the_same_pod_is_dead_by_construction() {
    let before = held_by("me", &me().incarnation.to_string());
    let observed = Observed::first(Some(before), at(100), WAITS);
    assert_eq!(verdict(&observed, at(100)), Take(Reclaimed));
}

#[rstest]
#[case::another_pod_of_the_same_name("uid-other/6f0c1f2e-0f3c-4b36-9d5c-0a4f4f6f0a11")]
#[case::unreadable("nonsense")]
#[case::no_uid("/6f0c1f2e-0f3c-4b36-9d5c-0a4f4f6f0a11")]
fn the_same_name_alone_proves_nothing(#[case] incarnation: &str) {
    let before = held_by("me", incarnation);
    let observed = Observed::first(Some(before), at(100), WAITS);
    assert_eq!(verdict(&observed, at(100)), wait(at(115)));
}

#[test]
fn another_holder_with_our_incarnation_is_another_holder() {
    let me = me();
    let forged = held_by("other", &me.incarnation.to_string());
    let observed = Observed::first(Some(forged), at(100), WAITS);
    assert_eq!(verdict_for(&observed, &me, at(100)), wait(at(115)));
}

#[test]
fn a_record_of_this_very_process_is_its_own() {
    let me = me();
    let mine = held_by("me", &me.incarnation.to_string());
    let observed = Observed::first(Some(mine), at(100), WAITS);
    assert_eq!(verdict_for(&observed, &me, at(101)), Take(Own));
}

const NONCE: &str = "6f0c1f2e-0f3c-4b36-9d5c-0a4f4f6f0a11";

fn held_by_other() -> Observed {
    let record = held_by("other", &format!("uid/{NONCE}"));
    Observed::first(Some(record), at(100), WAITS)
}

#[rstest]
#[case::proof(Some(format!("uid/{NONCE}")), None, Take(Proof))]
#[case::hint(None, Some(format!("uid/{NONCE}")), Take(Hint))]
#[case::both(Some(format!("uid/{NONCE}")), Some(format!("uid/{NONCE}")), Take(Proof))]
#[case::another_pod(Some(format!("uid-of-another/{NONCE}")), None, wait(at(115)))]
#[case::an_earlier_life(Some("uid/0b1e1c9a-7d49-4e0e-8d35-9b7f3c1d2e4f".to_owned()), None, wait(at(115)))]
#[case::a_hint_of_an_earlier_life(None, Some("uid/0b1e1c9a-7d49-4e0e-8d35-9b7f3c1d2e4f".to_owned()), wait(at(115)))]
fn evidence_counts_against_the_very_process_that_the_lease_names(
    #[case] dead: Option<String>,
    #[case] gone: Option<String>,
    #[case] expected: Verdict,
) {
    let parsed = |text: Option<String>| text.map(|text| text.parse().unwrap());
    let evidence = Evidence {
        dead: parsed(dead),
        gone: parsed(gone),
        unheard: false,
    };
    assert_eq!(
        decide(&held_by_other(), &me(), &evidence, at(100)),
        expected
    );
}

fn released_to(successor: &str) -> Record {
    let held = record(Some("other"), Some(15), 1);
    held.released(Some(successor), Timestamp::from_second(2).unwrap())
}

#[rstest]
#[case::to_me("me", Take(Released))]
#[case::to_another("third", wait(at(112)))]
fn a_successor_goes_first_and_others_wait_one_retry_period(
    #[case] successor: &str,
    #[case] expected: Verdict,
) {
    let mut observed = held_by_other();
    observed.update(Some(released_to(successor)), at(110));
    assert_eq!(verdict(&observed, at(110)), expected);
    assert_eq!(verdict(&observed, at(112)), Take(Released));
}

#[test]
fn naming_another_successor_later_holds_nobody_up_for_longer() {
    let mut observed = held_by_other();
    observed.update(Some(released_to("third")), at(110));
    observed.update(Some(released_to("fourth")), at(111));
    assert_eq!(verdict(&observed, at(112)), Take(Released));
}

#[test]
fn a_successor_named_on_a_lease_that_is_held_means_nothing() {
    let mut lease = renewed("other");
    let annotations = lease.metadata.annotations.get_or_insert_default();
    annotations.insert(SUCCESSOR.into(), "me".into());
    let observed = Observed::first(Some(seen(lease)), at(100), WAITS);
    assert_eq!(verdict(&observed, at(100)), wait(at(115)));
}

#[test]
fn a_take_says_why_and_clears_what_a_release_said() {
    let released = released_to("me");
    let taken = take(&released, Reason::Proof, &me());
    assert_eq!(taken.takeover(), Some(Reason::Proof));
    let given_back = taken.released(None, Timestamp::UNIX_EPOCH);
    assert_eq!(
        (given_back.takeover(), given_back.successor()),
        (None, None)
    );
}

/// What a Lease says of its holder's pod.
fn holder_pod(record: Record) -> Option<String> {
    record
        .into_object()
        .metadata
        .annotations?
        .remove(HOLDER_POD)
}

fn take(found: &Record, reason: Reason, me: &Identity) -> Record {
    let twice = (Some(found), Some(found));
    let epoch = Timestamp::UNIX_EPOCH;
    Record::taken(&annotations(), twice, reason, me, D, epoch)
}

/// A Lease that was last held by another pod and names it, as an elector that does not know the annotation leaves it.
fn of_another_pod() -> Record {
    let mut lease = renewed("other");
    let annotations = lease.metadata.annotations.get_or_insert_default();
    annotations.insert(HOLDER_POD.to_owned(), "earlier/uid-earlier".to_owned());
    seen(lease)
}

#[test]
fn a_lease_names_the_holders_pod_by_its_uid_for_as_long_as_it_is_held() {
    let (found, epoch) = (of_another_pod(), Timestamp::UNIX_EPOCH);
    let taken = take(&found, Reason::Expired, &me());
    let given_back = taken.released(None, epoch);
    assert_eq!(holder_pod(taken).as_deref(), Some("me/uid-me"));
    let edited = of_another_pod().renewed(&me(), D, epoch);
    assert_eq!(holder_pod(edited).as_deref(), Some("me/uid-me"));
    assert_eq!(holder_pod(given_back), None);
}

#[test]
fn a_holder_that_does_not_know_its_uid_leaves_no_other_pods() {
    let (found, epoch) = (of_another_pod(), Timestamp::UNIX_EPOCH);
    let me = Identity::of_new_process("me", "");
    let taken = take(&found, Reason::Expired, &me);
    assert_eq!(holder_pod(taken), None);
    assert_eq!(holder_pod(found.renewed(&me, D, epoch)), None);
}

//! What is promised after each fault, and that the answers of an entry fit each other.

use std::time::Duration;

use super::{entry::AFTERMATH, *};
use crate::{clock::duration_millis, samples::SETTINGS};

#[rstest::rstest]
#[case(FaultKind::Graceful, 2_000.0, "LEASE_RETRY_PERIOD_SECONDS=2")]
#[case(FaultKind::RollingUpdate, 2_000.0, "LEASE_RETRY_PERIOD_SECONDS=2")]
#[case(FaultKind::Scale, 2_000.0, "LEASE_RETRY_PERIOD_SECONDS=2")]
#[case(FaultKind::Drain, 2_000.0, "LEASE_RETRY_PERIOD_SECONDS=2")]
#[case(FaultKind::NodeLoss, 15_000.0, "a lost node says nothing")]
#[case(FaultKind::Crash, 15_000.0, "LEASE_DURATION_SECONDS=15")]
#[case(FaultKind::CrashLoop, 15_000.0, "LEASE_DURATION_SECONDS=15")]
#[case(FaultKind::PairCrash, 15_000.0, "LEASE_DURATION_SECONDS=15")]
#[case(FaultKind::Zombie, 15_000.0, "LEASE_DURATION_SECONDS=15")]
#[case(FaultKind::LateWrite, 15_000.0, "LEASE_DURATION_SECONDS=15")]
#[case(FaultKind::Partition, 15_000.0, "LEASE_DURATION_SECONDS=15")]
#[case(FaultKind::RenewalsDenied, 15_000.0, "LEASE_DURATION_SECONDS=15")]
#[case(FaultKind::LeaseDeleted, 15_000.0, "LEASE_DURATION_SECONDS=15")]
#[case(FaultKind::HolderOverwritten, 15_000.0, "LEASE_DURATION_SECONDS=15")]
#[case(FaultKind::ApiStop, 15_000.0, "the return of the API server")]
#[case(FaultKind::RbacRevoked, 15_000.0, "the return of the rights")]
#[case(FaultKind::SlowWebhook, 19_000.0, "2 x LEASE_RETRY_PERIOD_SECONDS=2")]
#[case(FaultKind::LostAnswers, 29_000.0, "LEASE_RENEW_DEADLINE_SECONDS=10")]
fn each_limit_follows_from_a_named_setting(
    #[case] fault: FaultKind,
    #[case] limit: f64,
    #[case] named: &str,
) {
    let lease = fault.limits(&SETTINGS, false).lease;
    assert_eq!(lease.limit_ms, limit);
    assert!(lease.reason.contains(named), "{}", lease.reason);
}

#[rstest::rstest]
#[case(FaultKind::Crash, 2_000.0)]
#[case(FaultKind::CrashLoop, 2_000.0)]
fn a_death_that_can_be_proven_limits_the_work_as_well(
    #[case] fault: FaultKind,
    #[case] limit: f64,
) {
    let limits = fault.limits(&SETTINGS, true);
    assert_eq!(
        (limits.lease.limit_ms, limits.work_limit_ms()),
        (limit, limit)
    );
    assert!(limits.lease.reason.contains("proof of death"));
    assert_eq!(fault.limits(&SETTINGS, false).work_limit_ms(), 17_000.0);
}

#[test]
fn a_leader_that_lives_or_falls_silent_can_not_be_proven_dead() {
    for fault in FaultKind::value_variants() {
        assert!(
            fault.entry().fate == Fate::Killed || !fault.entry().provable,
            "{fault}"
        );
        let same = fault.limits(&SETTINGS, true) == fault.limits(&SETTINGS, false);
        assert_eq!(same, !fault.entry().provable, "{fault}");
    }
}

#[test]
fn a_proof_is_not_waited_for_longer_than_the_lease_lasts() {
    let short = LeaseSettings {
        duration_seconds: 1,
        ..SETTINGS
    };
    assert_eq!(
        FaultKind::Crash.limits(&short, true).lease.limit_ms,
        1_000.0
    );
}

#[rstest::rstest]
#[case(FaultKind::Graceful, 0.0)]
#[case(FaultKind::RollingUpdate, 0.0)]
#[case(FaultKind::Drain, 0.0)]
#[case(FaultKind::NodeLoss, 100.0)]
#[case(FaultKind::Crash, 100.0)]
#[case(FaultKind::Partition, 100.0)]
fn only_an_expiry_is_allowed_the_time_to_observe_it(
    #[case] fault: FaultKind,
    #[case] allowed: f64,
) {
    let allowance = fault.entry().observation_allowance();
    assert_eq!(duration_millis(allowance), allowed);
}

#[test]
fn the_name_printed_is_the_name_typed() {
    for fault in FaultKind::value_variants() {
        assert_eq!(fault.to_possible_value().unwrap().get_name(), fault.name());
        assert_eq!(serde_json::to_value(fault).unwrap(), fault.name());
    }
}

#[rstest::rstest]
#[case(FaultKind::Zombie)]
#[case(FaultKind::Partition)]
#[case(FaultKind::LostAnswers)]
#[case(FaultKind::LateWrite)]
#[case(FaultKind::SlowWebhook)]
#[case(FaultKind::ApiStop)]
#[case(FaultKind::RbacRevoked)]
fn a_silence_that_is_to_outlast_the_lease_does(#[case] kind: FaultKind) {
    let lasts = match (kind.entry().hold)(&SETTINGS) {
        Hold::UntilTakeover(time) | Hold::For(time) => time,
        other => panic!("{other:?}"),
    };
    assert!(lasts > SETTINGS.duration(), "{lasts:?}");
}

#[test]
fn what_need_not_move_the_lease_is_undone_by_the_clock() {
    for kind in FaultKind::value_variants() {
        let entry = kind.entry();
        let waits_for_nobody = matches!((entry.hold)(&SETTINGS), Hold::For(_));
        assert_eq!(
            waits_for_nobody,
            matches!(entry.onset, Onset::Undone | Onset::LastTerm),
            "{kind}"
        );
    }
}

#[test]
fn a_gray_failure_lasts_longer_than_a_takeover_may_take_in_it() {
    let long = LeaseSettings {
        duration_seconds: 60,
        renew_deadline_seconds: 40,
        retry_period_seconds: 15,
    };
    for settings in [SETTINGS, long] {
        let all = FaultKind::value_variants().iter();
        for kind in all.filter(|kind| kind.entry().is_gray) {
            let (Hold::For(time) | Hold::UntilTakeover(time)) = (kind.entry().hold)(&settings)
            else {
                panic!("{kind}")
            };
            let limit = kind.limits(&settings, false).work_limit_ms();
            assert!(duration_millis(time) > limit, "{kind}: {time:?}");
        }
    }
}

#[test]
fn a_partition_is_watched_for_as_long_as_a_packet_may_be_repeated() {
    let aftermath = |kind: FaultKind| -> Duration { (kind.entry().aftermath)(&SETTINGS) };
    assert!(aftermath(FaultKind::Partition) > SETTINGS.duration());
    assert_eq!(aftermath(FaultKind::Crash), AFTERMATH);
}

//! Gray failures: an API that takes what is written and answers late, or never.

use super::*;
use crate::record::Reason;

/// The longest that nobody may lead while a standby is healthy, from the end of the last term.
const BOUND: Duration = Duration::from_secs(15 + 2 * 2);

/// Far more than a test has calls.
const ALWAYS: usize = 100_000;

impl TestCluster {
    /// The longest stretch without a leader from `since` until now.
    fn longest_without_leader(&self, since: Instant) -> Duration {
        let mut led_until = since;
        let mut longest = Duration::ZERO;
        for stint in self.stints() {
            longest = longest.max(stint.from.saturating_duration_since(led_until));
            led_until = led_until.max(stint.to.unwrap_or_else(Instant::now));
        }
        longest.max(led_until.elapsed())
    }

    #[track_caller]
    fn assert_led_in_bounds(&self, since: Instant) {
        let longest = self.longest_without_leader(since);
        assert!(longest <= BOUND, "nobody led for {longest:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_gets_no_answers_any_more_is_acknowledged_by_its_watch() {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    leader.link.inject(vec![Fault::HangAfter; ALWAYS]);
    let begun = Instant::now();
    sleep(8 * D).await;
    cluster.assert_led_in_bounds(begun);
    assert_eq!(cluster.pods_that_led(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn where_nobody_gets_answers_somebody_leads_and_stays_leader() {
    let (cluster, leader, standby) = TestCluster::with_leader_and_standby().await;
    let begun = Instant::now();
    leader.link.inject(vec![Fault::HangAfter; ALWAYS]);
    standby.link.inject(vec![Fault::HangAfter; ALWAYS]);
    sleep(8 * D).await;
    assert_eq!(cluster.longest_without_leader(begun), Duration::ZERO);
    assert_eq!(cluster.pods_that_led(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_neither_hears_nor_sees_is_replaced_in_time() {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    leader.link.inject(vec![Fault::HangAfter; ALWAYS]);
    leader.link.silence_watches();
    let begun = Instant::now();
    sleep(8 * D).await;
    cluster.assert_led_in_bounds(begun);
    assert_eq!(cluster.pods_that_led(), ["a", "b"]);
}

/// The answer to a read that found no Lease has no version by which it is known to be old.
#[tokio::test(start_paused = true)]
async fn a_read_from_before_the_lease_existed_keeps_nobody_out() {
    let cluster = TestCluster::new();
    let (leader, standby) = (cluster.start(a()), cluster.start(b()));
    standby.link.late_answers(Duration::from_millis(1200));
    cluster.until_leads("a", FIRST).await;
    // Before it renews: a renewal would be a new version.
    sleep(RP - MOMENT).await;
    leader.crash();
    cluster.until_leads("b", BOUND).await;
}

/// Whatever it sees of its own writes comes too late to lead on, and each of them restarts the clocks of others.
#[rstest::rstest]
#[case::later_than_a_take_may_be(Duration::from_secs(7))]
#[case::later_than_the_deadline(Duration::from_secs(12))]
#[case::later_than_the_lease(Duration::from_secs(20))]
#[tokio::test(start_paused = true)]
async fn a_holder_that_sees_its_writes_too_late_leaves_the_lease_to_others(#[case] late: Duration) {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    leader.link.inject(vec![Fault::HangAfter; ALWAYS]);
    leader.link.delay_watches(late);
    let begun = Instant::now();
    sleep(12 * D).await;
    cluster.assert_led_in_bounds(begun);
    let since = Instant::now() - 4 * D;
    assert_eq!(cluster.longest_without_leader(since), Duration::ZERO);
}

/// Takes that take effect so late that no term can begin by them, while reads are answered at once.
#[tokio::test(start_paused = true)]
async fn a_holder_whose_takes_are_answered_too_late_leaves_the_lease_to_others() {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    let begun = Instant::now();
    leader.link.silence_watches();
    leader.link.inject(vec![Fault::HangAfter; 4]);
    leader.link.late_answers(Duration::from_secs(8));
    sleep(12 * D).await;
    cluster.assert_led_in_bounds(begun);
    assert_eq!(cluster.leading().as_deref(), Some("b"));
}

#[rstest::rstest]
#[case::slow(Duration::from_secs(3), Duration::ZERO)]
#[case::late(Duration::ZERO, Duration::from_secs(3))]
#[case::slow_and_late(Duration::from_millis(1500), Duration::from_millis(1500))]
#[tokio::test(start_paused = true)]
async fn writes_that_take_longer_than_the_retry_period_cost_no_term(
    #[case] slow: Duration,
    #[case] late: Duration,
) {
    let (cluster, leader, standby) = TestCluster::with_leader_and_standby().await;
    let begun = Instant::now();
    for replica in [&leader, &standby] {
        replica.link.slow_writes(slow);
        replica.link.late_answers(late);
    }
    sleep(8 * D).await;
    assert_eq!(cluster.longest_without_leader(begun), Duration::ZERO);
    assert_eq!(cluster.pods_that_led(), ["a"]);
    assert_eq!(leader.link.writes_at_a_time(), 1, "renewals pile up");
    let before = cluster.api.writes().len();
    sleep(Duration::from_mins(1)).await;
    let written = cluster.api.writes().len() - before;
    assert!((19..=31).contains(&written), "{written} renewals a minute");
}

#[tokio::test(start_paused = true)]
async fn the_first_leader_is_found_although_every_write_takes_longer_than_the_retry_period() {
    let cluster = TestCluster::new();
    let (first, second) = (cluster.start(a()), cluster.start(b()));
    for replica in [&first, &second] {
        replica.link.slow_writes(Duration::from_secs(3));
    }
    sleep(2 * D).await;
    let since = Instant::now();
    sleep(8 * D).await;
    assert_eq!(cluster.longest_without_leader(since), Duration::ZERO);
    assert_eq!(cluster.stints().len(), 1, "{:#?}", cluster.stints());
}

#[tokio::test(start_paused = true)]
async fn a_release_that_takes_longer_than_the_retry_period_is_a_release() {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    leader.link.slow_writes(Duration::from_secs(3));
    sleep(D).await;
    leader.stop().await.unwrap();
    assert!(cluster.until_leads("b", D).await < MOMENT);
}

/// The Lease shows the last renewal that took place; the one that is under way is not acknowledged by it.
#[tokio::test(start_paused = true)]
async fn the_sight_of_an_earlier_renewal_prolongs_nothing() {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    let begun = Instant::now();
    leader.link.slow_writes(Duration::from_secs(3600));
    cluster.until_leads("b", D + RP).await;
    let stopped = cluster.stints()[0].to.unwrap() - begun;
    assert!(stopped <= RD + MOMENT, "{stopped:?}");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_a_take_for_longer_than_a_retry_period() {
    let cluster = TestCluster::new();
    let replica = cluster.start(a());
    replica.link.slow_writes(Duration::from_secs(3600));
    // By now takes may take longer than at first.
    sleep(D).await;
    let begun = Instant::now();
    replica.stop().await.unwrap();
    assert!(begun.elapsed() <= RP + MOMENT);
}

#[tokio::test(start_paused = true)]
async fn a_take_that_the_watch_shows_before_its_answer_comes_is_told_like_any_other() {
    let (cluster, leader, mut standby) = TestCluster::with_leader_and_standby().await;
    standby.link.late_answers(Duration::from_secs(3));
    leader.crash();
    cluster.until_leads("b", D + RP).await;
    let news = standby.news();
    assert_eq!(news, [story::acquired(Reason::Expired, Some("a"))]);
    let lease_failover = standby.recorder.told().lease_failover.unwrap();
    assert!(
        (D..D + MOMENT).contains(&lease_failover),
        "{lease_failover:?}"
    );
}

/// By this the leader finds out an API server whose news of the Lease are old, so it must never tell of a write that the
/// API server may not have.
#[tokio::test(start_paused = true)]
async fn the_last_renewal_that_was_acknowledged_is_told_and_no_later_one() {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    let renewed = || {
        cluster
            .api
            .lease()?
            .spec?
            .renew_time
            .map(|renewed| renewed.0)
    };
    let acknowledged = || *leader.acknowledged.borrow();
    for _ in 0..3 {
        assert_eq!(acknowledged(), renewed());
        sleep(RP).await;
    }
    let last = acknowledged();
    leader.link.inject(vec![Fault::HangAfter; ALWAYS]);
    leader.link.silence_watches();
    sleep(RP).await;
    assert!(renewed() > last);
    assert_eq!(acknowledged(), last);
}

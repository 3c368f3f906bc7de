//! Becoming leader: from nothing, from silence, against others, and against an unreliable API.

use super::*;
use logged::Logged;

#[tokio::test(start_paused = true)]
async fn the_first_replica_creates_the_lease_and_leads() {
    let (cluster, replica) = TestCluster::led_by(a()).await;
    assert_eq!(cluster.api.holder(), "a");
    let writes = cluster.api.writes();
    assert_eq!((writes[0].transitions, writes[0].duration), (0, 15));
    assert!(matches!(
        *replica.status.borrow(),
        LeadershipStatus::Leading { .. }
    ));
}

#[tokio::test(start_paused = true)]
async fn of_many_contenders_for_a_free_lease_one_wins() {
    let cluster = TestCluster::new();
    let pods = ["p0", "p1", "p2", "p3", "p4", "p5", "p6", "p7"];
    let replicas = pods.map(|name| cluster.start(pod(name, name)));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.pods_that_led().len(), 1);
    let leading = replicas
        .iter()
        .filter(|replica| matches!(*replica.status.borrow(), LeadershipStatus::Leading { .. }));
    assert_eq!(leading.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_replica_does_not_contend_before_its_caches_are_synced() {
    let cluster = TestCluster::new();
    let _cold = cluster.start(Options {
        ready_after: Duration::from_secs(30),
        ..a()
    });
    sleep(Duration::from_secs(29)).await;
    assert!(
        cluster.api.lease().is_none(),
        "a cold replica has taken the Lease"
    );
    cluster.until_leads("a", Duration::from_secs(2)).await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_leader_is_replaced_when_its_lease_expires_and_not_earlier() {
    let (cluster, leader) = TestCluster::led_by(a()).await;
    let _standby = cluster.start(b());
    // Some renewals later, in the middle of a period.
    sleep(Duration::from_millis(9_300)).await;
    leader.crash();
    let took = cluster.until_leads("b", D + RP).await;
    assert!(took > D - RP && took <= D + MOMENT, "{took:?}");
    assert_eq!(cluster.api.writes().last().unwrap().transitions, 1);
}

#[tokio::test(start_paused = true)]
async fn a_standby_that_knows_nothing_waits_a_whole_duration() {
    let (cluster, leader) = TestCluster::led_by(a()).await;
    leader.crash();
    sleep(Duration::from_secs(14)).await;
    let _newcomer = cluster.start(b());
    let took = cluster.until_leads("b", D + RP).await;
    assert!(
        took >= D,
        "a record seen for the first time was held for expired after {took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_standby_goes_by_the_duration_of_the_record_not_by_its_own() {
    let (cluster, leader, _standby) = TestCluster::led_for_a_while_by(Options {
        duration: 60,
        ..a()
    })
    .await;
    leader.crash();
    let took = cluster.until_leads("b", Duration::from_secs(62)).await;
    assert!(took > Duration::from_secs(57), "{took:?}");
}

#[rstest::rstest]
#[case::leader_ahead(1, 0)]
#[case::leader_behind(-1, 0)]
#[case::standby_ahead(0, 1)]
#[case::standby_behind(0, -1)]
#[tokio::test(start_paused = true)]
async fn wall_clocks_that_are_an_hour_off_change_nothing(
    #[case] leader: i64,
    #[case] standby: i64,
) {
    let (cluster, first) = TestCluster::led_by(Options {
        wall_offset_hours: leader,
        ..a()
    })
    .await;
    let _second = cluster.start(Options {
        wall_offset_hours: standby,
        ..b()
    });
    sleep(Duration::from_secs(120)).await;
    assert_eq!(cluster.pods_that_led(), ["a"], "a live leader was replaced");
    first.crash();
    let took = cluster.until_leads("b", D + RP).await;
    assert!(took > D - RP - MOMENT, "{took:?}");
}

#[rstest::rstest]
#[case::conflict(Fault::Conflict)]
#[case::error_before(Fault::ErrorBefore)]
#[case::error_after(Fault::ErrorAfter)]
#[case::hang(Fault::Hang)]
#[case::hang_after(Fault::HangAfter)]
#[tokio::test(start_paused = true)]
async fn whatever_happens_to_the_take_the_replica_leads_soon_and_once(#[case] fault: Fault) {
    let cluster = TestCluster::new();
    let seed = cluster.start(b());
    cluster.until_leads("b", FIRST).await;
    let replica = cluster.start(a());
    sleep(Duration::from_secs(3)).await;
    replica.link.inject([fault]);
    seed.stop().await.unwrap();
    cluster
        .until_leads("a", RP + RP + Duration::from_secs(1))
        .await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.pods_that_led(), ["b", "a"]);
}

#[tokio::test(start_paused = true)]
async fn the_same_pod_restarted_reclaims_its_lease_at_once() {
    let (cluster, first_life, _standby) = TestCluster::with_leader_and_standby().await;
    first_life.crash();
    sleep(Duration::from_secs(1)).await;
    let _second_life = cluster.start(a());
    assert!(cluster.until_leads("a", RP).await < MOMENT);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.pods_that_led(), ["a", "a"]);
    assert_eq!(
        cluster.api.writes().last().unwrap().transitions,
        0,
        "the holder did not change"
    );
}

#[tokio::test(start_paused = true)]
async fn a_pod_that_reuses_the_name_waits_like_any_other() {
    let (cluster, leader) = TestCluster::led_by(a()).await;
    leader.crash();
    sleep(Duration::from_secs(1)).await;
    let _namesake = cluster.start(pod("a", "uid-of-another-pod"));
    assert!(cluster.until_leads("a", D + RP).await >= D);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_needs_a_moment_at_the_start_is_not_taken_for_silent() {
    let cluster = TestCluster::new();
    let replicas = [a(), b(), pod("c", "uid-c")].map(|setup| cluster.start(setup));
    for replica in &replicas {
        replica.link.delay_watches(Duration::from_millis(500));
    }
    sleep(Duration::from_secs(60)).await;
    for replica in &replicas {
        assert_eq!(replica.link.watches(), 1, "{}", replica.me.pod_name);
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_silent_at_the_start_is_begun_anew_and_is_no_warning() {
    let logged = Logged::from_now_on();
    let cluster = TestCluster::new();
    let replicas = [a(), b(), pod("c", "uid-c")].map(|setup| cluster.start(setup));
    for replica in &replicas {
        replica.link.silence_watches();
    }
    sleep(Duration::from_secs(60)).await;
    for replica in &replicas {
        assert!(replica.link.watches() <= 2, "{}", replica.me.pod_name);
    }
    assert!(!logged.with("watching anew").is_empty());
    assert_eq!(logged.with("WARN"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_is_silent_again_and_again_is_a_warning() {
    let (_replicas, _leader, standby) = TestCluster::with_leader_and_standby().await;
    let logged = Logged::from_now_on();
    standby.link.delay_watches(D * 100);
    sleep(RP * 10).await;
    let warnings = logged.with("WARN");
    assert!(
        !warnings.is_empty() && warnings[0].contains("is silent"),
        "{warnings:#?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_died_silently_is_found_out_by_reading() {
    let (cluster, leader, standby) = TestCluster::with_leader_and_standby().await;
    standby.link.silence_watches();
    sleep(Duration::from_secs(120)).await;
    assert_eq!(
        cluster.pods_that_led(),
        ["a"],
        "renewals were hidden by a dead watch"
    );
    // By now the watch was started anew, once: a release is noticed at once again.
    assert_eq!(standby.link.watches(), 2);
    leader.stop().await.unwrap();
    assert!(cluster.until_leads("b", RP).await < MOMENT);
}

#[tokio::test(start_paused = true)]
async fn a_release_behind_a_dead_watch_is_found_within_a_retry_period() {
    let (cluster, leader, standby) = TestCluster::with_leader_and_standby().await;
    standby.link.silence_watches();
    leader.stop().await.unwrap();
    assert!(cluster.until_leads("b", D).await <= RP + MOMENT);
}

#[tokio::test(start_paused = true)]
async fn old_news_of_a_late_watch_do_not_restart_the_clock() {
    let (cluster, leader, standby) = TestCluster::with_leader_and_standby().await;
    standby.link.delay_watches(Duration::from_secs(5));
    sleep(Duration::from_secs(20)).await;
    let overwritten = Instant::now();
    leader.crash();
    cluster.overwritten_by_a_stranger();
    cluster.until_leads("b", D * 2).await;
    let took = overwritten.elapsed();
    assert!(took >= D && took <= D + RP + MOMENT, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn in_a_steady_state_the_leader_writes_thirty_times_a_minute_and_a_standby_only_reads() {
    let (cluster, leader) = TestCluster::led_by(a()).await;
    let standby = cluster.start(b());
    sleep(Duration::from_secs(10)).await;
    let (writes, leader_reads, standby_reads) = (
        cluster.api.writes().len(),
        leader.link.reads(),
        standby.link.reads(),
    );
    sleep(Duration::from_secs(600)).await;
    let written = cluster.api.writes().split_off(writes);
    assert!(written.iter().all(|write| write.by == "a"));
    assert!(
        written.len() >= 299 && written.len() <= 301,
        "{}",
        written.len()
    );
    assert_eq!(
        leader.link.reads(),
        leader_reads,
        "a leader whose renewals succeed has nothing to read"
    );
    assert!(
        standby.link.reads() - standby_reads <= 300,
        "{}",
        standby.link.reads() - standby_reads
    );
    standby.assert_follows("a");
    assert!(leader.pulse.stalled_for().is_none() && standby.pulse.stalled_for().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_take_whose_answers_are_all_lost_is_not_repeated_in_a_spin() {
    let cluster = TestCluster::new();
    let replica = cluster.start(a());
    // Every take is accepted, and the watch tells of it at once; but its answer is an error.
    replica
        .link
        .inject(std::iter::repeat_n(Fault::ErrorAfter, 100_000));
    sleep(Duration::from_secs(60)).await;
    assert!(
        replica.link.calls() < 400,
        "{} calls in a minute",
        replica.link.calls()
    );
}

#[tokio::test(start_paused = true)]
async fn a_take_that_is_refused_without_a_reason_is_not_repeated_in_a_spin_and_can_be_stopped() {
    let cluster = TestCluster::new();
    let replica = cluster.start(a());
    // Every second call is a take that meets a conflict, and the read after it finds nothing new.
    replica
        .link
        .inject(std::iter::repeat_n(Fault::AlwaysConflict, 1));
    sleep(Duration::from_secs(60)).await;
    assert!(
        replica.link.calls() < 400,
        "{} calls in a minute",
        replica.link.calls()
    );
    replica.stop().await.unwrap();
}

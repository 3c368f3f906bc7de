//! Losing a term: by silence, by others, by the API; and what becomes of the replica afterwards.

use super::*;
use crate::clock::BootClock;

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_its_work_by_the_renew_deadline_and_contends_again() {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    let cut_at = Instant::now();
    leader.link.cut(true);
    cluster.until_leads("b", D + RP).await;
    let stopped = cluster.stints()[0].to.unwrap() - cut_at;
    assert!(
        stopped <= RD + MOMENT,
        "worked on for {stopped:?} without a renewal"
    );
    assert!(
        stopped > RD - RP - MOMENT,
        "gave up after {stopped:?} already"
    );

    leader.link.cut(false);
    sleep(Duration::from_secs(10)).await;
    leader.assert_follows("b");
    assert_eq!(cluster.pods_that_led(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_lost_leads_again_when_its_turn_comes() {
    let (cluster, first, second) = TestCluster::with_leader_and_standby().await;
    first.link.cut(true);
    cluster.until_leads("b", D + RP).await;
    first.link.cut(false);
    sleep(Duration::from_secs(5)).await;
    second.stop().await.unwrap();
    assert!(cluster.until_leads("a", D).await < MOMENT);
    assert_eq!(cluster.pods_that_led(), ["a", "b", "a"]);
    assert_eq!(
        cluster.api.writes().last().unwrap().transitions,
        2,
        "a to b and b to a; the release between them does not count"
    );
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_costs_nothing() {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    leader.link.cut(true);
    sleep(Duration::from_secs(7)).await;
    leader.link.cut(false);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.pods_that_led(), ["a"]);
}

/// An outage without answers ends at any moment of the calls that are made in vain meanwhile.
#[tokio::test(start_paused = true)]
async fn a_leader_alone_leads_again_as_soon_as_an_outage_ends() {
    for tenths in 0..40 {
        let (cluster, leader) = TestCluster::led_by(a()).await;
        leader.link.cut(true);
        sleep(D + Duration::from_millis(100 * tenths)).await;
        assert!(cluster.leading().is_none());
        leader.link.cut(false);
        cluster
            .until_leads("a", RP / 4 + Duration::from_millis(50))
            .await;
        assert_eq!(cluster.pods_that_led(), ["a", "a"]);
    }
}

#[tokio::test(start_paused = true)]
async fn an_outage_that_answers_at_once_is_not_stormed() {
    let (_cluster, leader) = TestCluster::led_by(a()).await;
    leader.link.inject(vec![Fault::ErrorBefore; 1000]);
    let before = leader.link.calls();
    let minute = Duration::from_mins(1);
    sleep(minute).await;
    let period = minute / (leader.link.calls() - before);
    // Takes and reads, each at the pace of what failed.
    assert!(period >= RP / 8, "a call every {period:?}");
    assert!(period <= RP, "a call every {period:?}");
}

#[rstest::rstest]
#[case::conflict(Fault::Conflict)]
#[case::error_before(Fault::ErrorBefore)]
#[case::error_after(Fault::ErrorAfter)]
#[case::hang(Fault::Hang)]
#[case::hang_after(Fault::HangAfter)]
#[tokio::test(start_paused = true)]
async fn one_failed_renewal_of_any_kind_does_not_cost_the_term(#[case] fault: Fault) {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    leader.link.inject([fault]);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.pods_that_led(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_holder_was_overwritten_stops_at_once() {
    let (cluster, leader) = TestCluster::led_by(a()).await;
    sleep(Duration::from_secs(5)).await;
    let overwritten = Instant::now();
    cluster.overwritten_by_a_stranger();
    sleep(Duration::from_millis(100)).await;
    assert!(cluster.leading().is_none());
    assert!(cluster.stints()[0].to.unwrap() - overwritten < Duration::from_millis(50));
    leader.assert_follows("stranger");
    assert!(
        cluster.until_leads("a", D + RP).await > D - RP,
        "the stranger's lease was not waited out"
    );
}

#[tokio::test(start_paused = true)]
async fn a_deleted_lease_ends_the_term_and_its_own_holder_makes_a_new_one() {
    let (cluster, _leader, _standby) = TestCluster::with_leader_and_standby().await;
    cluster.api.edit(|lease| *lease = None);
    sleep(Duration::from_secs(1)).await;
    assert_eq!(cluster.api.holder(), "a");
    assert_eq!(
        cluster.pods_that_led(),
        ["a", "a"],
        "the term that the Lease stood for has ended"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_deleted_under_a_leader_that_is_cut_off_is_waited_out() {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    leader.link.cut(true);
    cluster.api.edit(|lease| *lease = None);
    let took = cluster.until_leads("b", D + RP).await;
    assert!(took > D - RP - MOMENT, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn work_that_does_not_heed_the_end_is_dropped() {
    let (cluster, leader, _standby) = TestCluster::led_for_a_while_by(Options {
        heeds_the_end: false,
        ..a()
    })
    .await;
    leader.link.cut(true);
    cluster.until_leads("b", D + RP).await;
    assert!(!leader.task.is_empty(), "the replica goes on contending");
}

/// The one test that needs real time: only a thread that is stuck cannot be stopped, and it would hold up a paused
/// clock too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn work_that_cannot_be_stopped_ends_the_replica_before_the_lease_may_pass_on() {
    let api = MemoryApi::empty();
    let link = api.link("a");
    let seconds = Duration::from_secs;
    let lock = Lock {
        timing: Timing::new(seconds(3), seconds(2), seconds(1)).unwrap(),
        ..lock(
            &link,
            &Identity::of_new_process("a", "uid-a"),
            Arc::new(BootClock),
        )
    };
    let elector = Elector::new(lock, alone());
    let (unstick, stuck) = std::sync::mpsc::channel::<()>();
    let stuck = Arc::new(Mutex::new(stuck));
    let begun = Instant::now();
    let ended = elector.run(
        std::future::ready(()),
        CancellationToken::new(),
        move |_term| {
            let (stuck, link) = (Arc::clone(&stuck), link.clone());
            async move {
                link.cut(true);
                let _ = stuck.lock().unwrap().recv();
            }
        },
    );
    let error = ended.await.unwrap_err();
    drop(unstick);
    assert!(
        matches!(error, ElectorError::WorkOutlivedTerm(_)),
        "{error}"
    );
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn work_that_stops_by_itself_at_the_deadline_is_a_lost_term_and_not_a_failure() {
    let (cluster, mut leader) = TestCluster::led_by(Options {
        looks_every: Some(Duration::from_millis(10)),
        ..a()
    })
    .await;
    sleep(Duration::from_millis(4_500)).await;
    // The work looks at its term before any timer of the election is due.
    cluster.clock.suspend(Duration::from_secs(600));
    sleep(Duration::from_secs(10)).await;
    assert!(leader.task.try_join_next().is_none(), "the replica ended");
    assert_eq!(cluster.pods_that_led(), ["a", "a"]);
}

#[tokio::test(start_paused = true)]
async fn a_replica_whose_machine_was_suspended_steps_down_and_contends_again() {
    let (cluster, mut leader) = TestCluster::led_by(a()).await;
    sleep(Duration::from_secs(5)).await;
    cluster.clock.suspend(Duration::from_secs(600));
    sleep(Duration::from_secs(10)).await;
    assert_eq!(cluster.pods_that_led(), ["a", "a"]);
    assert!(leader.task.try_join_next().is_none(), "the replica ended");
}

#[tokio::test(start_paused = true)]
async fn a_duration_that_somebody_edits_is_put_right_before_a_standby_goes_by_it() {
    let (cluster, _leader, _standby) = TestCluster::with_leader_and_standby().await;
    cluster.edit_spec(|spec| spec.lease_duration_seconds = Some(1));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.pods_that_led(), ["a"]);
    assert_eq!(cluster.api.writes().last().unwrap().duration, 15);
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_that_finds_no_lease_gives_its_leader_the_time_to_notice() {
    let (cluster, leader) = TestCluster::led_by(a()).await;
    sleep(Duration::from_secs(5)).await;
    leader.link.silence_watches();
    cluster.api.edit(|lease| *lease = None);
    let _newcomer = cluster.start(b());
    // Two leaders at a time would fail the replicas.
    sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.pods_that_led()[..2], ["a", "a"]);
}

/// The watch and the next renewal would tell as well, but later: the fence knows first.
#[tokio::test(start_paused = true)]
async fn a_write_that_the_fence_refused_makes_the_leader_look_at_once() {
    let (cluster, leader) = TestCluster::led_by(Options {
        doubts_after: Some(Duration::from_millis(9_100)),
        ..a()
    })
    .await;
    leader.link.silence_watches();
    sleep(Duration::from_millis(8_600)).await;
    let overwritten = Instant::now();
    cluster.overwritten_by_a_stranger();
    sleep(Duration::from_millis(700)).await;
    let stopped = cluster.stints()[0].to.unwrap() - overwritten;
    assert!(stopped < Duration::from_millis(600), "{stopped:?}");
}

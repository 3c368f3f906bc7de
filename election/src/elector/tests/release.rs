//! Giving the Lease back: first the work, then the Lease, then the end.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::term::TermOver;

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_within_milliseconds() {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    leader.stop().await.unwrap();
    assert!(cluster.until_leads("b", RP).await < Duration::from_millis(50));
    let writes = cluster.api.writes();
    let released = writes.iter().find(|write| write.holder.is_empty()).unwrap();
    assert_eq!(
        (released.duration, released.transitions),
        (1, 0),
        "the duration is 1 and the transitions are kept"
    );
    assert_eq!(writes.last().unwrap().transitions, 1);
}

#[tokio::test(start_paused = true)]
async fn the_lease_is_released_only_after_the_work_has_drained_and_renewed_until_then() {
    let (cluster, leader, _standby) = TestCluster::led_for_a_while_by(Options {
        drains_for: Duration::from_secs(18),
        ..a()
    })
    .await;
    let asked = Instant::now();
    leader.stop().await.unwrap();
    assert!(asked.elapsed() >= Duration::from_secs(18));
    assert!(cluster.stints()[0].to.unwrap() <= Instant::now());
    cluster.until_leads("b", RP).await;
    assert_eq!(cluster.pods_that_led(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn work_that_does_not_drain_in_time_is_dropped_before_the_release() {
    let (cluster, leader, _standby) = TestCluster::led_for_a_while_by(Options {
        heeds_the_end: false,
        drain_timeout: Duration::from_secs(7),
        ..a()
    })
    .await;
    let asked = Instant::now();
    leader.stop().await.unwrap();
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    cluster.until_leads("b", RP).await;
}

#[rstest::rstest]
#[case::conflict(&[Fault::Conflict])]
#[case::error_before(&[Fault::ErrorBefore])]
#[case::error_after(&[Fault::ErrorAfter])]
#[case::hang(&[Fault::Hang])]
#[case::hang_after(&[Fault::HangAfter])]
#[case::twice(&[Fault::ErrorBefore, Fault::ErrorBefore, Fault::Conflict])]
#[tokio::test(start_paused = true)]
async fn a_release_that_fails_is_tried_again(#[case] faults: &[Fault]) {
    let (cluster, leader) = TestCluster::led_by(a()).await;
    let _standby = cluster.start(b());
    // Right after a renewal, so that the next calls are those of the release.
    sleep(Duration::from_millis(4_100)).await;
    leader.link.inject(faults.iter().copied());
    leader.stop().await.unwrap();
    assert!(cluster.until_leads("b", RP).await < Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn a_leader_cut_off_ends_without_a_release_within_its_grace_period() {
    let (_cluster, leader) = TestCluster::led_by(a()).await;
    sleep(Duration::from_secs(5)).await;
    leader.link.cut(true);
    let asked = Instant::now();
    leader.stop().await.unwrap();
    let took = asked.elapsed();
    assert!(took <= Duration::from_secs(6), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_standby_that_is_stopped_leaves_the_lease_alone() {
    let (cluster, _leader, standby) = TestCluster::with_leader_and_standby().await;
    standby.stop().await.unwrap();
    assert!(cluster.api.writes().iter().all(|write| write.by == "a"));
}

#[tokio::test(start_paused = true)]
async fn work_that_ends_by_itself_gives_the_lease_back_and_ends_the_replica() {
    let cluster = TestCluster::new();
    let link = cluster.api.link("a");
    let me = Identity::of_new_process("a", "uid-a");
    let elector = Elector::new(lock(&link, &me, cluster.clock.clone()), alone());
    let refused = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&refused);
    let ended = elector.run(
        std::future::ready(()),
        CancellationToken::new(),
        move |term: Term| {
            let seen = Arc::clone(&seen);
            async move {
                sleep(Duration::from_secs(5)).await;
                seen.store(
                    matches!(term.check(), Err(TermOver::Ended(_))),
                    Ordering::SeqCst,
                );
            }
        },
    );
    let error = ended.await.unwrap_err();
    assert!(matches!(error, ElectorError::WorkStopped(_)), "{error}");
    assert_eq!(cluster.api.holder(), "");
    assert!(
        !refused.load(Ordering::SeqCst),
        "the term was live while the work ran"
    );
}

#[tokio::test(start_paused = true)]
async fn a_term_lost_during_the_shutdown_is_the_last() {
    let (cluster, mut leader) = TestCluster::led_by(Options {
        drains_for: Duration::from_secs(18),
        ..a()
    })
    .await;
    sleep(Duration::from_secs(5)).await;
    leader.shutdown.cancel();
    sleep(Duration::from_secs(1)).await;
    cluster.api.edit(|lease| *lease = None);
    let begun = Instant::now();
    leader.ended().await.unwrap();
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert_eq!(cluster.pods_that_led(), ["a"]);
}

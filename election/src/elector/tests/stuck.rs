//! A leader that renews but whose work makes no progress.

use super::*;
use crate::{elector::events::News, record::Cause};

fn goes_on(setup: Options, every: Duration) -> Options {
    Options {
        progress_every: Some(every),
        ..setup
    }
}

#[tokio::test(start_paused = true)]
async fn work_that_hangs_ends_its_term_and_another_replica_leads() {
    let cluster = TestCluster::new();
    let second = Duration::from_secs(1);
    let mut leader = cluster.start(Options {
        hangs_after: Duration::from_mins(5),
        ..goes_on(a(), second)
    });
    cluster.until_leads("a", FIRST).await;
    let _standby = cluster.start(goes_on(b(), second));
    sleep(Duration::from_mins(5) - second).await;
    assert_eq!(cluster.leading().as_deref(), Some("a"));
    let lasted = cluster
        .until_leads("b", STUCK_AFTER + Duration::from_secs(3))
        .await;
    assert!(lasted >= STUCK_AFTER - second, "{lasted:?}");
    let error = leader.ended().await.unwrap_err();
    assert!(matches!(error, ElectorError::WorkStuck(_)), "{error}");
    assert_eq!(leader.recorder.told().ended, [Cause::WorkStuck]);
    let (news, cause) = (leader.news(), Cause::WorkStuck);
    assert!(news.contains(&News::Lost { cause }), "{news:?}");
    sleep(Duration::from_mins(10)).await;
    assert_eq!(cluster.pods_that_led(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn work_that_is_slow_but_goes_on_keeps_the_lease() {
    let (cluster, _leader) =
        TestCluster::led_by(goes_on(a(), STUCK_AFTER - Duration::from_secs(5))).await;
    let _standby = cluster.start(goes_on(b(), Duration::from_secs(1)));
    sleep(Duration::from_hours(2)).await;
    assert_eq!(cluster.pods_that_led(), ["a"]);
}

#[tokio::test(start_paused = true)]
async fn a_drain_that_takes_longer_is_not_taken_for_work_that_hangs() {
    let (_cluster, leader) = TestCluster::led_by(Options {
        drains_for: STUCK_AFTER * 2,
        drain_timeout: STUCK_AFTER * 3,
        ..goes_on(a(), Duration::from_secs(1))
    })
    .await;
    let begun = Instant::now();
    leader.stop().await.unwrap();
    assert!(begun.elapsed() >= STUCK_AFTER * 2);
}

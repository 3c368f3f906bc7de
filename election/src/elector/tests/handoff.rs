//! Giving the Lease to somebody: the named successor goes first, and holds nobody up.

use super::*;

/// A pod of a new template.
fn new_c() -> Options {
    Options {
        template: "new",
        created: 9,
        ..pod("c", "uid-c")
    }
}

fn successor(cluster: &TestCluster) -> Option<String> {
    let annotations = cluster.api.lease()?.metadata.annotations?;
    annotations.get("example.com/successor").cloned()
}

#[tokio::test(start_paused = true)]
async fn in_a_rolling_update_leadership_moves_once_and_to_the_new_template() {
    let (cluster, leader, old_standby) = TestCluster::with_leader_and_standby().await;
    let _new = cluster.start(new_c());
    sleep(Duration::from_secs(5)).await;
    leader.stop().await.unwrap();
    assert!(cluster.until_leads("c", RP).await < Duration::from_millis(50));
    old_standby.stop().await.unwrap();
    sleep(Duration::from_secs(30)).await;
    assert_eq!(cluster.pods_that_led(), ["a", "c"]);
    assert_eq!(successor(&cluster), None, "a held Lease names no successor");
}

#[tokio::test(start_paused = true)]
async fn a_successor_that_is_gone_holds_nobody_up_for_more_than_a_retry_period() {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    cluster.start(new_c()).crash();
    leader.stop().await.unwrap();
    assert_eq!(successor(&cluster).as_deref(), Some("c"));
    let took = cluster.until_leads("b", D).await;
    assert!(took <= RP + Duration::from_millis(50), "{took:?}");
    assert!(took > RP - Duration::from_millis(50), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_successor_that_wakes_up_late_takes_nothing_back() {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    let _slow = cluster.start(Options {
        ready_after: Duration::from_secs(20),
        ..new_c()
    });
    leader.stop().await.unwrap();
    cluster.until_leads("b", D).await;
    sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.pods_that_led(), ["a", "b"]);
}

#[tokio::test(start_paused = true)]
async fn when_the_pods_cannot_be_listed_the_lease_is_released_all_the_same() {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    cluster.around.answer_no_lists();
    let asked = Instant::now();
    leader.stop().await.unwrap();
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(1), "{took:?}");
    assert!(cluster.until_leads("b", RP).await < Duration::from_millis(50));
}

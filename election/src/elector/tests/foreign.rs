//! From when a leader may write to other clusters, where no fence holds an earlier one back.

use super::{
    hint::{hinted, leader_and_standby},
    *,
};

fn stated(cluster: &TestCluster) -> Option<String> {
    let annotations = cluster.api.lease()?.metadata.annotations?;
    annotations.get("example.com/unproven-seconds").cloned()
}

/// The connection to `old` is lost although its process may live on, and `new` leads.
async fn takes_on_a_hint(cluster: &TestCluster, old: Replica, new: &str) {
    cluster.lost(old);
    cluster.until_leads(new, RP).await;
}

#[tokio::test(start_paused = true)]
async fn a_take_that_is_no_guess_allows_it_at_once() {
    let (cluster, leader, _standby) = leader_and_standby().await;
    assert_eq!(cluster.foreign_wait(), Some(Duration::ZERO));
    leader.stop().await.unwrap();
    cluster.until_leads("b", RP).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(cluster.foreign_wait(), Some(Duration::ZERO));
    assert_eq!(stated(&cluster), None);
}

#[tokio::test(start_paused = true)]
async fn a_take_on_a_hint_allows_it_when_the_record_of_the_predecessor_has_run_out() {
    let (cluster, leader, _standby) = leader_and_standby().await;
    takes_on_a_hint(&cluster, leader, "b").await;
    sleep(D - RP - MOMENT).await;
    assert_eq!(cluster.foreign_wait(), None);
    assert!(stated(&cluster).is_some());
    sleep(RP + RP).await;
    let waited = cluster.foreign_wait().unwrap();
    assert!(waited > D - RP - MOMENT && waited <= D, "{waited:?}");
    assert_eq!(stated(&cluster), None, "a renewal says that it is over");
}

#[tokio::test(start_paused = true)]
async fn a_take_on_a_hint_allows_it_as_soon_as_the_death_is_proven() {
    let (cluster, leader, _standby) = leader_and_standby().await;
    let first = leader.me.clone();
    takes_on_a_hint(&cluster, leader, "b").await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(cluster.foreign_wait(), None);
    cluster.around.report_dead(&first, &last_words(&first));
    sleep(Duration::from_millis(10)).await;
    assert!(cluster.foreign_wait().unwrap() < Duration::from_millis(1_020));
    sleep(RP).await;
    assert_eq!(stated(&cluster), None);
}

#[tokio::test(start_paused = true)]
async fn another_lost_connection_proves_nothing() {
    let (mut cluster, leader, _standby) = leader_and_standby().await;
    cluster.forged = true;
    takes_on_a_hint(&cluster, leader, "b").await;
    cluster.around.edit("a", |pod| {
        let status = pod.as_mut().unwrap().status.as_mut().unwrap();
        status.pod_ip = Some("192.0.2.9".to_owned());
    });
    sleep(D / 2).await;
    assert_eq!(cluster.foreign_wait(), None);
    assert!(stated(&cluster).is_some());
}

/// What is proven of the one in between, or that it gave the Lease back, says nothing about the one before it.
#[rstest::rstest]
#[case::released(true)]
#[case::dead(false)]
#[tokio::test(start_paused = true)]
async fn whoever_follows_on_a_take_on_a_hint_goes_on_with_the_wait(#[case] released: bool) {
    let (cluster, leader, standby) = leader_and_standby().await;
    let silent_since = Instant::now() - RP;
    takes_on_a_hint(&cluster, leader, "b").await;
    let third = cluster.start(hinted(pod("c", "uid-c")));
    sleep(RP + Duration::from_secs(1)).await;
    if released {
        standby.stop().await.unwrap();
    } else {
        cluster.dies(standby);
    }
    cluster.until_leads("c", RP + RP).await;
    sleep(RP).await;
    assert_eq!(cluster.foreign_wait(), None);
    sleep(D).await;
    let waited = cluster.foreign_wait().unwrap();
    let led = cluster.stints().last().unwrap().from;
    // Never sooner than the first record runs out, and by rounding and one renewal later at most.
    let allowed = led + waited - silent_since;
    assert!(allowed >= D && allowed <= D + RP + RP, "{allowed:?}");
    drop(third);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_takes_its_own_lease_again_goes_on_with_the_wait() {
    let (cluster, leader, standby) = leader_and_standby().await;
    takes_on_a_hint(&cluster, leader, "b").await;
    let begun = Instant::now();
    standby.link.cut(true);
    sleep(RD + Duration::from_secs(1)).await;
    standby.link.cut(false);
    sleep(Duration::from_millis(500)).await;
    let stints = cluster.stints();
    assert_eq!(cluster.pods_that_led(), ["a", "b", "b"]);
    assert_eq!(stints[2].to, None);
    assert_eq!(cluster.foreign_wait(), None);
    sleep(RP + RP).await;
    let stint = cluster.stints().pop().unwrap();
    assert!(stint.foreign.unwrap() - begun > D - RP - MOMENT);
}

/// An edit must not block the work indefinitely.
#[rstest::rstest]
#[case::absurd("99999999999", 3600)]
#[case::no_number("soon", 15)]
#[tokio::test(start_paused = true)]
async fn what_somebody_writes_into_the_lease_is_waited_for_a_bounded_time(
    #[case] text: &str,
    #[case] seconds: u64,
) {
    let (cluster, leader) = TestCluster::led_by(a()).await;
    leader.crash();
    cluster.api.edit(|lease| {
        let lease = lease.as_mut().unwrap();
        let annotations = lease.metadata.annotations.get_or_insert_default();
        annotations.insert("example.com/unproven-seconds".to_owned(), text.to_owned());
        lease.spec.as_mut().unwrap().holder_identity = Some(String::new());
    });
    let edited = Instant::now();
    let _standby = cluster.start(b());
    cluster.until_leads("b", D + RP).await;
    sleep(Duration::from_secs(3700)).await;
    let stint = cluster.stints().pop().unwrap();
    let waited = stint.foreign.unwrap() - edited;
    assert!(
        waited >= Duration::from_secs(seconds) && waited < Duration::from_secs(seconds) + D + RP,
        "{waited:?}"
    );
}

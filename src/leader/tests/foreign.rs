//! From when a leader may write to other clusters, where no fence holds an earlier one back.

use super::{
    hint::{hinted, leader_and_standby},
    *,
};
use crate::leader::record::UNPROVEN;

fn stated(scene: &Scene) -> Option<String> {
    let annotations = scene.api.lease()?.metadata.annotations?;
    annotations.get(UNPROVEN).cloned()
}

/// The connection to `old` is lost although its process may live on, and `new` leads.
async fn takes_on_a_hint(scene: &Scene, old: Replica, new: &str) {
    let me = old.me.clone();
    old.crash();
    scene.around.lose(&me.incarnation);
    scene.until_leads(new, RP).await;
}

#[tokio::test(start_paused = true)]
async fn a_take_that_is_no_guess_allows_it_at_once() {
    let (scene, leader, _standby) = leader_and_standby().await;
    assert_eq!(scene.foreign_wait(), Some(Duration::ZERO));
    leader.stop().await.unwrap();
    scene.until_leads("b", RP).await;
    sleep(Duration::from_millis(1)).await;
    assert_eq!(scene.foreign_wait(), Some(Duration::ZERO));
    assert_eq!(stated(&scene), None);
}

#[tokio::test(start_paused = true)]
async fn a_take_on_a_hint_allows_it_when_the_record_of_the_predecessor_has_run_out() {
    let (scene, leader, _standby) = leader_and_standby().await;
    takes_on_a_hint(&scene, leader, "b").await;
    sleep(D - RP - Duration::from_millis(100)).await;
    assert_eq!(scene.foreign_wait(), None);
    assert!(stated(&scene).is_some());
    sleep(RP + RP).await;
    let waited = scene.foreign_wait().unwrap();
    assert!(
        waited > D - RP - Duration::from_millis(100) && waited <= D,
        "{waited:?}"
    );
    assert_eq!(stated(&scene), None, "a renewal says that it is over");
}

#[tokio::test(start_paused = true)]
async fn a_take_on_a_hint_allows_it_as_soon_as_the_death_is_proven() {
    let (scene, leader, _standby) = leader_and_standby().await;
    let first = leader.me.clone();
    takes_on_a_hint(&scene, leader, "b").await;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(scene.foreign_wait(), None);
    scene
        .around
        .report_dead(&first, &first.incarnation.nonce.to_string());
    sleep(Duration::from_millis(10)).await;
    assert!(scene.foreign_wait().unwrap() < Duration::from_millis(1_020));
    sleep(RP).await;
    assert_eq!(stated(&scene), None);
}

#[tokio::test(start_paused = true)]
async fn another_lost_connection_proves_nothing() {
    let (mut scene, leader, _standby) = leader_and_standby().await;
    scene.forged = true;
    takes_on_a_hint(&scene, leader, "b").await;
    scene.around.edit("a", |pod| {
        let status = pod.as_mut().unwrap().status.as_mut().unwrap();
        status.pod_ip = Some("192.0.2.9".to_owned());
    });
    sleep(D / 2).await;
    assert_eq!(scene.foreign_wait(), None);
    assert!(stated(&scene).is_some());
}

/// What is proven of the one in between, or that it gave the Lease back, says nothing about the one before it.
#[rstest::rstest]
#[case::released(true)]
#[case::dead(false)]
#[tokio::test(start_paused = true)]
async fn whoever_follows_on_a_take_on_a_hint_goes_on_with_the_wait(#[case] released: bool) {
    let (scene, leader, standby) = leader_and_standby().await;
    let silent_since = Instant::now() - RP;
    takes_on_a_hint(&scene, leader, "b").await;
    let third = scene.start(hinted(pod("c", "uid-c")));
    sleep(RP + Duration::from_secs(1)).await;
    if released {
        standby.stop().await.unwrap();
    } else {
        let second = standby.me.clone();
        standby.crash();
        scene
            .around
            .report_dead(&second, &second.incarnation.nonce.to_string());
    }
    scene.until_leads("c", RP + RP).await;
    sleep(RP).await;
    assert_eq!(scene.foreign_wait(), None);
    sleep(D).await;
    let waited = scene.foreign_wait().unwrap();
    let led = scene.stints().last().unwrap().from;
    // Never sooner than the first record runs out, and by rounding and one renewal later at most.
    let allowed = led + waited - silent_since;
    assert!(allowed >= D && allowed <= D + RP + RP, "{allowed:?}");
    drop(third);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_takes_its_own_lease_again_goes_on_with_the_wait() {
    let (scene, leader, standby) = leader_and_standby().await;
    takes_on_a_hint(&scene, leader, "b").await;
    let begun = Instant::now();
    standby.link.cut(true);
    sleep(RD + Duration::from_secs(1)).await;
    standby.link.cut(false);
    sleep(Duration::from_millis(500)).await;
    let stints = scene.stints();
    assert_eq!(scene.pods_that_led(), ["a", "b", "b"]);
    assert_eq!(stints[2].to, None);
    assert_eq!(scene.foreign_wait(), None);
    sleep(RP + RP).await;
    let stint = scene.stints().pop().unwrap();
    assert!(stint.foreign.unwrap() - begun > D - RP - Duration::from_millis(100));
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
    let scene = Scene::new();
    let leader = scene.start(a());
    scene.until_leads("a", FIRST).await;
    leader.crash();
    scene.api.edit(|lease| {
        let lease = lease.as_mut().unwrap();
        let annotations = lease.metadata.annotations.get_or_insert_default();
        annotations.insert(UNPROVEN.to_owned(), text.to_owned());
        lease.spec.as_mut().unwrap().holder_identity = Some(String::new());
    });
    let edited = Instant::now();
    let _standby = scene.start(b());
    scene.until_leads("b", D + RP).await;
    sleep(Duration::from_secs(3700)).await;
    let stint = scene.stints().pop().unwrap();
    let waited = stint.foreign.unwrap() - edited;
    assert!(
        waited >= Duration::from_secs(seconds) && waited < Duration::from_secs(seconds) + D + RP,
        "{waited:?}"
    );
}

//! Taking the Lease from a process that is proven to be dead, and from no other.

use super::*;
use k8s_openapi::api::core::v1::Pod;

fn takeover(cluster: &TestCluster) -> Option<String> {
    let annotations = cluster.api.lease()?.metadata.annotations?;
    annotations.get("example.com/takeover").cloned()
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_last_words_are_reported_is_replaced_at_once() {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    let me = leader.me.clone();
    leader.crash();
    sleep(Duration::from_millis(600)).await;
    cluster.around.report_dead(&me, &last_words(&me));
    assert!(cluster.until_leads("b", RP).await < Duration::from_millis(20));
    assert_eq!(takeover(&cluster).as_deref(), Some("proof"));
    assert_eq!(cluster.api.writes().last().unwrap().transitions, 1);
}

#[tokio::test(start_paused = true)]
async fn proof_that_was_there_before_the_standby_counts_too() {
    let (cluster, leader) = TestCluster::led_by(a()).await;
    cluster.dies(leader);
    let _newcomer = cluster.start(b());
    assert!(cluster.until_leads("b", RP).await < Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn proof_that_comes_while_the_caches_sync_is_acted_on_when_they_have() {
    let (cluster, leader) = TestCluster::led_by(a()).await;
    let _cold = cluster.start(Options {
        ready_after: Duration::from_secs(4),
        ..b()
    });
    cluster.dies(leader);
    sleep(Duration::from_millis(3_990)).await;
    assert!(cluster.leading().is_none());
    assert!(cluster.until_leads("b", RP).await < Duration::from_millis(50));
}

#[rstest::rstest]
#[case::the_pod_object_is_gone(|pod: &mut Option<Pod>| *pod = None)]
#[case::the_pod_is_being_deleted(|pod: &mut Option<Pod>| {
    let now = serde_json::json!("2026-03-02T08:50:00Z");
    pod.as_mut().unwrap().metadata.deletion_timestamp = serde_json::from_value(now).unwrap();
})]
#[case::the_phase_is_failed(|pod: &mut Option<Pod>| {
    let status = pod.as_mut().unwrap().status.as_mut().unwrap();
    (status.phase, status.reason) = (Some("Failed".into()), Some("NodeLost".into()));
})]
#[case::the_node_is_not_ready(|pod: &mut Option<Pod>| {
    let status = pod.as_mut().unwrap().status.as_mut().unwrap();
    status.conditions.as_mut().unwrap()[0].status = "False".into();
})]
#[tokio::test(start_paused = true)]
async fn what_is_no_proof_is_waited_out(#[case] change: fn(&mut Option<Pod>)) {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    leader.link.cut(true);
    cluster.around.edit("a", change);
    let took = cluster.until_leads("b", D + RP).await;
    assert!(took > D - RP - MOMENT, "{took:?}");
    assert_eq!(takeover(&cluster).as_deref(), Some("expired"));
}

#[tokio::test(start_paused = true)]
async fn the_last_words_of_an_earlier_life_do_not_touch_the_present_one() {
    let (cluster, first_life, _standby) = TestCluster::with_leader_and_standby().await;
    let before = first_life.me.clone();
    first_life.crash();
    sleep(Duration::from_millis(100)).await;
    let _second_life = cluster.start(a());
    cluster.until_leads("a", RP).await;
    cluster.around.report_dead(&before, &last_words(&before));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.pods_that_led(), ["a", "a"]);
}

#[tokio::test(start_paused = true)]
async fn the_death_of_the_one_before_says_nothing_of_a_stranger_beside_its_incarnation() {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    let me = leader.me.clone();
    cluster.overwritten_by_a_stranger();
    sleep(Duration::from_secs(1)).await;
    leader.crash();
    cluster.around.report_dead(&me, &last_words(&me));
    let took = cluster.until_leads("b", D + RP).await;
    assert!(took > D - RP, "{took:?}");
    assert_eq!(takeover(&cluster).as_deref(), Some("expired"));
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_comes_back_after_a_stranger_is_followed_under_its_own_name() {
    let (cluster, leader) = TestCluster::led_by(a()).await;
    cluster.overwritten_by_a_stranger();
    sleep(Duration::from_secs(5)).await;
    let _newcomer = cluster.start(b());
    cluster.until_leads("a", D + RP).await;
    cluster.dies(leader);
    assert!(cluster.until_leads("b", RP).await < Duration::from_millis(50));
}

#[tokio::test(start_paused = true)]
async fn a_proof_and_a_restart_at_once_make_one_leader() {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    let me = leader.me.clone();
    leader.crash();
    let _again = cluster.start(a());
    cluster.around.report_dead(&me, &last_words(&me));
    sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.pods_that_led().len(), 2, "{:?}", cluster.stints());
}

//! Acting on a hint: fast where the fence stands, not at all where it does not, and damped where hints are wrong.

use super::*;
use logged::Logged;

pub(super) fn hinted(setup: Options) -> Options {
    Options {
        hints: true,
        ..setup
    }
}

pub(super) async fn leader_and_standby() -> (TestCluster, Replica, Replica) {
    let (cluster, leader) = TestCluster::led_by(hinted(a())).await;
    let standby = cluster.start(hinted(b()));
    sleep(Duration::from_secs(5)).await;
    (cluster, leader, standby)
}

#[tokio::test(start_paused = true)]
async fn a_lost_connection_moves_the_lease_in_milliseconds_while_the_fence_stands() {
    let (cluster, leader, _standby) = leader_and_standby().await;
    cluster.lost(leader);
    assert!(cluster.until_leads("b", RP).await < Duration::from_millis(20));
    assert_eq!(cluster.around.fence_asked(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_a_leader_that_gave_the_lease_back_is_no_hint_and_no_warning() {
    let (cluster, mut leader, _standby) = leader_and_standby().await;
    let logged = Logged::from_now_on();
    let me = leader.me.clone();
    leader.shutdown.cancel();
    leader.ended().await.unwrap();
    cluster.until_leads("b", RP).await;
    cluster.around.lose(&me.incarnation);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(cluster.around.fence_asked(), 0);
    assert_eq!(logged.with("WARN"), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn without_the_fence_a_lost_connection_is_no_reason() {
    let (cluster, leader, _standby) = leader_and_standby().await;
    cluster.around.fence_stands(false);
    cluster.lost(leader);
    assert!(cluster.until_leads("b", D + RP).await > D - RP - MOMENT);
}

#[tokio::test(start_paused = true)]
async fn where_hints_are_off_the_fence_is_not_asked() {
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    cluster.around.lose(&leader.me.incarnation);
    sleep(Duration::from_secs(60)).await;
    assert_eq!(
        (cluster.around.fence_asked(), cluster.pods_that_led().len()),
        (0, 1)
    );
}

/// Whoever can forge hints forges one for every process that leads, at once and all the time.
#[tokio::test(start_paused = true)]
async fn forged_hints_move_the_lease_ever_less_often() {
    let (mut cluster, first, second) = leader_and_standby().await;
    cluster.forged = true;
    let lives = [first.me.incarnation.clone(), second.me.incarnation.clone()];
    for life in &lives {
        cluster.around.lose(life);
    }
    let hops = |from: usize| cluster.pods_that_led().len() - from;
    sleep(Duration::from_secs(1)).await;
    assert_eq!(hops(1), 1, "leadership may move once");
    sleep(Duration::from_secs(599)).await;
    let early = hops(1);
    sleep(Duration::from_secs(600)).await;
    let late = hops(1 + early);
    assert!(early <= 14 && late < early, "{early} hops, then {late}");
}

#[tokio::test(start_paused = true)]
async fn a_term_that_was_taken_on_an_unproven_hint_is_spared_by_every_replica() {
    let (cluster, leader, standby) = leader_and_standby().await;
    cluster.lost(leader);
    cluster.until_leads("b", RP).await;
    let _third = cluster.start(hinted(pod("c", "uid-c")));
    sleep(RP + Duration::from_secs(1)).await;
    cluster.lost(standby);
    assert!(cluster.until_leads("c", D + RP).await > D - RP - RP);
}

#[tokio::test(start_paused = true)]
async fn a_hint_that_is_proven_right_damps_nothing() {
    let (cluster, leader, standby) = leader_and_standby().await;
    let first = leader.me.clone();
    leader.crash();
    cluster.around.lose(&first.incarnation);
    cluster.until_leads("b", RP).await;
    cluster.around.report_dead(&first, &last_words(&first));
    let _third = cluster.start(hinted(pod("c", "uid-c")));
    // The proof is in the Lease with the next renewal, long before the lease duration for which a hint is spared.
    sleep(RP + Duration::from_secs(1)).await;
    cluster.lost(standby);
    assert!(cluster.until_leads("c", RP).await < Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn the_leader_is_looked_for_at_every_address_of_its_pod_in_their_order() {
    let (cluster, _leader, _standby) = leader_and_standby().await;
    assert_eq!(cluster.around.looked_at(), ["10.0.0.1", "fd00::1"]);
    let readdress = |reported: serde_json::Value| {
        cluster.around.edit("a", |pod| {
            let status = pod.as_mut().unwrap().status.as_mut().unwrap();
            status.pod_ips = serde_json::from_value(reported).unwrap();
        });
    };
    readdress(serde_json::json!([{"ip": "fd00::2"}]));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(cluster.around.looked_at(), ["fd00::2"]);
    readdress(serde_json::json!(null));
    sleep(Duration::from_secs(1)).await;
    assert_eq!(cluster.around.looked_at(), ["fd00::2"], "none is reported");
}

//! What is told of a failover, from both sides: Events and metrics.

use kube::client::Body;
use logged::Logged;

use super::*;
use crate::{
    elector::events::News,
    record::{Cause, Reason},
};

impl Replica {
    pub(super) fn news(&mut self) -> Vec<News> {
        let told = std::iter::from_fn(|| self.announcements.receiver.try_recv().ok());
        told.map(|announcement| announcement.news).collect()
    }
}

/// A write that the API server accepts.
pub(super) async fn write(term: &Term) {
    let accepts = tower::service_fn(|_: http::Request<Body>| async {
        Ok::<_, tower::BoxError>(http::Response::new(Body::empty()))
    });
    let client = term.client(kube::Client::new(accepts, "n"));
    let request = http::Request::put("/api/v1/namespaces/n/configmaps/a");
    client
        .send(request.body(Body::empty()).unwrap())
        .await
        .unwrap();
}

pub(super) fn acquired(reason: Reason, previous: Option<&str>) -> News {
    News::Acquired {
        reason,
        previous: previous.map(str::to_owned),
    }
}

#[tokio::test(start_paused = true)]
async fn a_release_is_told_by_the_one_that_gives_and_by_the_one_that_takes() {
    let (cluster, mut leader, mut standby) = TestCluster::with_leader_and_standby().await;
    leader.shutdown.cancel();
    leader.ended().await.unwrap();
    cluster.until_leads("b", RP).await;
    assert_eq!(
        leader.news(),
        [
            acquired(Reason::Released, None),
            News::Released {
                successor: Some("b".to_owned())
            }
        ]
    );
    assert_eq!(standby.news(), [acquired(Reason::Released, Some("a"))]);
    assert_eq!(leader.recorder.told().ended, [Cause::Released]);
    let lease_failover = standby.recorder.told().lease_failover.unwrap();
    assert!(
        lease_failover < Duration::from_millis(50),
        "counted from the release: {lease_failover:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_loss_is_told_by_both_sides_with_its_cause_and_its_silence() {
    let (cluster, mut leader, mut standby) = TestCluster::with_leader_and_standby().await;
    leader.link.cut(true);
    cluster.until_leads("b", D + RP).await;
    assert_eq!(
        leader.news()[1..],
        [News::Lost {
            cause: Cause::Deadline
        }]
    );
    assert_eq!(standby.news(), [acquired(Reason::Expired, Some("a"))]);
    assert_eq!(leader.recorder.told().ended, [Cause::Deadline]);
    let lease_failover = standby.recorder.told().lease_failover.unwrap();
    assert!(
        (D..D + MOMENT).contains(&lease_failover),
        "counted from the last renewal that was seen: {lease_failover:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_taken_away_is_a_loss_and_not_a_deadline() {
    let (cluster, mut leader) = TestCluster::led_by(a()).await;
    cluster.overwritten_by_a_stranger();
    sleep(Duration::from_secs(1)).await;
    assert_eq!(leader.news()[1..], [News::Lost { cause: Cause::Lost }]);
    assert_eq!(leader.recorder.told().ended, [Cause::Lost]);
}

#[tokio::test(start_paused = true)]
async fn every_renewal_is_measured_and_moves_the_end_of_the_term() {
    let (_cluster, leader) = TestCluster::led_by(a()).await;
    let first = leader.recorder.told().deadline.unwrap();
    sleep(Duration::from_secs(9)).await;
    assert_eq!(leader.recorder.told().renewals, 4);
    let moved = leader.recorder.told().deadline.unwrap().since(first);
    assert!(moved >= 4 * RP, "{moved:?}");
    leader.link.cut(true);
    sleep(RD + RP).await;
    assert_eq!(leader.recorder.told().deadline, None, "the term has ended");
}

#[tokio::test(start_paused = true)]
async fn the_work_failover_counts_from_the_same_sign_of_life_to_the_first_accepted_write() {
    let (cluster, leader) = TestCluster::led_by(a()).await;
    let standby = cluster.start(Options {
        writes_after: Some(Duration::from_millis(700)),
        ..b()
    });
    sleep(Duration::from_secs(5)).await;
    leader.stop().await.unwrap();
    cluster.until_leads("b", RP).await;
    sleep(Duration::from_millis(600)).await;
    assert_eq!(standby.recorder.told().work_failover, None, "not yet");
    sleep(Duration::from_secs(1)).await;
    let told = standby.recorder.told();
    let (lease, work) = (told.lease_failover.unwrap(), told.work_failover.unwrap());
    let between = Duration::from_millis(700)..Duration::from_millis(750);
    assert!(between.contains(&(work - lease)), "{lease:?} and {work:?}");
}

#[track_caller]
fn assert_fields(line: &serde_json::Value, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(line[name], *value, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_tells_a_failover_from_both_sides() {
    let log = Logged::from_now_on();
    let (cluster, leader, _standby) = TestCluster::with_leader_and_standby().await;
    let fields = log.fields("standing by");
    assert_fields(&fields, &[("lease", "l"), ("holder", "a")]);

    leader.link.cut(true);
    cluster.until_leads("b", D + RP).await;
    let lost = log.fields("stepped down");
    assert_fields(&lost, &[("holder", "a"), ("cause", "deadline")]);
    assert!(lost["silence_ms"].as_u64().unwrap() >= 10_000, "{lost}");
    let taken = log.fields("took the Lease");
    assert_fields(&taken, &[("lease", "l"), ("holder", "b")]);
    assert_fields(&taken, &[("previous_holder", "a"), ("reason", "expired")]);
    assert_eq!(taken["transitions"], 1);
    let (silence, failover) = (&taken["silence_ms"], &taken["lease_failover_ms"]);
    assert!(silence.as_u64().unwrap() >= 15_000, "{taken}");
    assert!(failover.as_u64() >= silence.as_u64(), "{taken}");
}

#[tokio::test(start_paused = true)]
async fn the_log_names_the_one_to_whom_a_term_was_lost() {
    let log = Logged::from_now_on();
    let (cluster, _leader, _standby) = TestCluster::with_leader_and_standby().await;
    cluster.overwritten_by_a_stranger();
    sleep(Duration::from_secs(1)).await;
    let lost = log.fields("stepped down");
    assert_fields(&lost, &[("holder", "a"), ("cause", "lost")]);
    assert_fields(&lost, &[("successor", "stranger")]);
}

#[tokio::test(start_paused = true)]
async fn a_duration_that_no_replica_writes_is_told_once_and_waited_for_a_bounded_time() {
    let log = Logged::from_now_on();
    let (cluster, mut replica) = TestCluster::led_by(a()).await;
    for renewal in 0..10 {
        cluster.api.edit(|lease| {
            let lease = lease.as_mut().unwrap();
            lease.metadata.annotations = None;
            let spec = lease.spec.as_mut().unwrap();
            spec.holder_identity = Some("stranger".into());
            spec.lease_duration_seconds = Some(2_000_000_000);
            spec.lease_transitions = Some(renewal);
        });
        sleep(RP).await;
    }
    let took = cluster.until_leads("a", 11 * D).await;
    assert!(took > 10 * D - RP - RP, "{took:?}");
    let bounded: Vec<News> = replica
        .news()
        .into_iter()
        .filter(|news| matches!(news, News::Bounded { .. }))
        .collect();
    assert_eq!(
        bounded,
        [News::Bounded {
            holder: "stranger".to_owned(),
            stated: Some(2_000_000_000),
            waited: 10 * D,
        }]
    );
    let message = "the leaseDurationSeconds of the Lease is none that a replica writes: it is waited for a bounded time";
    assert_eq!(log.with(message).len(), 1);
}

//! What is told of a failover, from both sides: Events and metrics.

use kube::client::Body;

use super::*;
use crate::leader::{
    announce::{Announcements, News},
    ending::Cause,
    record::Reason,
};

pub(super) fn news(announcements: &mut Announcements) -> Vec<News> {
    std::iter::from_fn(|| announcements.receiver.try_recv().ok())
        .map(|announcement| announcement.news)
        .collect()
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
    let (scene, mut leader, mut standby) = Scene::with_leader_and_standby().await;
    leader.shutdown.cancel();
    leader.ended().await.unwrap();
    scene.until_leads("b", RP).await;
    assert_eq!(
        news(&mut leader.announcements),
        [
            acquired(Reason::Released, None),
            News::Released {
                successor: Some("b".to_owned())
            }
        ]
    );
    assert_eq!(
        news(&mut standby.announcements),
        [acquired(Reason::Released, Some("a"))]
    );
    assert_eq!(leader.metrics.terms_ended(Cause::Released), 1);
    let lease_failover = standby.metrics.last_takeover("lease");
    assert!(
        (0.0..0.05).contains(&lease_failover),
        "counted from the release: {lease_failover}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_loss_is_told_by_both_sides_with_its_cause_and_its_silence() {
    let (scene, mut leader, mut standby) = Scene::with_leader_and_standby().await;
    leader.link.cut(true);
    scene.until_leads("b", D + RP).await;
    assert_eq!(
        news(&mut leader.announcements)[1..],
        [News::Lost {
            cause: Cause::Deadline
        }]
    );
    assert_eq!(
        news(&mut standby.announcements),
        [acquired(Reason::Expired, Some("a"))]
    );
    assert_eq!(leader.metrics.terms_ended(Cause::Deadline), 1);
    let lease_failover = standby.metrics.last_takeover("lease");
    assert!(
        (15.0..15.1).contains(&lease_failover),
        "counted from the last renewal that was seen: {lease_failover}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_was_taken_away_is_a_loss_and_not_a_deadline() {
    let scene = Scene::new();
    let mut leader = scene.start(a());
    scene.until_leads("a", FIRST).await;
    scene.api.edit(|lease| {
        let spec = lease.as_mut().unwrap().spec.as_mut().unwrap();
        spec.holder_identity = Some("stranger".into());
    });
    sleep(Duration::from_secs(1)).await;
    assert_eq!(
        news(&mut leader.announcements)[1..],
        [News::Lost { cause: Cause::Lost }]
    );
    assert_eq!(leader.metrics.terms_ended(Cause::Lost), 1);
}

#[tokio::test(start_paused = true)]
async fn every_renewal_is_measured_and_moves_the_end_of_the_term() {
    let scene = Scene::new();
    let leader = scene.start(a());
    scene.until_leads("a", FIRST).await;
    let first = leader.metrics.deadline().unwrap();
    sleep(Duration::from_secs(9)).await;
    assert_eq!(leader.metrics.renewals(), 4);
    let moved = leader.metrics.deadline().unwrap().since(first);
    assert!(moved >= 4 * RP, "{moved:?}");
    leader.link.cut(true);
    sleep(RD + RP).await;
    assert_eq!(leader.metrics.deadline(), None, "the term has ended");
}

#[tokio::test(start_paused = true)]
async fn the_work_failover_counts_from_the_same_sign_of_life_to_the_first_accepted_write() {
    let scene = Scene::new();
    let leader = scene.start(a());
    scene.until_leads("a", FIRST).await;
    let standby = scene.start(Setup {
        writes_after: Some(Duration::from_millis(700)),
        ..b()
    });
    sleep(Duration::from_secs(5)).await;
    leader.stop().await.unwrap();
    scene.until_leads("b", RP).await;
    sleep(Duration::from_millis(600)).await;
    assert!(standby.metrics.last_takeover("work") < 0.0, "not yet");
    sleep(Duration::from_secs(1)).await;
    let (lease, work) = (
        standby.metrics.last_takeover("lease"),
        standby.metrics.last_takeover("work"),
    );
    assert!((0.7..0.75).contains(&(work - lease)), "{lease} and {work}");
}

thread_local! {
    /// The log of this thread, which is that of one test: the tests of the election run on one thread each.
    static LINES: std::cell::RefCell<Vec<u8>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Writes to the log of the thread it is called on.
struct Here;

impl std::io::Write for Here {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        LINES.with_borrow_mut(|lines| lines.extend(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The log of the thread that asks.
struct Log;

impl Log {
    /// One subscriber for all threads: those that come and go with a thread may miss lines that another thread was the
    /// first to reach.
    fn of_this_thread() -> Self {
        static SUBSCRIBER: std::sync::Once = std::sync::Once::new();
        SUBSCRIBER.call_once(|| {
            let subscriber = tracing_subscriber::fmt().json().with_writer(|| Here);
            tracing::subscriber::set_global_default(subscriber.finish()).unwrap();
        });
        Self
    }

    /// How many lines say `message`.
    #[expect(clippy::unused_self, reason = "a log exists only once it is collected")]
    fn count(&self, message: &str) -> usize {
        let text = LINES.with_borrow(|lines| String::from_utf8(lines.clone()).unwrap());
        text.lines().filter(|line| line.contains(message)).count()
    }

    /// The fields of the last line that says `message`.
    #[expect(clippy::unused_self, reason = "a log exists only once it is collected")]
    fn fields(&self, message: &str) -> serde_json::Value {
        let text = LINES.with_borrow(|lines| String::from_utf8(lines.clone()).unwrap());
        text.lines()
            .rev()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["fields"].clone())
            .find(|fields| fields["message"] == message)
            .unwrap_or_else(|| panic!("{message} is not in\n{text}"))
    }
}

#[tokio::test(start_paused = true)]
async fn the_log_tells_a_failover_from_both_sides() {
    let log = Log::of_this_thread();
    let (scene, leader, _standby) = Scene::with_leader_and_standby().await;
    let fields = log.fields("standing by");
    assert_eq!(
        (&fields["lease"], &fields["holder"]),
        (&"l".into(), &"a".into())
    );

    leader.link.cut(true);
    scene.until_leads("b", D + RP).await;
    let lost = log.fields("stepped down");
    assert_eq!(
        (&lost["holder"], &lost["cause"]),
        (&"a".into(), &"deadline".into())
    );
    assert!(lost["silence_ms"].as_u64().unwrap() >= 10_000, "{lost}");
    let taken = log.fields("took the Lease");
    assert_eq!(
        (&taken["lease"], &taken["holder"]),
        (&"l".into(), &"b".into())
    );
    assert_eq!(
        (
            &taken["previous_holder"],
            &taken["reason"],
            &taken["transitions"]
        ),
        (&"a".into(), &"expired".into(), &1.into())
    );
    let (silence, failover) = (&taken["silence_ms"], &taken["lease_failover_ms"]);
    assert!(silence.as_u64().unwrap() >= 15_000, "{taken}");
    assert!(failover.as_u64() >= silence.as_u64(), "{taken}");
}

#[tokio::test(start_paused = true)]
async fn the_log_names_the_one_to_whom_a_term_was_lost() {
    let log = Log::of_this_thread();
    let (scene, _leader, _standby) = Scene::with_leader_and_standby().await;
    scene.api.edit(|lease| {
        let spec = lease.as_mut().unwrap().spec.as_mut().unwrap();
        spec.holder_identity = Some("stranger".into());
    });
    sleep(Duration::from_secs(1)).await;
    let lost = log.fields("stepped down");
    assert_eq!(
        (&lost["holder"], &lost["cause"], &lost["successor"]),
        (&"a".into(), &"lost".into(), &"stranger".into())
    );
}

#[tokio::test(start_paused = true)]
async fn a_duration_that_no_replica_writes_is_told_once_and_waited_for_a_bounded_time() {
    let log = Log::of_this_thread();
    let scene = Scene::new();
    let mut replica = scene.start(a());
    scene.until_leads("a", FIRST).await;
    for renewal in 0..10 {
        scene.api.edit(|lease| {
            let lease = lease.as_mut().unwrap();
            lease.metadata.annotations = None;
            let spec = lease.spec.as_mut().unwrap();
            spec.holder_identity = Some("stranger".into());
            spec.lease_duration_seconds = Some(2_000_000_000);
            spec.lease_transitions = Some(renewal);
        });
        sleep(RP).await;
    }
    let took = scene.until_leads("a", 11 * D).await;
    assert!(took > 10 * D - RP - RP, "{took:?}");
    let bounded: Vec<News> = news(&mut replica.announcements)
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
    assert_eq!(log.count(message), 1);
}

//! What reaches the API server of what the election says, and that the election never waits for it.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use http::{Request, Response};
use k8s_openapi::api::{coordination::v1::Lease, events::v1::Event as Published};
use kube::client::Body;
use tokio::time::{Instant, sleep};
use tower::service_fn;

use super::*;
use crate::{
    observer::{NoObserver, recorder::Recorder},
    record::Annotations,
    settings::SettingNames,
};

/// An API server for Events in memory: it keeps what it takes, and refuses or hangs as it is told.
#[derive(Clone, Default)]
struct Server {
    events: Arc<Mutex<Vec<Published>>>,
    refuses: Arc<AtomicU32>,
    hangs: bool,
}

impl Server {
    fn client(&self) -> Client {
        let server = self.clone();
        Client::new(
            service_fn(move |request: Request<Body>| server.clone().answer(request)),
            "default",
        )
    }

    async fn answer(self, request: Request<Body>) -> Result<Response<Body>, tower::BoxError> {
        if self.hangs {
            std::future::pending::<()>().await;
        }
        assert_eq!(request.method(), http::Method::POST);
        assert_eq!(
            request.uri().path(),
            "/apis/events.k8s.io/v1/namespaces/n/events"
        );
        let refused = self
            .refuses
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        if refused.is_ok() {
            let status = br#"{"kind":"Status","apiVersion":"v1","status":"Failure","code":500}"#;
            return Ok(Response::builder()
                .status(500)
                .body(Body::from(status.to_vec()))?);
        }
        let body = request.into_body().collect_bytes().await?;
        self.events
            .lock()
            .unwrap()
            .push(serde_json::from_slice(&body)?);
        Ok(Response::builder()
            .status(201)
            .body(Body::from(body.to_vec()))?)
    }

    fn told(&self) -> Vec<(String, String)> {
        let events = self.events.lock().unwrap();
        events
            .iter()
            .map(|event| (event.reason.clone().unwrap(), event.note.clone().unwrap()))
            .collect()
    }
}

fn record() -> Record {
    let lease = serde_json::json!({
        "metadata": {"name": "l", "uid": "uid-l"},
        "spec": {"holderIdentity": "a", "leaseTransitions": 7},
    });
    let names = Arc::new(Annotations::with_prefix("example.com"));
    Record::new(serde_json::from_value::<Lease>(lease).unwrap(), &names)
}

async fn publish(server: &Server, announcements: Announcements, stop: CancellationToken) {
    let publisher = Publisher {
        client: server.client(),
        lease: LeaseName::new("l", "n", &SettingNames::default()).unwrap(),
        reporter: "my-operator".to_owned(),
        pod: "a".to_owned(),
    };
    announcements.publish(publisher, stop).await;
}

#[tokio::test(start_paused = true)]
async fn each_turn_of_the_election_is_an_event_on_the_lease_by_the_pod() {
    let server = Server::default();
    let (announcer, announcements) = announcements(Arc::new(NoObserver));
    let acquired = |reason, previous| News::Acquired { reason, previous };
    announcer.tell(&record(), acquired(Reason::Expired, Some("b".to_owned())));
    announcer.tell(
        &record(),
        News::Lost {
            cause: Cause::Deadline,
        },
    );
    announcer.tell(&record(), acquired(Reason::Released, None));
    let successor = Some("c".to_owned());
    announcer.tell(&record(), News::Released { successor });
    announcer.tell(
        &record(),
        News::Bounded {
            holder: "a".to_owned(),
            stated: None,
            waited: Duration::from_secs(15),
        },
    );
    drop(announcer);
    publish(&server, announcements, CancellationToken::new()).await;
    let expected = [
        (
            "LeaderAcquired",
            "a leads: took the Lease from b, reason expired, transition 7",
        ),
        (
            "LeaderLost",
            "a no longer leads: the Lease could not be renewed before the renew deadline, cause deadline, transition 7",
        ),
        (
            "LeaderAcquired",
            "a leads: took the Lease that nobody was seen to hold, reason released, transition 7",
        ),
        ("LeaderReleased", "a gave the Lease back to c, transition 7"),
        (
            "LeaseDurationIgnored",
            "a waits for a for 15 s at most: the Lease has no leaseDurationSeconds, which no replica writes",
        ),
    ];
    assert_eq!(
        server.told(),
        expected.map(|(reason, note)| (reason.to_owned(), note.to_owned()))
    );
    let event = server.events.lock().unwrap()[1].clone();
    let regarding = event.regarding.unwrap();
    assert_eq!(
        (
            regarding.kind.as_deref(),
            regarding.name.as_deref(),
            regarding.uid.as_deref()
        ),
        (Some("Lease"), Some("l"), Some("uid-l"))
    );
    assert_eq!(event.reporting_controller.as_deref(), Some("my-operator"));
    assert_eq!(event.reporting_instance.as_deref(), Some("a"));
    assert_eq!(event.type_.as_deref(), Some("Warning"));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_refused_for_a_while_is_published_in_the_end() {
    let server = Server::default();
    server.refuses.store(3, Ordering::SeqCst);
    let (announcer, announcements) = announcements(Arc::new(NoObserver));
    announcer.tell(&record(), News::Lost { cause: Cause::Lost });
    drop(announcer);
    publish(&server, announcements, CancellationToken::new()).await;
    assert_eq!(server.told().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_election_never_waits_and_what_is_too_much_is_dropped_and_counted() {
    let recorder = Arc::new(Recorder::default());
    let (announcer, mut announcements) = announcements(recorder.clone());
    let begun = Instant::now();
    for _ in 0..CAPACITY + 3 {
        announcer.tell(&record(), News::Lost { cause: Cause::Lost });
    }
    assert!(begun.elapsed().is_zero());
    assert_eq!(recorder.told().events, [EventOutcome::Dropped; 3]);
    let mut waiting = 0;
    while announcements.receiver.try_recv().is_ok() {
        waiting += 1;
    }
    assert_eq!(waiting, CAPACITY);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_holds_up_the_end_for_a_moment_only() {
    let server = Server {
        hangs: true,
        ..Server::default()
    };
    let (announcer, announcements) = announcements(Arc::new(NoObserver));
    announcer.tell(&record(), News::Released { successor: None });
    drop(announcer);
    let stop = CancellationToken::new();
    stop.cancel();
    let begun = Instant::now();
    publish(&server, announcements, stop).await;
    assert!(begun.elapsed() <= FLUSH + Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_never_taken_is_given_up_and_counted() {
    let server = Server::default();
    server.refuses.store(u32::MAX, Ordering::SeqCst);
    let recorder = Arc::new(Recorder::default());
    let (announcer, announcements) = announcements(recorder.clone());
    announcer.tell(&record(), News::Released { successor: None });
    drop(announcer);
    tokio::select! {
        () = publish(&server, announcements, CancellationToken::new()) => {}
        () = sleep(Duration::from_secs(300)) => panic!("still trying"),
    }
    assert_eq!(recorder.told().events, [EventOutcome::Failed]);
}

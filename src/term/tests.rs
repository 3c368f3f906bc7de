//! What a term promises to the work, on paused time and against a counting API.

use std::sync::atomic::{AtomicUsize, Ordering};

use http::{Request, Response};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, client::Body};
use tower::service_fn;

use super::*;
use crate::clock::{Clock, PausedClock};

const TEN: Duration = Duration::from_secs(10);

fn term() -> (Term, TermControl, PausedClock) {
    let clock = PausedClock::start();
    let shared = Arc::new(clock.clone());
    let (term, control) = Term::begin(Generation(7), clock.now() + TEN, shared);
    (term, control, clock)
}

/// An API server that counts what reaches it, and answers after `delay`.
fn counting_client(delay: Duration) -> (Client, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&count);
    let service = service_fn(move |_: Request<Body>| {
        seen.fetch_add(1, Ordering::SeqCst);
        async move {
            tokio::time::sleep(delay).await;
            Ok::<_, tower::BoxError>(Response::new(Body::from(
                br#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"a"}}"#.to_vec(),
            )))
        }
    });
    (Client::new(service, "default"), count)
}

fn chain(error: &dyn std::error::Error) -> String {
    std::iter::successors(Some(error), |e| e.source())
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

#[tokio::test(start_paused = true)]
async fn a_term_is_live_until_its_deadline_and_not_longer() {
    let (term, _control, _clock) = term();
    assert_eq!(term.check(), Ok(()));
    tokio::time::sleep(TEN).await;
    assert_eq!(
        term.check(),
        Ok(()),
        "the deadline itself is within the term"
    );
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(matches!(
        term.check(),
        Err(TermOver::DeadlinePassed(Generation(7), _))
    ));
}

#[tokio::test(start_paused = true)]
async fn prolonging_moves_the_deadline_for_those_who_wait_for_the_end() {
    let (term, control, clock) = term();
    let begun = clock.now();
    let waiting = tokio::time::timeout(Duration::from_secs(60), term.ended());
    let prolonging = async {
        tokio::time::sleep(Duration::from_secs(9)).await;
        control.prolong(begun + TEN + TEN);
    };
    let (ended, ()) = tokio::join!(waiting, prolonging);
    assert!(ended.is_ok());
    let lasted = clock.now().since(begun);
    assert!(
        lasted > Duration::from_secs(20) && lasted < Duration::from_millis(20_100),
        "{lasted:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn winding_down_stops_new_work_but_allows_the_writes_in_flight() {
    let (term, control, _clock) = term();
    control.wind_down();
    term.winding_down().await;
    assert_eq!(term.check(), Ok(()));
    control.end();
    term.ended().await;
    assert_eq!(term.check(), Err(TermOver::Ended(Generation(7))));
}

#[tokio::test(start_paused = true)]
async fn a_forgotten_control_ends_the_term() {
    let (term, control, _clock) = term();
    drop(control);
    assert!(term.check().is_err());
}

#[tokio::test(start_paused = true)]
async fn the_client_of_a_term_sends_no_write_after_its_end_but_reads_on() {
    let (term, control, _clock) = term();
    let (client, count) = counting_client(Duration::ZERO);
    let api: Api<ConfigMap> = Api::namespaced(term.client(client), "default");
    api.create(&kube::api::PostParams::default(), &ConfigMap::default())
        .await
        .unwrap();
    control.end();
    let refused = api
        .create(&kube::api::PostParams::default(), &ConfigMap::default())
        .await
        .unwrap_err();
    assert!(
        chain(&refused).contains("transition 7"),
        "{}",
        chain(&refused)
    );
    assert_eq!(
        count.load(Ordering::SeqCst),
        1,
        "the refused write never left"
    );
    api.get("a").await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test(start_paused = true)]
async fn a_write_in_flight_is_abandoned_when_the_term_ends() {
    let (term, control, clock) = term();
    let (client, _count) = counting_client(Duration::from_secs(5));
    let api: Api<ConfigMap> = Api::namespaced(term.client(client), "default");
    let begun = clock.now();
    let parameters = kube::api::PostParams::default();
    let object = ConfigMap::default();
    let (answer, ()) = tokio::join!(api.create(&parameters, &object), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        control.end();
    });
    assert!(answer.is_err());
    assert!(clock.now().since(begun) < Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn a_term_does_not_outlive_a_suspend_of_the_machine() {
    let (term, _control, clock) = term();
    clock.suspend(TEN + TEN);
    assert!(term.check().is_err(), "a write would have been sent");
    let noticed = tokio::time::timeout(Duration::from_secs(2), term.ended());
    assert!(noticed.await.is_ok());
}

#[rstest::rstest]
#[case::refused_first(&[("/api/v1/namespaces/n/configmaps", 403), ("/api/v1/namespaces/n/configmaps", 201)], Some(2))]
#[case::an_event_is_no_work(&[("/apis/events.k8s.io/v1/namespaces/n/events", 201)], None)]
#[case::told_once(&[("/api/v1/namespaces/n/configmaps", 201), ("/api/v1/namespaces/n/configmaps", 201)], Some(1))]
#[tokio::test(start_paused = true)]
async fn the_first_write_that_is_accepted_is_told(
    #[case] answers: &[(&str, u16)],
    #[case] told_after: Option<u64>,
) {
    let (term, control, clock) = term();
    let begun = clock.now();
    let told = Arc::new(std::sync::Mutex::new(Vec::new()));
    let note = Arc::clone(&told);
    control.on_first_write(move |at| note.lock().unwrap().push(at));
    for (path, status) in answers {
        let status = *status;
        let service = service_fn(move |_: Request<Body>| async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            let answer = Response::builder().status(status);
            Ok::<_, tower::BoxError>(answer.body(Body::empty())?)
        });
        let client = term.client(Client::new(service, "default"));
        let read = Request::get(*path).body(Body::empty()).unwrap();
        client.send(read).await.unwrap();
        let write = Request::post(*path).body(Body::empty()).unwrap();
        client.send(write).await.unwrap();
    }
    // One second for the read and one for the write.
    let expected = told_after.map(|count| begun + Duration::from_secs(2 * count));
    assert_eq!(told.lock().unwrap().clone(), Vec::from_iter(expected));
}

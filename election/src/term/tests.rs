//! What a term promises to the work, on paused time and against a counting API.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http::{Request, Response};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, Client, client::Body};
use tower::service_fn;

use super::*;
use crate::{
    clock::{Clock, PausedClock},
    fence::Fence,
};

const TEN: Duration = Duration::from_secs(10);

fn term() -> (Term, TermControl, PausedClock) {
    let clock = PausedClock::start();
    let shared = Arc::new(clock.clone());
    let policies = Fence::named("my-fence", "my-fence-shared").policies;
    let (term, control) = Term::begin(Generation(7), clock.now() + TEN, shared, Some(policies));
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

fn config_maps(client: Client) -> Api<ConfigMap> {
    Api::namespaced(client, "default")
}

async fn create(api: &Api<ConfigMap>) -> Result<ConfigMap, kube::Error> {
    let parameters = kube::api::PostParams::default();
    api.create(&parameters, &ConfigMap::default()).await
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
    let api = config_maps(term.client(client));
    create(&api).await.unwrap();
    control.end();
    let refused = chain(&create(&api).await.unwrap_err());
    assert!(refused.contains("transition 7"), "{refused}");
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
    let api = config_maps(term.client(client));
    let begun = clock.now();
    let (answer, ()) = tokio::join!(create(&api), async {
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

/// An API server whose fence refuses a write `times` times, and then accepts it. It notes when each one arrived, with
/// its body.
fn fenced_client(times: usize, code: u16) -> (Client, Arrivals) {
    let arrivals = Arrivals::default();
    let noted = Arc::clone(&arrivals);
    let service = service_fn(move |request: Request<Body>| {
        let noted = Arc::clone(&noted);
        async move {
            let body = request.into_body().collect_bytes().await?;
            let count = {
                let mut noted = noted.lock().unwrap();
                noted.push((tokio::time::Instant::now(), body.to_vec()));
                noted.len()
            };
            let answer = if count <= times {
                serde_json::json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "reason": "x",
                    "message": "configmaps is forbidden: ValidatingAdmissionPolicy 'my-fence' denied request: b holds it"})
            } else {
                serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}})
            };
            let status = if count <= times { code } else { 200 };
            let response = Response::builder().status(status);
            Ok::<_, tower::BoxError>(response.body(Body::from(answer.to_string().into_bytes()))?)
        }
    });
    (Client::new(service, "default"), arrivals)
}

type Arrivals = Arc<std::sync::Mutex<Vec<(tokio::time::Instant, Vec<u8>)>>>;

async fn write(term: &Term, client: &Client) -> Result<ConfigMap, kube::Error> {
    let api = config_maps(term.client(client.clone()));
    let patch = kube::api::Patch::Merge(serde_json::json!({"data": {"x": "y"}}));
    api.patch("a", &kube::api::PatchParams::default(), &patch)
        .await
}

fn fenced_in(error: &kube::Error) -> Option<Fenced> {
    let first: Option<&(dyn std::error::Error + 'static)> = Some(error);
    std::iter::successors(first, |&error| error.source())
        .find_map(|error| error.downcast_ref().cloned())
}

async fn is_doubted(control: &TermControl) -> bool {
    tokio::time::timeout(Duration::from_millis(1), control.doubted())
        .await
        .is_ok()
}

#[rstest::rstest]
#[case::another_holder(403)]
#[case::no_lease_yet(422)]
#[tokio::test(start_paused = true)]
async fn a_new_leader_that_the_fence_does_not_know_yet_repeats_its_write_within_milliseconds(
    #[case] code: u16,
) {
    let (term, control, _clock) = term();
    let (client, arrivals) = fenced_client(2, code);
    let begun = tokio::time::Instant::now();
    write(&term, &client).await.unwrap();
    assert!(begun.elapsed() < Duration::from_millis(20));
    let arrivals = arrivals.lock().unwrap().clone();
    assert_eq!(arrivals.len(), 3);
    assert!(
        arrivals
            .iter()
            .all(|(_, body)| body == br#"{"data":{"x":"y"}}"#)
    );
    assert!(!is_doubted(&control).await, "this is no news");
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_that_stays_refused_gives_up_in_a_second_and_doubts_its_term() {
    let (term, control, _clock) = term();
    let (client, arrivals) = fenced_client(usize::MAX, 403);
    let begun = tokio::time::Instant::now();
    let error = write(&term, &client).await.unwrap_err();
    let fenced = fenced_in(&error).unwrap();
    assert_eq!(fenced.generation, Generation(7));
    assert!(fenced.message.contains("b holds it"), "{fenced}");
    assert!(begun.elapsed() <= Duration::from_secs(1));
    let tries = arrivals.lock().unwrap().len();
    assert!((6..=9).contains(&tries), "{tries}");
    assert!(is_doubted(&control).await);
    assert!(!is_doubted(&control).await, "one doubt is told once");
}

#[tokio::test(start_paused = true)]
async fn an_old_leader_that_is_refused_doubts_its_term_at_once() {
    let (term, control, _clock) = term();
    let (client, arrivals) = fenced_client(usize::MAX, 403);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let begun = tokio::time::Instant::now();
    assert!(fenced_in(&write(&term, &client).await.unwrap_err()).is_some());
    assert_eq!(begun.elapsed(), Duration::ZERO);
    assert_eq!(arrivals.lock().unwrap().len(), 1);
    assert!(is_doubted(&control).await);
}

#[tokio::test(start_paused = true)]
async fn a_refused_write_is_not_repeated_after_the_end_of_the_term() {
    let (term, control, _clock) = term();
    let (client, arrivals) = fenced_client(usize::MAX, 403);
    let (answer, ()) = tokio::join!(write(&term, &client), async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        control.end();
    });
    assert!(chain(&answer.unwrap_err()).contains("is over"));
    let tries = arrivals.lock().unwrap().len();
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(arrivals.lock().unwrap().len(), tries);
    assert!(tries < 6, "{tries}");
}

#[rstest::rstest]
#[case::rbac(403, "User \"x\" cannot patch")]
#[case::invalid(422, "spec is invalid")]
#[tokio::test(start_paused = true)]
async fn a_refusal_that_is_not_of_the_fence_is_passed_on_as_it_came(
    #[case] code: u16,
    #[case] message: &'static str,
) {
    let (term, control, _clock) = term();
    let service = service_fn(move |_: Request<Body>| async move {
        let answer = serde_json::json!({"kind": "Status", "status": "Failure", "code": code, "message": message});
        let response = Response::builder().status(code);
        Ok::<_, tower::BoxError>(response.body(Body::from(answer.to_string().into_bytes()))?)
    });
    let error = write(&term, &Client::new(service, "default"))
        .await
        .unwrap_err();
    let kube::Error::Api(status) = &error else {
        panic!("{error:?}")
    };
    assert_eq!((status.code, status.message.as_str()), (code, message));
    assert!(!is_doubted(&control).await);
}

/// Whether a write to another cluster is held back, and how many requests reach it.
async fn is_held_back(term: &Term) -> (bool, usize) {
    let (client, count) = counting_client(Duration::ZERO);
    let api = config_maps(term.client_of_other_cluster(client));
    let answer = create(&api).await;
    let held_back = answer.is_err_and(|error| ForeignTooSoon::is_in(&error));
    (held_back, count.load(Ordering::SeqCst))
}

#[tokio::test(start_paused = true)]
async fn a_write_to_another_cluster_waits_until_it_is_allowed_and_everything_else_does_not() {
    let (term, control, clock) = term();
    control.prolong(clock.now() + TEN * 10);
    control.allow_foreign_from(Some(clock.now() + TEN));
    assert_eq!(is_held_back(&term).await, (true, 0), "nothing was sent");
    let (client, count) = counting_client(Duration::ZERO);
    let reads = config_maps(term.client_of_other_cluster(client.clone()));
    reads.get("a").await.unwrap();
    write(&term, &client).await.unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 2);

    let begun = clock.now();
    term.foreign_allowed().await;
    assert_eq!(clock.now().since(begun), TEN);
    assert_eq!(is_held_back(&term).await, (false, 1));
}

#[tokio::test(start_paused = true)]
async fn writes_to_another_cluster_start_sooner_when_it_turns_out_that_they_may() {
    let (term, control, clock) = term();
    control.allow_foreign_from(Some(clock.now() + TEN));
    let begun = clock.now();
    let ((), ()) = tokio::join!(term.foreign_allowed(), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        control.allow_foreign_from(None);
    });
    assert!(clock.now().since(begun) < Duration::from_millis(1_010));
    assert_eq!(is_held_back(&term).await, (false, 1));
}

#[tokio::test(start_paused = true)]
async fn a_term_may_write_to_other_clusters_at_once_unless_it_is_told_otherwise() {
    let (term, control, _clock) = term();
    assert_eq!(is_held_back(&term).await, (false, 1));
    control.end();
    let (held_back, sent) = is_held_back(&term).await;
    assert!(!held_back, "that its term is over is another error");
    assert_eq!(sent, 0);
}

#[tokio::test(start_paused = true)]
async fn every_call_that_ends_is_a_sign_of_progress_however_it_ends() {
    let (term, control, clock) = term();
    let (client, _count) = counting_client(Duration::ZERO);
    let api = config_maps(term.client(client));
    assert_eq!(control.progress(), 0);
    api.get("a").await.unwrap();
    assert_eq!(control.progress(), 1);
    control.allow_foreign_from(Some(clock.now() + TEN));
    assert_eq!(is_held_back(&term).await, (true, 0));
    assert_eq!(control.progress(), 2);
    term.progress();
    assert_eq!(control.progress(), 3);
}

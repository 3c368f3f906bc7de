//! What is answered on the port, and what a connection may cost.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use axum::{body::Body, http::Request};
use http_body_util::BodyExt;
use lease_election::clock::PausedClock;
use rstest::rstest;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
    time::Instant,
};
use tower::ServiceExt;

use super::*;

async fn ask(router: &Router, path: &str) -> (StatusCode, String) {
    let request = Request::get(path).body(Body::empty()).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let status = response.status();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[tokio::test(start_paused = true)]
async fn liveness_fails_when_the_election_loop_stalls_and_recovers_with_it() {
    let pulse = Arc::new(Pulse::new(
        Arc::new(PausedClock::start()),
        Duration::from_secs(15),
    ));
    let admin = Admin {
        pulse: Some(Arc::clone(&pulse)),
        is_synced: Box::new(|| true),
        registry: Registry::default(),
    };
    let router = admin.into_router();
    assert_eq!(ask(&router, "/livez").await.0, StatusCode::OK);
    tokio::time::sleep(Duration::from_secs(16)).await;
    let (status, text) = ask(&router, "/livez").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(text, "the election loop has been silent for 16.0 s\n");
    pulse.beat();
    assert_eq!(ask(&router, "/livez").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_replica_is_ready_when_its_caches_are_synced() {
    let synced = Arc::new(AtomicBool::new(false));
    let seen = Arc::clone(&synced);
    let is_synced = Box::new(move || seen.load(Ordering::SeqCst));
    let router = Admin {
        pulse: None,
        is_synced,
        registry: Registry::default(),
    }
    .into_router();
    assert_eq!(
        ask(&router, "/readyz").await.0,
        StatusCode::SERVICE_UNAVAILABLE
    );
    synced.store(true, Ordering::SeqCst);
    assert_eq!(ask(&router, "/readyz").await.0, StatusCode::OK);
}

/// The port as it is served, with everything that is registered for a replica.
fn served() -> (SocketAddr, JoinSet<()>) {
    let port = AdminPort::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = port.local_address().unwrap();
    let admin = Admin {
        pulse: None,
        is_synced: Box::new(|| true),
        registry: crate::metrics::registry(),
    };
    let mut serving = JoinSet::new();
    serving.spawn(port.serve(admin, CancellationToken::new()));
    (address, serving)
}

/// What is answered to `request` until the connection is closed, and after how long it is.
async fn say(address: SocketAddr, request: &str) -> (String, Duration) {
    let begun = Instant::now();
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // Closed with something unread, a connection ends by a reset.
    let _ = stream.read_to_end(&mut answer).await;
    (
        String::from_utf8_lossy(&answer).into_owned(),
        begun.elapsed(),
    )
}

#[rstest]
#[case::idle("")]
#[case::slow("GET /livez HTTP/1.1\r\nHost")]
#[tokio::test(start_paused = true)]
async fn a_connection_that_asks_for_nothing_is_closed(#[case] request: &str) {
    let (address, _serving) = served();
    let (answer, lasted) = say(address, request).await;
    assert_eq!(answer, "");
    assert!(lasted >= LONGEST_CONNECTION && lasted < 2 * LONGEST_CONNECTION);
}

#[tokio::test(start_paused = true)]
async fn a_connection_carries_one_request() {
    let (address, _serving) = served();
    let request = "GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n";
    let (answer, lasted) = say(address, &request.repeat(2)).await;
    assert_eq!(answer.matches("HTTP/1.1 200").count(), 1, "{answer}");
    assert!(lasted < LONGEST_CONNECTION);
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_too_large_is_refused() {
    let (address, _serving) = served();
    let request = format!(
        "GET /livez HTTP/1.1\r\nX: {}\r\n\r\n",
        "x".repeat(2 * LARGEST_REQUEST)
    );
    let (answer, lasted) = say(address, &request).await;
    assert!(!answer.contains("200"), "{answer}");
    assert!(lasted < LONGEST_CONNECTION);
}

#[tokio::test]
async fn metrics_are_served_in_the_open_metrics_format() {
    let registry = crate::metrics::registry();
    let router = Admin {
        pulse: None,
        is_synced: Box::new(|| true),
        registry,
    }
    .into_router();
    let (status, text) = ask(&router, "/metrics").await;
    assert_eq!(status, StatusCode::OK);
    assert!(text.contains("five_spot_up 1"), "{text}");
    assert!(text.ends_with("# EOF\n"), "{text}");
}

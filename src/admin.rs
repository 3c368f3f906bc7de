//! The one HTTP port: `/livez`, `/readyz` and `/metrics`.

use std::{io, net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::leader::Pulse;

/// The media type of the text that [`encode`] writes.
const OPENMETRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the probes and Prometheus are told.
pub struct Admin {
    /// The election loop, which liveness depends on; none where there is no election.
    pub pulse: Option<Arc<Pulse>>,
    /// Whether the caches are synced. Readiness is not leadership: a synced standby is ready.
    pub is_synced: Box<dyn Fn() -> bool + Send + Sync>,
    /// All metrics.
    pub registry: Registry,
}

/// Why the port is not served.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address can't be listened on.
    #[error("failed to listen on LISTEN_ADDRESS {address}")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The server failed.
    #[error("failed to serve /livez, /readyz and /metrics")]
    Serve(#[source] io::Error),
}

/// A port that is listened on, but not served yet.
#[derive(Debug)]
pub struct AdminPort(TcpListener);

impl AdminPort {
    /// Listens, so that a bad address ends the process before it contends for anything.
    pub async fn listen(address: SocketAddr) -> Result<Self, AdminError> {
        let listener = TcpListener::bind(address).await;
        listener
            .map(Self)
            .map_err(|source| AdminError::Listen { address, source })
    }

    /// Serves until `stop`.
    pub async fn serve(self, admin: Admin, stop: CancellationToken) -> Result<(), AdminError> {
        let router = admin.into_router();
        let served = axum::serve(self.0, router).with_graceful_shutdown(stop.cancelled_owned());
        served.await.map_err(AdminError::Serve)
    }
}

impl Admin {
    fn into_router(self) -> Router {
        Router::new()
            .route("/livez", get(livez))
            .route("/readyz", get(readyz))
            .route("/metrics", get(metrics))
            .with_state(Arc::new(self))
    }
}

async fn livez(State(admin): State<Arc<Admin>>) -> Response {
    match admin.pulse.as_ref().and_then(|pulse| pulse.stalled_for()) {
        None => "ok\n".into_response(),
        Some(silence) => {
            let text = format!(
                "the election loop has been silent for {:.1} s\n",
                silence.as_secs_f64()
            );
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    if (admin.is_synced)() {
        "ok\n".into_response()
    } else {
        (
            StatusCode::SERVICE_UNAVAILABLE,
            "the caches are not synced yet\n",
        )
            .into_response()
    }
}

async fn metrics(State(admin): State<Arc<Admin>>) -> Response {
    let mut text = String::new();
    match encode(&mut text, &admin.registry) {
        Ok(()) => ([(header::CONTENT_TYPE, OPENMETRICS)], text).into_response(),
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("failed to encode the metrics: {error}\n"),
        )
            .into_response(),
    }
}

impl std::fmt::Debug for Admin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Admin")
            .field("pulse", &self.pulse)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::{
        sync::atomic::{AtomicBool, Ordering},
        time::Duration,
    };

    use axum::{body::Body, http::Request};
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;
    use crate::clock::PausedClock;

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
        assert_eq!(
            (status, text.as_str()),
            (
                StatusCode::SERVICE_UNAVAILABLE,
                "the election loop has been silent for 16.0 s\n"
            )
        );
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
}

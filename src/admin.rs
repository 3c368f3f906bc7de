//! The one HTTP port: `/livez`, `/readyz` and `/metrics`.
//!
//! Anybody who reaches the pod may connect, so what connections cost is bounded: each carries one request and has a few seconds
//! for it, and where there are too many, an address that has many loses its oldest. So a probe, which asks as soon as it is
//! connected, is answered however many others are idle or slow.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use hyper::server::conn::http1;
use hyper_util::{rt::TokioIo, service::TowerToHyperService};
use prometheus_client::{encoding::text::encode, registry::Registry};
use tokio::{net::TcpListener, time::timeout};
use tokio_util::sync::CancellationToken;

use lease_election::{
    ports::{Connections, accept, listen},
    status::Pulse,
};

/// Connections at a time. One more closes the oldest of the address that has most of them.
const MOST_CONNECTIONS: usize = 256;

/// How long a connection may take, from when it is accepted to the end of its answer.
const LONGEST_CONNECTION: Duration = Duration::from_secs(5);

/// The most that is read of a request, in bytes, and kept of an answer that is not taken: the least that hyper allows.
const LARGEST_REQUEST: usize = 8 * 1024;

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

/// The address can't be listened on.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on LISTEN_ADDRESS {address}")]
pub struct AdminError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

/// A port that is listened on, but not served yet.
#[derive(Debug)]
pub struct AdminPort(TcpListener);

impl AdminPort {
    /// Listens, as `[::]` says on every address of both families. So a bad address, or one that another process of the
    /// container has, ends the process before it contends for anything.
    pub fn listen(address: SocketAddr) -> Result<Self, AdminError> {
        listen(address)
            .map(Self)
            .map_err(|source| AdminError { address, source })
    }

    /// Where it listens, with the port that the system chose if it was asked to.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    /// Serves until `stop`.
    pub async fn serve(self, admin: Admin, stop: CancellationToken) {
        let service = TowerToHyperService::new(admin.into_router());
        let mut http = http1::Builder::new();
        // A prober closes its connection anyway, and a scraper makes a new one each time: so none is ever idle.
        http.keep_alive(false).max_buf_size(LARGEST_REQUEST);
        let mut connections = Connections::at_most(MOST_CONNECTIONS);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ended = connections.ended() => {}
                (stream, from) = accept(&self.0, "LISTEN_ADDRESS"), if connections.has_room() => {
                    let answered = http.serve_connection(TokioIo::new(stream), service.clone());
                    connections.add(from, async move {
                        // What a stranger does to its own connection is no failure of this process.
                        let _ = timeout(LONGEST_CONNECTION, answered).await;
                    });
                }
            }
        }
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
mod tests;

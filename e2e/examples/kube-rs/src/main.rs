//! A small operator on kube-rs with `lease-election` as its elector: see README.md.
//!
//! The leader writes one ConfigMap whenever another one changes. `kube-rs-peer manifests` prints what it needs in a cluster.

mod manifests;

use std::{
    io::Write,
    net::{Ipv6Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use axum::{Router, http::StatusCode, routing::get};
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api, Client, ResourceExt,
    api::{Patch, PatchParams},
    runtime::{Controller, controller::Action, watcher},
};
use lease_election::{Election, Fence, Identity, Term, Timing};
use serde_json::json;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use tracing::warn;

use manifests::{ANNOTATIONS, INPUT, LENIENT_FENCE, NAME, OUTPUT, STRICT_FENCE};

/// The pause after a write that failed.
const RETRY: Duration = Duration::from_millis(100);

/// What one term reconciles with.
struct Work {
    output: Api<ConfigMap>,
    leader: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    if std::env::args().nth(1).as_deref() == Some("manifests") {
        return Ok(std::io::stdout().write_all(manifests::yaml()?.as_bytes())?);
    }
    tracing_subscriber::fmt().init();
    let config = kube::Config::infer().await?;
    let client = Client::try_from(config.clone())?;
    let namespace = config.default_namespace.clone();
    let identity = Identity::from_downward_api()?;
    let leader = identity.pod_name.clone();
    let [duration, renew_deadline, retry_period] = [15, 10, 2].map(Duration::from_secs);

    let election = Election::builder(NAME, &namespace)
        .identity(identity)
        .timing(Timing::new(duration, renew_deadline, retry_period)?)
        .annotations(ANNOTATIONS)
        .termination_log("peer", "/dev/termination-log")
        .fence(Fence::named(STRICT_FENCE, LENIENT_FENCE))
        .hints(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 8081)))
        .build(config)?;

    let pulse = election.pulse();
    let health = move || async move {
        match pulse.stalled_for() {
            None => StatusCode::OK,
            Some(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    };
    let listener = TcpListener::bind((Ipv6Addr::UNSPECIFIED, 8080)).await?;
    let probes = axum::serve(listener, Router::new().route("/livez", get(health)));
    let mut terminated = signal(SignalKind::terminate())?;
    let shutdown = async move {
        terminated.recv().await;
    };
    let lead = move |term: Term| work(term, client.clone(), namespace.clone(), leader.clone());
    tokio::select! {
        ended = election.run(async {}, shutdown, lead) => Ok(ended?),
        ended = probes => Ok(ended?),
    }
}

/// Reconciles for as long as the term lasts. Its client refuses every write outside of the term.
async fn work(term: Term, client: Client, namespace: String, leader: String) {
    let input = Api::<ConfigMap>::namespaced(client.clone(), &namespace);
    let output = Api::namespaced(term.client(client), &namespace);
    let by_name = watcher::Config::default().fields(&format!("metadata.name={INPUT}"));
    Controller::new(input, by_name)
        .graceful_shutdown_on(term.winding_down())
        .run(reconcile, retry, Arc::new(Work { output, leader }))
        .for_each(|reconciled| async move {
            if let Err(error) = reconciled {
                warn!("failed to reconcile: {error}");
            }
        })
        .await;
}

/// Writes down which version of the input the leader has seen.
async fn reconcile(input: Arc<ConfigMap>, work: Arc<Work>) -> Result<Action, kube::Error> {
    let data = json!({"data": {"leader": work.leader, "seen": input.resource_version()}});
    let by = PatchParams::apply(NAME);
    work.output.patch(OUTPUT, &by, &Patch::Merge(&data)).await?;
    Ok(Action::await_change())
}

fn retry(_input: Arc<ConfigMap>, _error: &kube::Error, _work: Arc<Work>) -> Action {
    Action::requeue(RETRY)
}

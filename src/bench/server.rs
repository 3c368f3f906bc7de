//! The API server of the bench, with its objects.

use axum::{Router, body::to_bytes, extract::Request, response::IntoResponse};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::sizes::Sizes;
use crate::api_server::ApiServer;

/// A Monday, before anything opens.
pub(super) const BEFORE_OFFICE: &str = "2026-03-02T08:30:00Z";
/// After the windows of some have opened.
pub(super) const OVERDUE_SINCE: &str = "2026-03-02T09:01:00Z";
/// Shortly before those of many do.
pub(super) const BEFORE_BOUNDARY: &str = "2026-03-02T09:59:45Z";
/// When they do.
pub(super) const BOUNDARY: &str = "2026-03-02T10:00:00Z";

/// After all other windows have opened.
pub(super) const CROWD: &str = "2026-03-08T03:01:00Z";

/// Serves the objects of `sizes` on a port of this machine, and calls `listening` with it.
pub async fn serve(sizes: Sizes, listening: impl FnOnce(u16)) -> std::io::Result<()> {
    let server = ApiServer::default();
    for index in 0..sizes.objects {
        server.put(object(index, sizes));
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    listening(listener.local_addr()?.port());
    let answer = move |request: Request| {
        let server = server.clone();
        async move {
            let (parts, body) = request.into_parts();
            match parts.uri.path() {
                "/bench/traffic" => {
                    axum::body::Body::from(json!(server.traffic()).to_string()).into_response()
                }
                "/bench/take" => {
                    axum::body::Body::from(json!(server.take_traffic()).to_string()).into_response()
                }
                _ => {
                    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
                    server.answer(parts, body).await
                }
            }
        }
    };
    axum::serve(listener, Router::new().fallback(answer)).await
}

fn object(index: usize, sizes: Sizes) -> Value {
    let (days, hours) = if index < sizes.overdue {
        ("mon-fri", "9-17")
    } else if index < sizes.overdue + sizes.together {
        ("mon-fri", "10-17")
    } else {
        ("sun", "3-5")
    };
    json!({
        "apiVersion": "5spot.finos.org/v1alpha1",
        "kind": "ScheduledMachine",
        "metadata": {
            "name": format!("workstation-{index:05}"), "namespace": "default",
            "labels": {"example.com/floor": (index % 40).to_string(), "example.com/team": "quant"},
        },
        "spec": {
            "schedule": {"daysOfWeek": [days], "hoursOfDay": [hours], "timezone": "UTC"},
            "clusterName": "lab",
            "bootstrapSpec": {
                "apiVersion": "bootstrap.cluster.x-k8s.io/v1beta1", "kind": "K0sWorkerConfig",
                "spec": {"version": "v1.34.4+k0s.0", "args": ["--labels=pool=workstations"]},
            },
            "infrastructureSpec": {
                "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1", "kind": "RemoteMachine",
                "spec": {
                    "address": format!("192.0.2.{}", index % 250), "port": 22, "user": "root",
                    "sshKeyRef": {"name": format!("workstation-{index:05}-ssh")},
                },
            },
            "machineTemplate": {"labels": {"example.com/pool": "workstations"}},
            "priority": index % 100,
            "nodeTaints": [{"key": "example.com/after-hours", "value": "true", "effect": "NoSchedule"}],
        },
    })
}

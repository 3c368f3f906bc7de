//! An API server in memory, for tests and the bench: it remembers, streams watches, and has faults.
//!
//! It serves `ScheduledMachine`s, the kinds of Cluster API that they are made of, Nodes, Pods and Secrets, as far as the
//! operator uses them. [`ClusterApi`] plays the controllers of Cluster API on it. A call that the operator should never
//! make is a panic, and so is a write that does not say what it was made from (`api_server/preconditions.rs`).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what a test gets wrong is to end it, and so is what the bench gets wrong"
)]
#![cfg_attr(
    not(test),
    allow(dead_code, reason = "the bench uses a part of it only")
)]

mod answers;
mod cluster_api;
mod faults;
mod merge;
mod preconditions;
mod scheduled_machines;
mod tables;
mod writes;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::body::{Body, Bytes, HttpBody};
use http::{Method, Request, Response, request::Parts};
use kube::Client;
use serde_json::Value;
use tower::{BoxError, service_fn};

use answers::{answer, refused};
pub(crate) use cluster_api::ClusterApi;
pub(crate) use faults::{Crash, Faults};
pub(crate) use scheduled_machines::StatusWrite;
use tables::{Name, Table, tables};

/// The kind that all is about.
pub(crate) const SCHEDULED_MACHINES: &str = "5spot.finos.org/scheduledmachines";

/// A shared handle on the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ApiServer(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    version: u64,
    /// By group and plural, such as `cluster.x-k8s.io/machines`.
    tables: BTreeMap<String, Table>,
    /// What was applied to statuses.
    applied: BTreeMap<String, Value>,
    held: Option<Vec<Value>>,
    status_writes: Vec<StatusWrite>,
    removals: Vec<Value>,
    events: Vec<Value>,
    /// Accepted writes, Events apart, such as `POST cluster.x-k8s.io/machines default/a`.
    writes: Vec<String>,
    /// Requests of each sort, and the bytes of their answers.
    traffic: BTreeMap<String, (u64, u64)>,
    lists: usize,
    faults: Faults,
    /// Writes that have arrived, and whether the crash among them has happened.
    arrived: usize,
    crashed: bool,
    cluster_api: Option<ClusterApi>,
    /// When objects are deleted.
    deletions_at: String,
}

impl Default for State {
    fn default() -> Self {
        Self {
            version: 0,
            tables: tables(),
            applied: BTreeMap::new(),
            held: None,
            status_writes: Vec::new(),
            removals: Vec::new(),
            events: Vec::new(),
            writes: Vec::new(),
            traffic: BTreeMap::new(),
            lists: 0,
            faults: Faults::default(),
            arrived: 0,
            crashed: false,
            cluster_api: None,
            deletions_at: "2026-03-02T08:50:00Z".to_owned(),
        }
    }
}

/// What a request is about.
#[derive(Debug)]
struct Target<'a> {
    group: &'a str,
    version: &'a str,
    plural: &'a str,
    namespace: Option<&'a str>,
    name: Option<&'a str>,
    subresource: Option<&'a str>,
}

impl ApiServer {
    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = service_fn(move |request: Request<kube::client::Body>| {
            let server = server.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect_bytes().await?;
                Ok::<_, BoxError>(server.answer(parts, body).await)
            }
        });
        Client::new(service, "default")
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        let mut state = self.state();
        (state.arrived, state.crashed) = (0, false);
        state.faults = faults;
    }

    /// What is deleted from here on was deleted at this time.
    pub(crate) fn delete_at(&self, time: &str) {
        time.clone_into(&mut self.state().deletions_at);
    }

    /// Accepted writes, Events apart.
    pub(crate) fn all_writes(&self) -> Vec<String> {
        self.state().writes.clone()
    }

    /// Whether the crash that the faults ask for has happened.
    pub(crate) fn has_crashed(&self) -> bool {
        self.state().crashed
    }

    /// Requests of each sort, and the bytes of their answers, since they were taken last.
    #[cfg(any(test, feature = "bench"))]
    pub(crate) fn traffic(&self) -> BTreeMap<String, (u64, u64)> {
        self.state().traffic.clone()
    }

    /// The same, which are forgotten then.
    #[cfg(feature = "bench")]
    pub(crate) fn take_traffic(&self) -> BTreeMap<String, (u64, u64)> {
        std::mem::take(&mut self.state().traffic)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Answers one request.
    pub(crate) async fn answer(&self, parts: Parts, body: Bytes) -> Response<Body> {
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let segments: Vec<_> = path.trim_matches('/').split('/').collect();
        let Some(target) = Target::of(&segments) else {
            let mut state = self.state();
            state
                .traffic
                .entry(format!("DISCOVER {path}"))
                .or_default()
                .0 += 1;
            return state.discovery(&segments);
        };
        if target.group == "events.k8s.io" {
            return self.event(&body);
        }
        if parts.method == Method::GET {
            return self.read(&target, &query).await;
        }
        self.write(&parts, &target, &query, &body).await
    }

    async fn write(
        &self,
        parts: &Parts,
        target: &Target<'_>,
        query: &str,
        body: &Bytes,
    ) -> Response<Body> {
        let crash = self.state().arrives();
        if crash == Some(Crash::Before) {
            return std::future::pending().await;
        }
        let sort = format!("{} {}", parts.method, target.sort());
        if self.state().faults.hang.is_some_and(|hangs| hangs == sort) {
            return std::future::pending().await;
        }
        let takes = self.state().faults.answers_take;
        tokio::time::sleep(takes).await;
        let mut answer = if target.is_status() {
            self.write_status(parts, target, query, body).await
        } else {
            self.state().write(parts, target, query, body)
        };
        if answer.status().is_success() {
            let mut state = self.state();
            state
                .writes
                .push(format!("{} {}", parts.method, target.words()));
            state.react();
        }
        if crash == Some(Crash::After) {
            return std::future::pending().await;
        }
        let mut state = self.state();
        let bytes = answer.body().size_hint().exact().unwrap_or_default();
        let refused = if answer.status().is_success() {
            ""
        } else {
            "REFUSED "
        };
        let counted = state
            .traffic
            .entry(format!("{refused}{} {}", parts.method, target.sort()))
            .or_default();
        (counted.0, counted.1) = (counted.0 + 1, counted.1 + bytes);
        drop(state);
        answer
            .headers_mut()
            .insert("content-type", "application/json".parse().unwrap());
        answer
    }

    fn event(&self, body: &Bytes) -> Response<Body> {
        let event: Value = serde_json::from_slice(body).unwrap();
        let mut state = self.state();
        if let Some(code) = state.faults.refuse_events {
            return refused(code);
        }
        state.events.push(event.clone());
        let counted = state.traffic.entry("POST events".to_owned()).or_default();
        counted.0 += 1;
        answer(201, &event)
    }
}

impl State {
    /// Counts a write that has arrived, and whether the crash comes with it.
    fn arrives(&mut self) -> Option<Crash> {
        if self.crashed {
            // Whoever still writes is dead by the rules of the test.
            return Some(Crash::Before);
        }
        let (at, crash) = self.faults.crash?;
        self.arrived += 1;
        if self.arrived != at {
            return None;
        }
        self.crashed = true;
        Some(crash)
    }
}

impl<'a> Target<'a> {
    fn of(segments: &[&'a str]) -> Option<Self> {
        let (group, version, rest) = match segments {
            ["api", version, rest @ ..] => ("", *version, rest),
            ["apis", group, version, rest @ ..] => (*group, *version, rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] => (Some(*namespace), rest),
            rest => (None, rest),
        };
        let plural = *rest.first()?;
        Some(Self {
            group,
            version,
            plural,
            namespace,
            name: rest.get(1).copied(),
            subresource: rest.get(2).copied(),
        })
    }

    fn table(&self) -> String {
        format!("{}/{}", self.group, self.plural)
    }

    fn key(&self) -> Name {
        (
            self.namespace.unwrap_or_default().to_owned(),
            self.name.unwrap().to_owned(),
        )
    }

    fn is_status(&self) -> bool {
        self.subresource == Some("status")
    }

    /// Without the name.
    fn sort(&self) -> String {
        let subresource = self
            .subresource
            .map(|sub| format!("/{sub}"))
            .unwrap_or_default();
        format!("{}/{}{subresource}", self.group, self.plural)
    }

    fn words(&self) -> String {
        let name = [self.namespace, self.name];
        format!(
            "{} {}",
            self.sort(),
            name.into_iter().flatten().collect::<Vec<_>>().join("/")
        )
    }
}

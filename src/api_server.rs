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
mod objects;
mod preconditions;
mod scheduled_machines;
mod state;
mod table;
mod target;
mod writes;

use std::collections::BTreeMap;

use axum::body::{Body, Bytes, HttpBody};
use http::{Method, Request, Response, request::Parts};
use kube::Client;
use serde_json::Value;
use tower::{BoxError, service_fn};

use answers::{answer, refused};
pub(crate) use faults::{Crash, Faults};
#[cfg(test)]
pub(crate) use merge::merge_patch;
pub(crate) use state::ApiServer;
#[cfg(test)]
pub(crate) use state::ClusterApi;
#[cfg(test)]
pub(crate) use table::SCHEDULED_MACHINES;
use target::Target;

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

    /// Sets one fault; all others end.
    pub(crate) fn fail(&self, set: impl FnOnce(&mut Faults)) {
        let mut faults = Faults::default();
        set(&mut faults);
        self.set_faults(faults);
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

    /// Answers one request.
    pub(crate) async fn answer(&self, parts: Parts, body: Bytes) -> Response<Body> {
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let segments: Vec<_> = path.trim_matches('/').split('/').collect();
        let Some(target) = Target::of(&segments) else {
            let mut state = self.state();
            state.count(format!("DISCOVER {path}"), 0);
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
        state.count(format!("{refused}{sort}"), bytes);
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
        state.count("POST events".to_owned(), 0);
        answer(201, &event)
    }
}

//! An API server in memory, for `ScheduledMachine`s and Events: it remembers, streams watches, and has faults.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use axum::body::{Body, Bytes};
use futures::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use kube::Client;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::{BoxError, service_fn};

/// A shared handle on the server.
#[derive(Clone, Debug, Default)]
pub(crate) struct ApiServer(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    version: u64,
    objects: BTreeMap<String, Value>,
    applied: BTreeMap<String, Value>,
    history: Vec<(u64, Value)>,
    watches: Vec<mpsc::UnboundedSender<Value>>,
    /// Open, but nothing comes through any more.
    dead_watches: Vec<mpsc::UnboundedSender<Value>>,
    held: Option<Vec<Value>>,
    writes: Vec<Write>,
    removals: Vec<Value>,
    events: Vec<Value>,
    lists: usize,
    /// Watches can't start before this version.
    compacted: u64,
    faults: Faults,
}

/// What goes wrong.
#[derive(Clone, Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fault that comes and goes by itself"
)]
pub(crate) struct Faults {
    /// The kind is not known.
    pub(crate) kind_is_missing: bool,
    /// Lists begin to be answered and never end.
    pub(crate) stall_lists: bool,
    /// Watches are never answered.
    pub(crate) stall_watches: bool,
    /// Status writes are answered with this code and change nothing.
    pub(crate) refuse_status: Option<u16>,
    /// Status writes are refused by the fence and change nothing.
    pub(crate) fence_refuses: bool,
    /// Labels that somebody puts on the object just before the next merge patch arrives.
    pub(crate) meddle: Option<Value>,
    /// Events are answered with this code.
    pub(crate) refuse_events: Option<u16>,
    /// Status writes are answered after this time only, and take effect then.
    pub(crate) status_takes: Duration,
}

/// An accepted status write.
#[derive(Clone, Debug)]
pub(crate) struct Write {
    pub(crate) name: String,
    pub(crate) status: Value,
    pub(crate) at: tokio::time::Instant,
}

impl ApiServer {
    pub(crate) fn client(&self) -> Client {
        let server = self.clone();
        let service = service_fn(move |request: Request<kube::client::Body>| {
            let server = server.clone();
            async move { server.answer(request).await }
        });
        Client::new(service, "default")
    }

    /// Creates or replaces an object, as a user would; a change of spec counts the generation up.
    pub(crate) fn put(&self, mut object: Value) {
        let mut state = self.state();
        let name = name(&object);
        let old = state.objects.get(&name).cloned();
        let generation = old
            .as_ref()
            .map_or(0, |old| old["metadata"]["generation"].as_i64().unwrap());
        let is_same_spec = old
            .as_ref()
            .is_some_and(|old| old["spec"] == object["spec"]);
        object["metadata"]["generation"] = json!(if is_same_spec {
            generation
        } else {
            generation + 1
        });
        object["metadata"]["uid"] = json!(format!("uid-of-{name}"));
        if object.get("status").is_none()
            && let Some(status) = old.as_ref().and_then(|old| old.get("status"))
        {
            object["status"] = status.clone();
        }
        let kind = if old.is_some() { "MODIFIED" } else { "ADDED" };
        state.store(kind, object);
    }

    /// Changes fields of an object, as a user would.
    pub(crate) fn patch(&self, name: &str, pointer: &str, value: Value) {
        let mut object = self.object(name);
        *object.pointer_mut(pointer).unwrap() = value;
        self.put(object);
    }

    pub(crate) fn delete(&self, name: &str) {
        let mut state = self.state();
        let object = state.objects.remove(name).unwrap();
        state.version += 1;
        let version = state.version;
        state.send(version, json!({"type": "DELETED", "object": object}));
    }

    pub(crate) fn object(&self, name: &str) -> Value {
        self.state().objects[name].clone()
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Ends all watches.
    pub(crate) fn break_watches(&self) {
        self.state().watches.clear();
    }

    /// The connections of all watches die without a word.
    pub(crate) fn silence_watches(&self) {
        let mut state = self.state();
        let watches = std::mem::take(&mut state.watches);
        state.dead_watches.extend(watches);
    }

    /// Ends all watches, and what happens from here to the next list can't be watched afterwards.
    pub(crate) fn compact(&self) {
        let mut state = self.state();
        state.compacted = u64::MAX;
        state.watches.clear();
    }

    /// Keeps news from the watches until they are released one by one.
    pub(crate) fn hold_news(&self) {
        self.state().held = Some(Vec::new());
    }

    pub(crate) fn release_one(&self) {
        let mut state = self.state();
        let news = state.held.as_mut().unwrap().remove(0);
        state
            .watches
            .retain(|watch| watch.send(news.clone()).is_ok());
    }

    pub(crate) fn writes(&self) -> Vec<Write> {
        self.state().writes.clone()
    }

    /// The statuses of accepted merge patches.
    pub(crate) fn removals(&self) -> Vec<Value> {
        self.state().removals.clone()
    }

    pub(crate) fn events(&self) -> Vec<Value> {
        self.state().events.clone()
    }

    pub(crate) fn lists(&self) -> usize {
        self.state().lists
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    async fn answer(
        &self,
        request: Request<kube::client::Body>,
    ) -> Result<Response<Body>, BoxError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        let segments: Vec<_> = path.trim_matches('/').split('/').collect();
        match (&parts.method, segments.as_slice()) {
            (&Method::GET, ["apis", "5spot.finos.org", "v1alpha1", "scheduledmachines"]) => {
                let faults = self.state().faults.clone();
                if query.contains("watch=true") {
                    assert!(query.contains("timeoutSeconds=30"), "{query}");
                    if faults.stall_watches {
                        return std::future::pending().await;
                    }
                    Ok(self.watch(&query))
                } else if faults.stall_lists {
                    let never = stream::pending::<std::io::Result<Bytes>>();
                    Ok(Response::new(Body::from_stream(never)))
                } else {
                    Ok(self.list())
                }
            }
            (
                &Method::PATCH,
                [
                    "apis",
                    "5spot.finos.org",
                    "v1alpha1",
                    "namespaces",
                    "default",
                    "scheduledmachines",
                    name,
                    "status",
                ],
            ) => {
                assert!(query.contains("fieldManager=5spot-controller"), "{query}");
                let wanted: Value = serde_json::from_slice(&body)?;
                Ok(match parts.headers["content-type"].to_str()? {
                    "application/merge-patch+json" => self.remove_from_status(name, &wanted),
                    "application/apply-patch+yaml" => {
                        assert!(query.contains("force=true"), "{query}");
                        self.apply_status(name, wanted).await
                    }
                    other => panic!("an unexpected patch: {other}"),
                })
            }
            (
                &Method::POST,
                [
                    "apis",
                    "events.k8s.io",
                    "v1",
                    "namespaces",
                    "default",
                    "events",
                ],
            ) => {
                let event: Value = serde_json::from_slice(&body)?;
                let refusal = self.state().faults.refuse_events;
                if let Some(code) = refusal {
                    return Ok(refused(code));
                }
                self.state().events.push(event.clone());
                Ok(answer(StatusCode::CREATED, &event))
            }
            (method, _) => panic!("an unexpected call: {method} {path}?{query}"),
        }
    }

    fn list(&self) -> Response<Body> {
        let mut state = self.state();
        state.lists += 1;
        if state.faults.kind_is_missing {
            return refused(404);
        }
        state.compacted = 0;
        let items: Vec<_> = state.objects.values().cloned().collect();
        let list = json!({
            "apiVersion": "5spot.finos.org/v1alpha1",
            "kind": "ScheduledMachineList",
            "metadata": {"resourceVersion": state.version.to_string()},
            "items": items,
        });
        answer(StatusCode::OK, &list)
    }

    fn watch(&self, query: &str) -> Response<Body> {
        let mut state = self.state();
        if state.faults.kind_is_missing {
            return refused(404);
        }
        let from: u64 = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("resourceVersion="))
            .and_then(|version| version.parse().ok())
            .unwrap();
        if from < state.compacted {
            // As the API server does it: the watch starts, and its first news is the error.
            let expired = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1",
                "status": "Failure", "reason": "Expired", "code": 410, "message": "too old resource version"}});
            return Response::new(Body::from(format!("{expired}\n")));
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        for (_version, news) in state.history.iter().filter(|(version, _)| *version > from) {
            sender.send(news.clone()).unwrap();
        }
        state.watches.push(sender);
        let lines = stream::unfold(receiver, async |mut receiver| {
            let news: Value = receiver.recv().await?;
            Some((
                Ok::<_, std::io::Error>(Bytes::from(format!("{news}\n"))),
                receiver,
            ))
        });
        Response::new(Body::from_stream(lines))
    }

    async fn apply_status(&self, name: &str, patch: Value) -> Response<Body> {
        let faults = self.state().faults.clone();
        if !faults.status_takes.is_zero() {
            tokio::time::sleep(faults.status_takes).await;
        }
        if let Some(code) = faults.refuse_status {
            return refused(code);
        }
        if faults.fence_refuses {
            let message = "forbidden: ValidatingAdmissionPolicy '5spot-fence' denied request";
            return refused_because(403, message);
        }
        let mut state = self.state();
        let Some(mut object) = state.objects.get(name).cloned() else {
            return refused(404);
        };
        if patch["metadata"]["uid"] != object["metadata"]["uid"] {
            return refused(409);
        }
        let status = patch["status"].clone();
        let at = tokio::time::Instant::now();
        state.writes.push(Write {
            name: name.to_owned(),
            status: status.clone(),
            at,
        });
        let before = state
            .applied
            .insert(name.to_owned(), status.clone())
            .unwrap_or_default();
        let merged = merge(object.get("status"), &before, &status);
        if object.get("status") != Some(&merged) {
            object["status"] = merged;
            object = state.store("MODIFIED", object);
        }
        answer(StatusCode::OK, &object)
    }
}

impl ApiServer {
    /// A merge patch with preconditions that removes fields.
    fn remove_from_status(&self, name: &str, patch: &Value) -> Response<Body> {
        let mut state = self.state();
        if let Some(meddle) = state.faults.meddle.take() {
            let mut object = state.objects[name].clone();
            object["metadata"]["labels"] = meddle;
            state.store("MODIFIED", object);
        }
        let Some(mut object) = state.objects.get(name).cloned() else {
            return refused(404);
        };
        for precondition in ["uid", "resourceVersion"] {
            assert!(patch["metadata"][precondition].is_string(), "{patch}");
            if patch["metadata"][precondition] != object["metadata"][precondition] {
                return refused(409);
            }
        }
        state.removals.push(patch["status"].clone());
        for (field, value) in patch["status"].as_object().unwrap() {
            assert!(value.is_null(), "{patch}");
            object["status"].as_object_mut().unwrap().remove(field);
        }
        answer(StatusCode::OK, &state.store("MODIFIED", object))
    }
}

impl State {
    fn store(&mut self, kind: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(name(&object), object.clone());
        self.send(self.version, json!({"type": kind, "object": object}));
        object
    }

    fn send(&mut self, version: u64, news: Value) {
        self.history.push((version, news.clone()));
        match &mut self.held {
            Some(held) => held.push(news),
            None => self
                .watches
                .retain(|watch| watch.send(news.clone()).is_ok()),
        }
    }
}

/// What server-side apply does to a status: what was applied before and is not any more goes, the rest stays.
fn merge(present: Option<&Value>, before: &Value, applied: &Value) -> Value {
    let mut merged = present
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let foreign: Vec<Value> = merged
        .get("conditions")
        .and_then(Value::as_array)
        .map(|conditions| {
            let is_ours = |kind: &Value| {
                let mut ours = applied["conditions"].as_array().into_iter().flatten();
                ours.any(|condition| &condition["type"] == kind)
            };
            conditions
                .iter()
                .filter(|condition| !is_ours(&condition["type"]))
                .cloned()
                .collect()
        })
        .unwrap_or_default();
    for key in before
        .as_object()
        .into_iter()
        .flat_map(|fields| fields.keys())
    {
        merged.remove(key);
    }
    merged.extend(applied.as_object().cloned().unwrap_or_default());
    if let Some(Value::Array(conditions)) = merged.get_mut("conditions") {
        conditions.extend(foreign);
    }
    Value::Object(merged)
}

fn name(object: &Value) -> String {
    object["metadata"]["name"].as_str().unwrap().to_owned()
}

fn refused(code: u16) -> Response<Body> {
    refused_because(code, "refused")
}

fn refused_because(code: u16, message: &str) -> Response<Body> {
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "message": message, "reason": "Test", "code": code,
    });
    answer(StatusCode::from_u16(code).unwrap(), &status)
}

fn answer(code: StatusCode, body: &Value) -> Response<Body> {
    Response::builder()
        .status(code)
        .body(Body::from(body.to_string()))
        .unwrap()
}

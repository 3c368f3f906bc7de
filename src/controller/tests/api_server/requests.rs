//! What the API server answers.

use axum::body::{Body, Bytes};
use futures::stream;
use http::{Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tower::BoxError;

use super::{ApiServer, Call, Id, MACHINES, State, Watch, Write, store::is_labelled};

/// A path, taken apart.
struct Target {
    group_version: String,
    namespace: String,
    resource: String,
    name: Option<String>,
    subresource: Option<String>,
}

impl Target {
    fn of(path: &str) -> Option<Self> {
        let segments: Vec<_> = path.trim_matches('/').split('/').collect();
        let (group_version, rest) = match segments.as_slice() {
            ["apis", group, version, rest @ ..] => (format!("{group}/{version}"), rest),
            ["api", "v1", rest @ ..] => ("v1".to_owned(), rest),
            _ => return None,
        };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] => (*namespace, rest),
            rest => ("", rest),
        };
        let (resource, rest) = rest.split_first()?;
        Some(Self {
            group_version,
            namespace: namespace.to_owned(),
            resource: (*resource).to_owned(),
            name: rest.first().map(|name| (*name).to_owned()),
            subresource: rest.get(1).map(|name| (*name).to_owned()),
        })
    }

    fn id(&self) -> Id {
        let name = self.name.clone().unwrap_or_default();
        (self.resource.clone(), self.namespace.clone(), name)
    }
}

impl ApiServer {
    pub(super) async fn answer(
        &self,
        request: Request<kube::client::Body>,
    ) -> Result<Response<Body>, BoxError> {
        let (parts, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = parts.uri.path().to_owned();
        let query = parts.uri.query().unwrap_or_default().to_owned();
        if self.state().is_dead() {
            return std::future::pending().await;
        }
        let refusal = self.state().faults.refuse;
        if let Some((method, part, code)) = refusal
            && parts.method == method
            && path.contains(part)
        {
            return Ok(refused(code));
        }
        let Some(target) = Target::of(&path) else {
            return Ok(self.discover(path.trim_matches('/')));
        };
        if parts.method == Method::GET {
            return self.read(&target, &query).await;
        }
        let faults = self.state().faults.clone();
        let is_status = target.subresource.as_deref() == Some("status");
        if is_status && !faults.status_takes.is_zero() {
            tokio::time::sleep(faults.status_takes).await;
        }
        let body: Value = serde_json::from_slice(&body).unwrap_or_default();
        let content = parts
            .headers
            .get("content-type")
            .map(|text| text.to_str().unwrap().to_owned());
        let answer = self.write(&parts.method, &target, &query, content.as_deref(), &body);
        if answer.status().is_success()
            && target.resource != "events"
            && self.note(&parts.method, &target)
        {
            // It was accepted, and nobody hears of it.
            return std::future::pending().await;
        }
        Ok(answer)
    }

    /// Notes an accepted write; whether it was the last that is answered.
    fn note(&self, method: &Method, target: &Target) -> bool {
        let mut state = self.state();
        let name = target.name.as_deref().unwrap_or_default();
        let part = target
            .subresource
            .as_deref()
            .map(|part| format!("/{part}"))
            .unwrap_or_default();
        let what = format!("{method} {} {name}{part}", target.resource);
        state.calls.push(Call {
            what: what.trim_end().to_owned(),
            at: tokio::time::Instant::now(),
        });
        state.is_dead()
    }

    fn discover(&self, path: &str) -> Response<Body> {
        let group = path
            .strip_prefix("apis/")
            .unwrap_or_else(|| panic!("an unexpected call: {path}"));
        let state = self.state();
        let resources: Vec<_> = state
            .served
            .iter()
            .filter(|(served, ..)| served == group)
            .map(|(_, kind, plural)| {
                json!({"name": plural, "kind": kind, "namespaced": true, "singularName": "", "verbs": ["get"]})
            })
            .collect();
        if resources.is_empty() {
            return refused(404);
        }
        let list = json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group, "resources": resources});
        answer(StatusCode::OK, &list)
    }

    async fn read(&self, target: &Target, query: &str) -> Result<Response<Body>, BoxError> {
        let faults = self.state().faults.clone();
        let is_ours = target.resource == MACHINES;
        if target.name.is_some() {
            let object = self.state().objects.get(&target.id()).cloned();
            return Ok(
                object.map_or_else(|| refused(404), |object| answer(StatusCode::OK, &object))
            );
        }
        if query.contains("watch=true") {
            assert!(query.contains("timeoutSeconds=30"), "{query}");
            if is_ours && faults.stall_watches {
                return std::future::pending().await;
            }
            return Ok(self.watch(target, query));
        }
        if is_ours && faults.stall_lists {
            let never = stream::pending::<std::io::Result<Bytes>>();
            return Ok(Response::new(Body::from_stream(never)));
        }
        Ok(self.list(target, query))
    }

    fn list(&self, target: &Target, query: &str) -> Response<Body> {
        let mut state = self.state();
        if target.resource == MACHINES {
            state.lists += 1;
            if state.faults.kind_is_missing {
                return refused(404);
            }
            state.compacted = 0;
        }
        if !state.is_served(target) {
            return refused(404);
        }
        let node = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("fieldSelector=spec.nodeName%3D"));
        let items: Vec<_> = state
            .objects
            .iter()
            .filter(|((resource, ..), _)| *resource == target.resource)
            .map(|(_, object)| object)
            .filter(|object| !query.contains("labelSelector") || is_labelled(object))
            .filter(|object| node.is_none_or(|node| object["spec"]["nodeName"] == node))
            .cloned()
            .collect();
        let list = json!({
            "apiVersion": target.group_version,
            "kind": "List",
            "metadata": {"resourceVersion": state.version.to_string()},
            "items": items,
        });
        answer(StatusCode::OK, &list)
    }

    fn watch(&self, target: &Target, query: &str) -> Response<Body> {
        let mut state = self.state();
        let is_ours = target.resource == MACHINES;
        if is_ours && state.faults.kind_is_missing || !state.is_served(target) {
            return refused(404);
        }
        let from: u64 = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("resourceVersion="))
            .and_then(|version| version.parse().ok())
            .unwrap();
        if is_ours && from < state.compacted {
            // As the API server does it: the watch starts, and its first news is the error.
            let expired = json!({"type": "ERROR", "object": {"kind": "Status", "apiVersion": "v1",
                "status": "Failure", "reason": "Expired", "code": 410, "message": "too old resource version"}});
            return Response::new(Body::from(format!("{expired}\n")));
        }
        let (sender, receiver) = mpsc::unbounded_channel();
        let is_labelled_only = query.contains("labelSelector");
        for (_version, (resource, news)) in
            state.history.iter().filter(|(version, _)| *version > from)
        {
            if *resource == target.resource && (!is_labelled_only || is_labelled(&news["object"])) {
                sender.send(news.clone()).unwrap();
            }
        }
        state.watches.push(Watch {
            resource: target.resource.clone(),
            is_labelled: is_labelled_only,
            sender,
        });
        let lines = stream::unfold(receiver, async |mut receiver| {
            let news: Value = receiver.recv().await?;
            Some((
                Ok::<_, std::io::Error>(Bytes::from(format!("{news}\n"))),
                receiver,
            ))
        });
        Response::new(Body::from_stream(lines))
    }

    fn write(
        &self,
        method: &Method,
        target: &Target,
        query: &str,
        content: Option<&str>,
        body: &Value,
    ) -> Response<Body> {
        let mut state = self.state();
        let id = target.id();
        match (method.as_str(), target.subresource.as_deref()) {
            ("POST", None) if target.resource == "events" => {
                if let Some(code) = state.faults.refuse_events {
                    return refused(code);
                }
                state.events.push(body.clone());
                answer(StatusCode::CREATED, body)
            }
            // The same again, as the recorder counts it.
            ("PATCH", None) if target.resource == "events" => answer(StatusCode::OK, body),
            ("POST", None) => {
                assert!(query.contains("fieldManager=5spot-controller"), "{query}");
                let name = body["metadata"]["name"].as_str().unwrap().to_owned();
                let id = (id.0, id.1, name);
                if state.objects.contains_key(&id) {
                    return refused(409);
                }
                let made = state.create(&id, body.clone());
                answer(StatusCode::CREATED, &made)
            }
            ("POST", Some("eviction")) => state.evict(&id, body),
            ("DELETE", None) => {
                let Some(object) = state.objects.get(&id) else {
                    return refused(404);
                };
                let uid = &body["preconditions"]["uid"];
                assert!(uid.is_string(), "{body}");
                if *uid != object["metadata"]["uid"] {
                    return refused(409);
                }
                let deleted = state.delete(&id);
                answer(StatusCode::OK, &deleted)
            }
            ("PATCH", None | Some("status")) => {
                state.patch(target, query, content.unwrap_or_default(), body)
            }
            _ => panic!(
                "an unexpected call: {method} {} {:?}",
                target.resource, target.subresource
            ),
        }
    }
}

impl State {
    fn is_dead(&self) -> bool {
        self.faults
            .dies_after
            .is_some_and(|after| self.calls.len() >= after)
    }

    fn is_served(&self, target: &Target) -> bool {
        const ALWAYS: [&str; 3] = [MACHINES, "nodes", "pods"];
        ALWAYS.contains(&target.resource.as_str())
            || self.served.iter().any(|(group, _, plural)| {
                *group == target.group_version && *plural == target.resource
            })
    }

    fn evict(&mut self, id: &Id, body: &Value) -> Response<Body> {
        assert_eq!(
            (&body["apiVersion"], &body["kind"]),
            (&json!("policy/v1"), &json!("Eviction"))
        );
        let Some(pod) = self.objects.get(id).cloned() else {
            return refused(404);
        };
        if body["deleteOptions"]["preconditions"]["uid"] != pod["metadata"]["uid"] {
            return refused(409);
        }
        if self.faults.budget_is_spent {
            return refused_because(
                429,
                "Cannot evict pod as it would violate the pod's disruption budget.",
            );
        }
        if self.faults.pods_linger {
            let mut pod = pod;
            pod["metadata"]["deletionTimestamp"] = json!(self.now());
            pod["metadata"]["finalizers"] = json!(["test/linger"]);
            self.store(id, pod);
        } else {
            self.remove(id);
        }
        answer(
            StatusCode::CREATED,
            &json!({"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 201}),
        )
    }

    fn patch(
        &mut self,
        target: &Target,
        query: &str,
        content: &str,
        patch: &Value,
    ) -> Response<Body> {
        let id = target.id();
        let is_status = target.subresource.is_some();
        if is_status {
            if let Some(code) = self.faults.refuse_status {
                return refused(code);
            }
            if self.faults.fence_refuses {
                let message = "forbidden: ValidatingAdmissionPolicy '5spot-fence' denied request";
                return refused_because(403, message);
            }
        }
        let manager = query
            .split('&')
            .find_map(|pair| pair.strip_prefix("fieldManager="))
            .unwrap_or_else(|| panic!("no field manager: {query}"))
            .to_owned();
        assert!(manager.starts_with("5spot-controller"), "{query}");
        let is_merge = content == "application/merge-patch+json";
        if is_merge
            && is_status
            && let Some(meddle) = self.faults.meddle.take()
        {
            let mut object = self.objects[&id].clone();
            object["metadata"]["labels"] = meddle;
            self.store(&id, object);
        }
        let Some(object) = self.objects.get(&id).cloned() else {
            return refused(404);
        };
        let preconditions: &[&str] = if is_merge {
            &["uid", "resourceVersion"]
        } else {
            &["uid"]
        };
        for precondition in preconditions {
            assert!(patch["metadata"][precondition].is_string(), "{patch}");
            if patch["metadata"][precondition] != object["metadata"][precondition] {
                return refused_because(409, "Precondition failed");
            }
        }
        if is_merge {
            if is_status {
                self.removals.push(patch["status"].clone());
            }
            return answer(StatusCode::OK, &self.merge_patch(&id, patch));
        }
        assert_eq!(content, "application/apply-patch+yaml");
        if is_status {
            assert!(query.contains("force=true"), "{query}");
            self.writes.push(Write {
                name: id.2.clone(),
                status: patch["status"].clone(),
                at: tokio::time::Instant::now(),
            });
        }
        let part = target.subresource.clone().unwrap_or_default();
        answer(StatusCode::OK, &self.apply(&id, &part, &manager, patch))
    }
}

fn refused(code: u16) -> Response<Body> {
    refused_because(code, "refused")
}

fn refused_because(code: u16, message: &str) -> Response<Body> {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        429 => "TooManyRequests",
        _ => "Test",
    };
    let status = json!({
        "apiVersion": "v1", "kind": "Status", "status": "Failure", "message": message, "reason": reason, "code": code,
    });
    answer(StatusCode::from_u16(code).unwrap(), &status)
}

fn answer(code: StatusCode, body: &Value) -> Response<Body> {
    Response::builder()
        .status(code)
        .body(Body::from(body.to_string()))
        .unwrap()
}

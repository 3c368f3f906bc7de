//! Writes to everything but statuses.

use axum::body::{Body, Bytes};
use http::{Method, Response, request::Parts};
use serde_json::{Value, json};

use super::{
    answers::{answer, refused, refused_because},
    merge::merge_patch,
    preconditions::Preconditions,
    state::State,
    table::{SCHEDULED_MACHINES, name_of},
    target::Target,
};

impl State {
    pub(super) fn write(
        &mut self,
        parts: &Parts,
        target: &Target<'_>,
        query: &str,
        body: &Bytes,
    ) -> Response<Body> {
        let verb = format!("{} {}", parts.method, target.sort());
        if let Some((code, message)) = self.faults.refuse.get(&verb) {
            return refused_because(*code, message);
        }
        let body: Value = serde_json::from_slice(body).unwrap_or_default();
        match (&parts.method, target.subresource) {
            (&Method::POST, Some("eviction")) => self.evict(target, &body),
            (&Method::POST, None) => {
                assert!(query.contains("fieldManager=5spot-controller"), "{query}");
                self.create(target, body)
            }
            (&Method::PATCH, None) => {
                assert_eq!(
                    parts.headers["content-type"],
                    "application/merge-patch+json"
                );
                assert!(query.contains("fieldManager=5spot-controller"), "{query}");
                self.patch(target, &body)
            }
            (&Method::DELETE, None) => self.delete_by(target, &body),
            (method, _) => panic!("an unexpected call: {method} {}", parts.uri),
        }
    }

    fn create(&mut self, target: &Target<'_>, mut object: Value) -> Response<Body> {
        let key = name_of(&object);
        if self.table(&target.table()).objects.contains_key(&key) {
            return refused(409);
        }
        object["metadata"]["uid"] = json!(self.next_uid());
        object["metadata"]["generation"] = json!(1);
        answer(201, &self.store(&target.table(), object))
    }

    fn patch(&mut self, target: &Target<'_>, patch: &Value) -> Response<Body> {
        let table = target.table();
        let Some(old) = self.table(&table).objects.get(&target.key()).cloned() else {
            return refused(404);
        };
        if let Some(code) = Preconditions::of_patch(patch).refusal(&old) {
            return refused(code);
        }
        let mut object = old.clone();
        merge_patch(&mut object, patch);
        if object == old {
            return answer(200, &object);
        }
        if table == SCHEDULED_MACHINES && object["spec"] != old["spec"] {
            object["metadata"]["generation"] =
                json!(old["metadata"]["generation"].as_i64().unwrap() + 1);
        }
        answer(200, &self.store(&table, object))
    }

    fn delete_by(&mut self, target: &Target<'_>, options: &Value) -> Response<Body> {
        let table = target.table();
        let Some(object) = self.table(&table).objects.get(&target.key()).cloned() else {
            return refused(404);
        };
        if let Some(code) = Preconditions::of_delete(options).refusal(&object) {
            return refused(code);
        }
        self.delete(&table, &target.key());
        answer(
            200,
            &json!({"kind": "Status", "apiVersion": "v1", "status": "Success"}),
        )
    }

    fn evict(&mut self, target: &Target<'_>, eviction: &Value) -> Response<Body> {
        let Some(pod) = self.table("/pods").objects.get(&target.key()).cloned() else {
            return refused(404);
        };
        if let Some(code) = Preconditions::of_eviction(eviction).refusal(&pod) {
            return refused(code);
        }
        if self
            .faults
            .budget_of
            .iter()
            .any(|held| Some(held.as_str()) == target.namespace)
        {
            return refused_because(
                429,
                "Cannot evict pod as it would violate the pod's disruption budget.",
            );
        }
        if self.faults.pods_linger {
            let mut pod = pod;
            pod["metadata"]["finalizers"] = json!(["example.com/lingers"]);
            self.store("/pods", pod);
        }
        self.delete("/pods", &target.key());
        answer(
            201,
            &json!({"kind": "Status", "apiVersion": "v1", "status": "Success", "code": 201}),
        )
    }
}

//! `ScheduledMachine`s: what users do to them, and their statuses.

use axum::body::{Body, Bytes};
use http::{Response, request::Parts};
use serde_json::{Value, json};

use super::{
    answers::{answer, refused, refused_because},
    merge::apply_status,
    preconditions::Preconditions,
    state::{ApiServer, StatusWrite},
    table::{Name, SCHEDULED_MACHINES, name_of},
    target::Target,
};

impl ApiServer {
    /// Creates or replaces an object, as a user would; a change of spec counts the generation up.
    pub(crate) fn put(&self, mut object: Value) {
        let mut state = self.state();
        let key = name_of(&object);
        let old = state.table(SCHEDULED_MACHINES).objects.get(&key).cloned();
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
        object["metadata"]["uid"] = json!(format!("uid-of-{}", key.1));
        if object.get("status").is_none()
            && let Some(status) = old.as_ref().and_then(|old| old.get("status"))
        {
            object["status"] = status.clone();
        }
        state.store(SCHEDULED_MACHINES, object);
    }

    /// Changes or adds a field of an object, as a user would.
    pub(crate) fn patch(&self, name: &str, pointer: &str, value: Value) {
        let mut object = self.object(name);
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[field] = value;
        self.put(object);
    }

    /// The object is gone, whatever keeps it.
    pub(crate) fn delete(&self, name: &str) {
        self.state().vanish(SCHEDULED_MACHINES, &key(name));
    }

    pub(crate) fn object(&self, name: &str) -> Value {
        self.state().tables[SCHEDULED_MACHINES].objects[&key(name)].clone()
    }

    /// Keeps news from the watches until they are released one by one.
    pub(crate) fn hold_news(&self) {
        self.state().held = Some(Vec::new());
    }

    pub(crate) fn release_one(&self) {
        let mut state = self.state();
        let news = state.held.as_mut().unwrap().remove(0);
        state.table(SCHEDULED_MACHINES).tell(&news);
    }

    /// Accepted writes of statuses.
    pub(crate) fn writes(&self) -> Vec<StatusWrite> {
        self.state().status_writes.clone()
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

    pub(super) async fn write_status(
        &self,
        parts: &Parts,
        target: &Target<'_>,
        query: &str,
        body: &Bytes,
    ) -> Response<Body> {
        assert_eq!(
            target.table(),
            SCHEDULED_MACHINES,
            "the status of another kind"
        );
        assert!(query.contains("fieldManager=5spot-controller"), "{query}");
        let wanted: Value = serde_json::from_slice(body).unwrap();
        match parts.headers["content-type"].to_str().unwrap() {
            "application/merge-patch+json" => self.remove_from_status(&target.key(), &wanted),
            "application/apply-patch+yaml" => {
                assert!(query.contains("force=true"), "{query}");
                self.apply_status(&target.key(), &wanted).await
            }
            other => panic!("an unexpected patch: {other}"),
        }
    }

    async fn apply_status(&self, key: &Name, patch: &Value) -> Response<Body> {
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
        let Some(mut object) = state.table(SCHEDULED_MACHINES).objects.get(key).cloned() else {
            return refused(404);
        };
        if let Some(code) = Preconditions::of_status(patch).refusal(&object) {
            return refused(code);
        }
        let status = patch["status"].clone();
        let at = tokio::time::Instant::now();
        state.status_writes.push(StatusWrite {
            name: key.1.clone(),
            status: status.clone(),
            at,
        });
        let before = state
            .applied
            .insert(key.1.clone(), status.clone())
            .unwrap_or_default();
        let merged = apply_status(object.get("status"), &before, &status);
        if object.get("status") != Some(&merged) {
            object["status"] = merged;
            object = state.store(SCHEDULED_MACHINES, object);
        }
        answer(200, &object)
    }

    /// A merge patch with preconditions that removes fields.
    fn remove_from_status(&self, key: &Name, patch: &Value) -> Response<Body> {
        let mut state = self.state();
        if let Some(meddle) = state.faults.meddle.take() {
            let mut object = state.table(SCHEDULED_MACHINES).objects[key].clone();
            object["metadata"]["labels"] = meddle;
            state.store(SCHEDULED_MACHINES, object);
        }
        let Some(mut object) = state.table(SCHEDULED_MACHINES).objects.get(key).cloned() else {
            return refused(404);
        };
        if let Some(code) = Preconditions::of_status(patch).refusal(&object) {
            return refused(code);
        }
        state.removals.push(patch["status"].clone());
        for (field, value) in patch["status"].as_object().unwrap() {
            assert!(value.is_null(), "{patch}");
            object["status"].as_object_mut().unwrap().remove(field);
        }
        answer(200, &state.store(SCHEDULED_MACHINES, object))
    }
}

fn key(name: &str) -> Name {
    ("default".to_owned(), name.to_owned())
}

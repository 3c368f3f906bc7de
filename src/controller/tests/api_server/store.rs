//! What the API server does to its objects.

use serde_json::{Map, Value, json};

use super::{Id, MACHINES, News, State};

impl State {
    /// Stores an object and tells the watches. One that is being deleted goes with its last finalizer.
    pub(super) fn store(&mut self, id: &Id, mut object: Value) -> Value {
        let is_deleting = object["metadata"]["deletionTimestamp"].is_string();
        let is_held = object["metadata"]["finalizers"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        if is_deleting && !is_held && self.objects.contains_key(id) {
            self.objects.insert(id.clone(), object.clone());
            self.remove(id);
            return object;
        }
        let kind = if self.objects.contains_key(id) {
            "MODIFIED"
        } else {
            "ADDED"
        };
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.objects.insert(id.clone(), object.clone());
        self.send(&id.0, json!({"type": kind, "object": object}));
        object
    }

    pub(super) fn remove(&mut self, id: &Id) {
        let Some(mut object) = self.objects.remove(id) else {
            return;
        };
        self.applied.retain(|(of, _, _), _| of != id);
        self.version += 1;
        object["metadata"]["resourceVersion"] = json!(self.version.to_string());
        self.send(&id.0, json!({"type": "DELETED", "object": object}));
    }

    pub(super) fn delete(&mut self, id: &Id) -> Value {
        let mut object = self.objects[id].clone();
        if object["metadata"]["deletionTimestamp"].is_null() {
            object["metadata"]["deletionTimestamp"] = json!(self.now());
            object = self.store(id, object);
        }
        if id.0 == "machines" && self.has_provider && !self.faults.machines_linger {
            self.deprovision(id);
        }
        object
    }

    pub(super) fn create(&mut self, id: &Id, mut object: Value) -> Value {
        self.uids += 1;
        object["metadata"]["uid"] = json!(format!("uid-{}", self.uids));
        object["metadata"]["generation"] = json!(1);
        object = self.store(id, object);
        if id.0 == "machines" && self.has_provider {
            object = self.provision(id, object);
        }
        object
    }

    /// What the provider does: the Machine gets a Node of its name.
    fn provision(&mut self, id: &Id, mut object: Value) -> Value {
        let provider_id = format!("test://{}", id.2);
        self.uids += 1;
        let node = json!({
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": id.2, "uid": format!("uid-{}", self.uids)},
            "spec": {"providerID": provider_id},
            "status": {"conditions": [{"type": "Ready", "status": "True", "reason": "x", "message": "",
                "lastTransitionTime": self.now()}]},
        });
        self.store(&("nodes".to_owned(), String::new(), id.2.clone()), node);
        object["metadata"]["finalizers"] = json!(["machine.cluster.x-k8s.io"]);
        object["spec"]["providerID"] = json!(provider_id);
        object["status"] = json!({
            "phase": "Running",
            "nodeRef": {"name": id.2},
            "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": ""}],
        });
        self.store(id, object)
    }

    /// What Cluster API does: the Machine goes with its Node and all that it refers to.
    fn deprovision(&mut self, id: &Id) {
        for resource in ["k0sworkerconfigs", "remotemachines"] {
            self.remove(&(resource.to_owned(), id.1.clone(), id.2.clone()));
        }
        self.remove(&("nodes".to_owned(), String::new(), id.2.clone()));
        self.remove(id);
    }

    /// Server-side apply: what the manager applied before and does not any more goes, unless another manager has
    /// applied it too.
    pub(super) fn apply(&mut self, id: &Id, part: &str, manager: &str, patch: &Value) -> Value {
        let mut object = self.objects[id].clone();
        let mut applied = patch.clone();
        for field in ["name", "namespace", "uid"] {
            if let Some(metadata) = applied["metadata"].as_object_mut() {
                metadata.remove(field);
            }
        }
        let key = (id.clone(), part.to_owned(), manager.to_owned());
        let before = self
            .applied
            .insert(key.clone(), applied.clone())
            .unwrap_or_default();
        let others: Vec<Value> = self
            .applied
            .iter()
            .filter(|(other, _)| other.0 == *id && **other != key)
            .map(|(_, applied)| applied.clone())
            .collect();
        withdraw(&mut object, &before, &applied, &others);
        merge(&mut object, &applied);
        self.update(id, object)
    }

    /// A JSON merge patch.
    pub(super) fn merge_patch(&mut self, id: &Id, patch: &Value) -> Value {
        let mut object = self.objects[id].clone();
        merge_patch(&mut object, patch);
        self.update(id, object)
    }

    /// A write that changes nothing makes no news.
    fn update(&mut self, id: &Id, mut object: Value) -> Value {
        let before = &self.objects[id];
        for field in ["uid", "resourceVersion"] {
            object["metadata"][field] = before["metadata"][field].clone();
        }
        if *before == object {
            return object;
        }
        if id.0 == MACHINES && before["spec"] != object["spec"] {
            let generation = before["metadata"]["generation"].as_i64().unwrap();
            object["metadata"]["generation"] = json!(generation + 1);
        }
        self.store(id, object)
    }

    fn send(&mut self, resource: &str, news: Value) {
        let news = (resource.to_owned(), news);
        self.history.push((self.version, news.clone()));
        match &mut self.held {
            Some(held) if resource == MACHINES => held.push(news),
            _ => self.tell(&news),
        }
    }

    pub(super) fn tell(&mut self, (resource, news): &News) {
        self.watches.retain(|watch| {
            let is_meant =
                watch.resource == *resource && (!watch.is_labelled || is_labelled(&news["object"]));
            !is_meant || watch.sender.send(news.clone()).is_ok()
        });
    }
}

pub(super) fn is_labelled(object: &Value) -> bool {
    object["metadata"]["labels"][crate::api::SCHEDULED_MACHINE_LABEL].is_string()
}

/// The key by which the items of a list are told apart.
fn item_key(item: &Value) -> Option<Value> {
    match item {
        Value::Object(fields) => fields.get("uid").or_else(|| fields.get("type")).cloned(),
        other => Some(other.clone()),
    }
}

fn withdraw(object: &mut Value, before: &Value, applied: &Value, others: &[Value]) {
    let Value::Object(fields) = before else {
        return;
    };
    for (field, was) in fields {
        let now = applied.get(field);
        let of_others: Vec<Value> = others
            .iter()
            .filter_map(|other| other.get(field))
            .cloned()
            .collect();
        match was {
            Value::Object(_) => {
                if let Some(inner) = object.get_mut(field) {
                    withdraw(inner, was, now.unwrap_or(&json!({})), &of_others);
                    if now.is_none() && *inner == json!({}) {
                        object.as_object_mut().unwrap().remove(field);
                    }
                }
            }
            Value::Array(items) => {
                let is_kept = |item: &Value| {
                    let lists = now.into_iter().chain(&of_others);
                    let mut items = lists.filter_map(Value::as_array).flatten();
                    items.any(|kept| item_key(kept) == item_key(item))
                };
                if let Some(Value::Array(present)) = object.get_mut(field) {
                    present.retain(|item| {
                        let is_ours = items.iter().any(|ours| item_key(ours) == item_key(item));
                        !is_ours || is_kept(item)
                    });
                }
                if now.is_none() && object[field].as_array().is_some_and(Vec::is_empty) {
                    object.as_object_mut().unwrap().remove(field);
                }
            }
            _ if now.is_none() && of_others.is_empty() => {
                object.as_object_mut().unwrap().remove(field);
            }
            _ => {}
        }
    }
}

fn merge(object: &mut Value, applied: &Value) {
    match (object, applied) {
        (Value::Object(object), Value::Object(applied)) => {
            for (field, value) in applied {
                merge(object.entry(field).or_insert(Value::Null), value);
            }
        }
        (Value::Array(present), Value::Array(applied)) => {
            for item in applied {
                let place = present
                    .iter()
                    .position(|present| item_key(present) == item_key(item));
                match place {
                    Some(place) => present[place] = item.clone(),
                    None => present.push(item.clone()),
                }
            }
        }
        (object, applied) => *object = applied.clone(),
    }
}

fn merge_patch(object: &mut Value, patch: &Value) {
    let Value::Object(fields) = patch else {
        *object = patch.clone();
        return;
    };
    if !object.is_object() {
        *object = Value::Object(Map::new());
    }
    for (field, value) in fields {
        if value.is_null() {
            object.as_object_mut().unwrap().remove(field);
        } else {
            merge_patch(&mut object[field], value);
        }
    }
}

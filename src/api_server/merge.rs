//! What patches make of objects.

use serde_json::{Map, Value};

/// JSON merge patch, RFC 7396.
pub(crate) fn merge_patch(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = Value::Object(Map::new());
    }
    let target = target.as_object_mut().unwrap();
    for (key, value) in patch {
        if value.is_null() {
            target.remove(key);
        } else {
            merge_patch(target.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// What server-side apply does to a status: what was applied before and is not any more goes, the rest stays.
pub(super) fn apply_status(present: Option<&Value>, before: &Value, applied: &Value) -> Value {
    let conditions = |status: &Value| status["conditions"].as_array().cloned().unwrap_or_default();
    let mut merged = present
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default();
    let is_ours = |kind: &Value| {
        let of = |status| {
            conditions(status)
                .iter()
                .any(|condition| &condition["type"] == kind)
        };
        of(applied) || of(before)
    };
    let foreign: Vec<Value> = conditions(&Value::Object(merged.clone()))
        .into_iter()
        .filter(|condition| !is_ours(&condition["type"]))
        .collect();
    for key in before.as_object().into_iter().flat_map(Map::keys) {
        merged.remove(key);
    }
    merged.extend(applied.as_object().cloned().unwrap_or_default());
    if let Some(Value::Array(conditions)) = merged.get_mut("conditions") {
        conditions.extend(foreign);
    }
    Value::Object(merged)
}

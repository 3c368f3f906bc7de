//! The change that is made to the canary again and again, and what undoes all of them.

use serde_json::Value;

/// Stands for a number that is another one with each change.
pub const COUNTER: &str = "{counter}";

/// Whether a change changes anything when it is made again.
pub fn has_counter(patch: &Value) -> bool {
    match patch {
        Value::String(text) => text.contains(COUNTER),
        Value::Array(items) => items.iter().any(has_counter),
        Value::Object(fields) => fields.values().any(has_counter),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// The patch with a number for its counter: as a number where it stands alone, else as part of the text.
pub(super) fn filled(patch: &Value, counter: u32) -> Value {
    match patch {
        Value::String(text) if text == COUNTER => counter.into(),
        Value::String(text) => text.replace(COUNTER, &counter.to_string()).into(),
        Value::Array(items) => items.iter().map(|item| filled(item, counter)).collect(),
        Value::Object(fields) => fields
            .iter()
            .map(|(key, value)| (key.clone(), filled(value, counter)))
            .collect(),
        other => other.clone(),
    }
}

/// The merge patch that gives every field that `patch` sets the value it has in `original`.
pub(super) fn inverse(original: &Value, patch: &Value) -> Value {
    let Value::Object(fields) = patch else {
        return original.clone();
    };
    fields
        .iter()
        .map(|(key, change)| {
            let before = match original.get(key) {
                Some(before) if before.is_object() => inverse(before, change),
                Some(before) => before.clone(),
                // In a merge patch this takes the field away.
                None => Value::Null,
            };
            (key.clone(), before)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_counter_is_a_number_alone_and_text_within_text() {
        let patch = json!({"spec": {"priority": "{counter}", "note": "change {counter}", "list": ["{counter}", 1]}});
        assert!(has_counter(&patch));
        assert_eq!(
            filled(&patch, 7),
            json!({"spec": {"priority": 7, "note": "change 7", "list": [7, 1]}})
        );
        assert!(!has_counter(
            &json!({"spec": {"counter": 1, "{counter}": true}})
        ));
    }

    #[test]
    fn what_was_changed_gets_its_value_back_and_what_was_added_goes() {
        let original = json!({"data": {"a": "1", "b": "2"}, "kind": "ConfigMap"});
        let patch = json!({"data": {"a": "{counter}", "c": "{counter}"}, "spec": {"x": 1}});
        assert_eq!(
            inverse(&original, &patch),
            json!({"data": {"a": "1", "c": null}, "spec": null})
        );
    }
}

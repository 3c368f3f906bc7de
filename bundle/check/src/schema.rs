//! Schemas of custom resources, as the API server takes them: whether one is structural, and whether an object keeps it.
//!
//! The keywords are those of JSON Schema (draft 4, with `nullable`), and a library evaluates them. What Kubernetes adds is
//! here: defaults, fields that the schema does not know, and rules in CEL.

mod fault;
mod rule;
#[cfg(test)]
mod tests;

use jsonschema::Draft;
use serde_json::{Map, Value, json};

use crate::document::escape;

use fault::properties;

pub use fault::Fault;

const PRESERVE: &str = "x-kubernetes-preserve-unknown-fields";
const INT_OR_STRING: &str = "x-kubernetes-int-or-string";

fn is_set(schema: &Value, key: &str) -> bool {
    schema.get(key).and_then(Value::as_bool) == Some(true)
}

/// Why a schema is not structural, with where in it.
pub fn structural_faults(schema: &Value) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    structural(schema, "", &mut faults);
    faults
}

fn structural(schema: &Value, path: &str, faults: &mut Vec<(String, String)>) {
    let mut fault = |reason: &str| faults.push((path.to_owned(), reason.to_owned()));
    let may_lack_type = is_set(schema, INT_OR_STRING) || is_set(schema, PRESERVE);
    if schema.get("type").is_none() && !may_lack_type {
        fault("type is missing, so the schema is not structural");
    }
    if schema.get("$ref").is_some() {
        fault("$ref is not allowed in a structural schema");
    }
    let additional = schema.get("additionalProperties");
    if additional.is_some_and(Value::is_object) && schema.get("properties").is_some() {
        fault("properties and additionalProperties exclude each other");
    }
    if additional.and_then(Value::as_bool) == Some(false) {
        fault("additionalProperties is false, which the API server refuses");
    }
    let pattern = schema.get("pattern").and_then(Value::as_str);
    if let Some(pattern) = pattern
        && let Err(error) = regex::Regex::new(pattern)
    {
        fault(&format!(
            "pattern {pattern:?} is not a regular expression ({error})"
        ));
    }
    for (name, property) in properties(schema) {
        structural(
            property,
            &format!("{path}/properties/{}", escape(name)),
            faults,
        );
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = schema.get(key).filter(|inner| inner.is_object()) {
            structural(inner, &format!("{path}/{key}"), faults);
        }
    }
}

/// Whether a dotted path, as descriptors have it, is a field below a part of the schema such as `spec`.
pub fn has_field(schema: &Value, part: &str, path: &str) -> bool {
    let Some(mut here) = schema.get("properties").and_then(|parts| parts.get(part)) else {
        return false;
    };
    // A part of a path may carry an index.
    let names = path.split(['.', '[', ']']).filter(|name| !name.is_empty());
    let mut is_any = false;
    for name in names {
        is_any = true;
        if let Some(items) = here.get("items") {
            here = items;
            if name.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
        }
        let property = here.get("properties").and_then(|all| all.get(name));
        let additional = here
            .get("additionalProperties")
            .filter(|schema| schema.is_object());
        match property.or(additional) {
            Some(inner) => here = inner,
            None => return is_set(here, PRESERVE),
        }
    }
    is_any
}

/// Why an object does not keep a schema; empty when it does.
pub fn faults(schema: &Value, object: &Value) -> Vec<Fault> {
    let mut object = object.clone();
    default(schema, &mut object);
    let mut faults = by_keywords(schema, &object);
    unknown_fields(schema, &object, "", true, &mut faults);
    rule::evaluate(schema, &object, &mut faults);
    faults
}

fn by_keywords(schema: &Value, object: &Value) -> Vec<Fault> {
    let fault = |path: String, reason: String| Fault::Schema { path, reason };
    let schema = plain(schema);
    let validator = jsonschema::options()
        .with_draft(Draft::Draft4)
        .should_validate_formats(true)
        .should_ignore_unknown_formats(true)
        .build(&schema);
    match validator {
        Ok(validator) => validator
            .iter_errors(object)
            .map(|error| fault(error.instance_path().to_string(), error.to_string()))
            .collect(),
        Err(error) => vec![fault(
            String::new(),
            format!("its schema can't be used ({error})"),
        )],
    }
}

/// A schema in the words of JSON Schema alone.
fn plain(schema: &Value) -> Value {
    let Some(keywords) = schema.as_object() else {
        return schema.clone();
    };
    let mut plain = Map::new();
    for (key, value) in keywords {
        let value = match (key.as_str(), value) {
            (key, _) if key.starts_with("x-kubernetes-") => continue,
            ("nullable" | "description" | "default" | "example" | "title", _) => continue,
            ("properties", Value::Object(all)) => all
                .iter()
                .map(|(name, schema)| (name.clone(), self::plain(schema)))
                .collect(),
            ("items" | "additionalProperties" | "not", value) => self::plain(value),
            ("allOf" | "anyOf" | "oneOf", Value::Array(all)) => {
                all.iter().map(self::plain).collect()
            }
            (_, value) => value.clone(),
        };
        plain.insert(key.clone(), value);
    }
    if is_set(schema, INT_OR_STRING) {
        plain.remove("type");
        plain.remove("anyOf");
        plain.insert("type".to_owned(), json!(["integer", "string"]));
    }
    if is_set(schema, "nullable") {
        if let Some(type_) = plain.get("type").and_then(Value::as_str) {
            let types = json!([type_, "null"]);
            plain.insert("type".to_owned(), types);
        }
        if let Some(values) = plain.get_mut("enum").and_then(Value::as_array_mut) {
            values.push(Value::Null);
        }
    }
    Value::Object(plain)
}

/// Fills in defaults, as the API server does before it looks at anything else.
fn default(schema: &Value, object: &mut Value) {
    if let Value::Object(fields) = object {
        for (name, property) in properties(schema) {
            let is_absent = fields
                .get(name)
                .is_none_or(|found| found.is_null() && !is_set(property, "nullable"));
            if let Some(value) = property.get("default").filter(|_| is_absent) {
                fields.insert(name.clone(), value.clone());
            }
            if let Some(field) = fields.get_mut(name) {
                default(property, field);
            }
        }
        if let Some(additional) = schema.get("additionalProperties") {
            for field in fields.values_mut() {
                default(additional, field);
            }
        }
    }
    if let (Value::Array(items), Some(schema)) = (object, schema.get("items")) {
        for item in items {
            default(schema, item);
        }
    }
}

/// Fields that the API server would drop.
fn unknown_fields(
    schema: &Value,
    object: &Value,
    path: &str,
    is_root: bool,
    faults: &mut Vec<Fault>,
) {
    if is_set(schema, "x-kubernetes-embedded-resource") {
        return;
    }
    match object {
        Value::Object(fields) => {
            for (name, field) in fields {
                let here = format!("{path}/{}", escape(name));
                let property = schema.get("properties").and_then(|all| all.get(name));
                let additional = schema
                    .get("additionalProperties")
                    .filter(|schema| schema.is_object());
                match property.or(additional) {
                    _ if is_root && ["apiVersion", "kind", "metadata"].contains(&name.as_str()) => {
                    }
                    Some(inner) => unknown_fields(inner, field, &here, false, faults),
                    None if is_set(schema, PRESERVE) || is_set(schema, "additionalProperties") => {}
                    None => faults.push(Fault::Schema {
                        path: here,
                        reason: "the schema has no such field".to_owned(),
                    }),
                }
            }
        }
        Value::Array(items) => {
            if let Some(schema) = schema.get("items") {
                for (index, item) in items.iter().enumerate() {
                    unknown_fields(schema, item, &format!("{path}/{index}"), false, faults);
                }
            }
        }
        _ => {}
    }
}

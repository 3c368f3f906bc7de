//! What a definition may not lose between two releases.
//!
//! The rules are those of OLM v1 (kubernetes-sigs/crdify, as operator-controller configures it).

use std::collections::BTreeSet;

use serde_json::Value;

use super::kept::{self, Pair};
use crate::{
    document::Node,
    finding::Findings,
    subject::{Subject, told},
};

pub(in crate::rules) fn definition(subject: &Subject, findings: &mut Findings) {
    for (old, same) in kept::definitions(subject) {
        if let Some(new) = same {
            versions(&Pair { old, new }, findings);
        } else if let Some(csv) = subject.csv() {
            let name = old.at("/metadata/name");
            let message = format!("definition {name} of the release before is gone");
            findings.at(&csv.at("/spec/customresourcedefinitions"), message);
        }
    }
}

fn versions(definition: &Pair, findings: &mut Findings) {
    let scope = |definition: &Node| definition.at("/spec/scope").to_string();
    let (before, now) = (scope(&definition.old), scope(&definition.new));
    if before != now {
        let message = format!("spec.scope is {now}, and was {before}");
        findings.at(&definition.new.at("/spec/scope"), message);
    }
    let kept = definition.versions();
    for old in definition.old.items("/spec/versions") {
        let name = old.at("/name");
        if !kept
            .iter()
            .any(|version| version.old.get("/name") == name.value())
        {
            let message = format!("version {name} is gone");
            findings.at(&definition.new.at("/spec/versions"), message);
        }
    }
    for field in kept.iter().flat_map(Pair::fields) {
        if let (Some(old), Some(new)) = (field.old.value(), field.new.value()) {
            for message in taken_away(old, new) {
                findings.at(&field.new, message);
            }
        }
    }
}

/// What the newer of two schemas of a field takes away.
fn taken_away(old: &Value, new: &Value) -> Vec<String> {
    let mut messages = Vec::new();
    for key in ["type", "default", "format"] {
        if old.get(key) != new.get(key) {
            messages.push(change(old, new, key));
        }
    }
    limits(old, new, &mut messages);
    values(old, new, &mut messages);
    permissions(old, new, &mut messages);
    let required = |schema: &Value| -> BTreeSet<String> {
        let required = schema.get("required").and_then(Value::as_array);
        let names = required.into_iter().flatten().filter_map(Value::as_str);
        names.map(str::to_owned).collect()
    };
    for name in required(new).difference(&required(old)) {
        messages.push(format!("field {name:?} is newly required"));
    }
    let properties = |schema: &Value| -> BTreeSet<String> {
        let properties = schema.get("properties").and_then(Value::as_object);
        let names = properties.into_iter().flat_map(|all| all.keys().cloned());
        names.collect()
    };
    for name in properties(old).difference(&properties(new)) {
        messages.push(format!("field {name:?} is gone"));
    }
    messages
}

fn change(old: &Value, new: &Value, key: &str) -> String {
    let (before, now) = (told(old.get(key)), told(new.get(key)));
    format!("{key} is {now}, and was {before}")
}

/// A keyword, and whether its value now allows less than the one before.
type Limit = (&'static str, fn(f64, f64) -> bool);

/// Limits that are narrower than before.
fn limits(old: &Value, new: &Value, messages: &mut Vec<String>) {
    let number = |schema: &Value, key: &str| schema.get(key).and_then(Value::as_f64);
    let narrower: [Limit; 8] = [
        ("maximum", |before, now| now < before),
        ("maxLength", |before, now| now < before),
        ("maxItems", |before, now| now < before),
        ("maxProperties", |before, now| now < before),
        ("minimum", |before, now| now > before),
        ("minLength", |before, now| now > before),
        ("minItems", |before, now| now > before),
        ("minProperties", |before, now| now > before),
    ];
    for (key, is_narrower) in narrower {
        let is_worse = match (number(old, key), number(new, key)) {
            (Some(before), Some(now)) => is_narrower(before, now),
            (None, Some(_)) => true,
            _ => false,
        };
        if is_worse {
            messages.push(format!("{}: allows less", change(old, new, key)));
        }
    }
    // Which of two of these allows more is not to be told.
    for key in ["pattern", "multipleOf", "allOf", "anyOf", "oneOf", "not"] {
        if new.get(key).is_some() && old.get(key) != new.get(key) {
            messages.push(change(old, new, key));
        }
    }
}

/// Values of a list that are gone.
fn values(old: &Value, new: &Value, messages: &mut Vec<String>) {
    let list = |schema: &Value| schema.get("enum").and_then(Value::as_array).cloned();
    match (list(old), list(new)) {
        (Some(before), Some(now)) => {
            for gone in before.iter().filter(|value| !now.contains(value)) {
                messages.push(format!("value {gone} is gone"));
            }
        }
        (None, Some(_)) => messages.push("values are newly listed".to_owned()),
        _ => {}
    }
}

/// What was allowed by a word that is gone, or is forbidden by one that is new.
fn permissions(old: &Value, new: &Value, messages: &mut Vec<String>) {
    let says = |schema: &Value, key: &str| schema.get(key) == Some(&Value::Bool(true));
    for key in ["nullable", "x-kubernetes-preserve-unknown-fields"] {
        if says(old, key) && !says(new, key) {
            messages.push(change(old, new, key));
        }
    }
    for key in ["exclusiveMaximum", "exclusiveMinimum"] {
        if says(new, key) && !says(old, key) {
            messages.push(change(old, new, key));
        }
    }
}

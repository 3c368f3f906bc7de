//! What a definition may not lose between two releases.
//!
//! The rules are those of OLM v1 (kubernetes-sigs/crdify, as operator-controller configures it).

use std::collections::BTreeSet;

use serde_json::Value;

use super::super::{
    Findings, Subject,
    subject::{of_kind, told},
};
use crate::document::{Document, escape};

pub(in crate::check) fn definition(subject: &Subject, findings: &mut Findings) {
    let Some(previous) = subject.previous else {
        return;
    };
    for before in of_kind(previous, "CustomResourceDefinition") {
        let name = before.text("/metadata/name");
        let same = subject
            .of_kind("CustomResourceDefinition")
            .find(|definition| definition.text("/metadata/name") == name);
        match same {
            Some(now) => versions(before, now, findings),
            None => {
                if let Some(csv) = subject.csv() {
                    let message = format!(
                        "definition {} of the release before is gone",
                        told(before.at("/metadata/name"))
                    );
                    findings.at(csv, "/spec/customresourcedefinitions", message);
                }
            }
        }
    }
}

fn versions(before: &Document, now: &Document, findings: &mut Findings) {
    if before.text("/spec/scope") != now.text("/spec/scope") {
        let message = format!(
            "spec.scope is {}, and was {}",
            told(now.at("/spec/scope")),
            told(before.at("/spec/scope"))
        );
        findings.at(now, "/spec/scope", message);
    }
    let name = |version: &Value| {
        version
            .get("name")
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    for old in before.list("/spec/versions") {
        let index = now
            .list("/spec/versions")
            .iter()
            .position(|new| name(new) == name(old));
        let Some(index) = index else {
            findings.at(
                now,
                "/spec/versions",
                format!("version {} is gone", told(old.get("name"))),
            );
            continue;
        };
        let pointer = format!("/spec/versions/{index}/schema/openAPIV3Schema");
        let old = old.pointer("/schema/openAPIV3Schema");
        if let (Some(old), Some(new)) = (old, now.at(&pointer)) {
            Comparison { now, findings }.compare(old, new, &pointer);
        }
    }
}

/// A keyword, and whether its value now allows less than the one before.
type Limit = (&'static str, fn(f64, f64) -> bool);

/// Compares two schemas and notes what the newer one takes away.
struct Comparison<'a, 'f> {
    now: &'a Document,
    findings: &'f mut Findings,
}

impl Comparison<'_, '_> {
    fn note(&mut self, pointer: &str, message: String) {
        self.findings.at(self.now, pointer, message);
    }

    fn compare(&mut self, old: &Value, new: &Value, pointer: &str) {
        for key in ["type", "default", "format"] {
            let (before, now) = (old.get(key), new.get(key));
            if before != now {
                self.note(
                    pointer,
                    format!("{key} is {}, and was {}", told(now), told(before)),
                );
            }
        }
        self.limits(old, new, pointer);
        self.values(old, new, pointer);
        let names = |schema: &Value| -> BTreeSet<String> {
            let required = schema.get("required").and_then(Value::as_array);
            required
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        for name in names(new).difference(&names(old)) {
            self.note(pointer, format!("field {name:?} is newly required"));
        }
        let properties =
            |schema: &'_ Value| schema.get("properties").and_then(Value::as_object).cloned();
        for (name, before) in properties(old).into_iter().flatten() {
            let inner = format!("{pointer}/properties/{}", escape(&name));
            match new.get("properties").and_then(|all| all.get(&name)) {
                Some(now) => self.compare(&before, now, &inner),
                None => self.note(pointer, format!("field {name:?} is gone")),
            }
        }
        for key in ["items", "additionalProperties"] {
            if let (Some(before), Some(now)) = (old.get(key), new.get(key)) {
                self.compare(before, now, &format!("{pointer}/{key}"));
            }
        }
    }

    /// Limits that are narrower than before.
    fn limits(&mut self, old: &Value, new: &Value, pointer: &str) {
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
                let message = format!(
                    "{key} is {}, and was {}: allows less",
                    told(new.get(key)),
                    told(old.get(key))
                );
                self.note(pointer, message);
            }
        }
        let (before, now) = (old.get("pattern"), new.get("pattern"));
        if now.is_some() && before != now {
            self.note(
                pointer,
                format!("pattern is {}, and was {}", told(now), told(before)),
            );
        }
    }

    /// Values of a list that are gone.
    fn values(&mut self, old: &Value, new: &Value, pointer: &str) {
        let list = |schema: &Value| schema.get("enum").and_then(Value::as_array).cloned();
        match (list(old), list(new)) {
            (Some(before), Some(now)) => {
                for gone in before.iter().filter(|value| !now.contains(value)) {
                    self.note(pointer, format!("value {gone} is gone"));
                }
            }
            (None, Some(_)) => self.note(pointer, "values are newly listed".to_owned()),
            _ => {}
        }
    }
}

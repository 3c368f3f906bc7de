//! What a definition may not lose between two releases.
//!
//! The rules are those of OLM v1 (kubernetes-sigs/crdify, as operator-controller configures it).

use std::collections::BTreeSet;

use serde_json::Value;

use super::{
    super::{Findings, Subject, subject::told},
    kept::{self, Field},
};
use crate::document::Document;

pub(in crate::check) fn definition(subject: &Subject, findings: &mut Findings) {
    for (before, same) in kept::definitions(subject) {
        if let Some(now) = same {
            versions(before, now, findings);
        } else if let Some(csv) = subject.csv() {
            let message = format!(
                "definition {} of the release before is gone",
                told(before.at("/metadata/name"))
            );
            findings.at(csv, "/spec/customresourcedefinitions", message);
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
    let kept = kept::of_definition(before, now);
    for old in before.list("/spec/versions") {
        let name = old.get("name");
        if !kept.iter().any(|version| version.old.get("name") == name) {
            let message = format!("version {} is gone", told(name));
            findings.at(now, "/spec/versions", message);
        }
    }
    for field in kept.iter().flat_map(kept::Version::fields) {
        Comparison { now, findings }.compare(&field);
    }
}

/// A keyword, and whether its value now allows less than the one before.
type Limit = (&'static str, fn(f64, f64) -> bool);

/// Compares two schemas of a field and notes what the newer one takes away.
struct Comparison<'a, 'f> {
    now: &'a Document,
    findings: &'f mut Findings,
}

impl Comparison<'_, '_> {
    fn note(&mut self, pointer: &str, message: String) {
        self.findings.at(self.now, pointer, message);
    }

    fn compare(&mut self, field: &Field) {
        let Field { old, new, pointer } = field;
        for key in ["type", "default", "format"] {
            if old.get(key) != new.get(key) {
                self.note_change(field, key);
            }
        }
        self.limits(field);
        self.values(field);
        self.permissions(field);
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
        let properties = |schema: &Value| -> BTreeSet<String> {
            let properties = schema.get("properties").and_then(Value::as_object);
            let names = properties.into_iter().flat_map(|all| all.keys().cloned());
            names.collect()
        };
        for name in properties(old).difference(&properties(new)) {
            self.note(pointer, format!("field {name:?} is gone"));
        }
    }

    fn note_change(&mut self, field: &Field, key: &str) {
        let (before, now) = (field.old.get(key), field.new.get(key));
        let message = format!("{key} is {}, and was {}", told(now), told(before));
        self.note(&field.pointer, message);
    }

    /// Limits that are narrower than before.
    fn limits(&mut self, field: &Field) {
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
        let Field { old, new, pointer } = field;
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
        // Which of two of these allows more is not to be told.
        for key in ["pattern", "multipleOf", "allOf", "anyOf", "oneOf", "not"] {
            if new.get(key).is_some() && old.get(key) != new.get(key) {
                self.note_change(field, key);
            }
        }
    }

    /// Values of a list that are gone.
    fn values(&mut self, field: &Field) {
        let list = |schema: &Value| schema.get("enum").and_then(Value::as_array).cloned();
        match (list(field.old), list(field.new)) {
            (Some(before), Some(now)) => {
                for gone in before.iter().filter(|value| !now.contains(value)) {
                    self.note(&field.pointer, format!("value {gone} is gone"));
                }
            }
            (None, Some(_)) => self.note(&field.pointer, "values are newly listed".to_owned()),
            _ => {}
        }
    }

    /// What was allowed by a word that is gone, or is forbidden by one that is new.
    fn permissions(&mut self, field: &Field) {
        let allow = ["nullable", "x-kubernetes-preserve-unknown-fields"];
        let forbid = ["exclusiveMaximum", "exclusiveMinimum"];
        let says = |schema: &Value, key: &str| schema.get(key) == Some(&Value::Bool(true));
        for key in allow {
            if says(field.old, key) && !says(field.new, key) {
                self.note_change(field, key);
            }
        }
        for key in forbid {
            if says(field.new, key) && !says(field.old, key) {
                self.note_change(field, key);
            }
        }
    }
}

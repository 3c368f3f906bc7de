//! The examples in the annotation alm-examples.

use serde_json::Value;

use super::{Findings, Level, Needs, Rule, Subject};
use crate::{
    document::Document,
    schema::{self, Fault},
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "examples/json",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "alm-examples, where given, is a JSON list of objects, each of a kind and version that the bundle defines.",
        why: "Consoles and the scorecard parse it; OLM's validator refuses an example of a kind that the operator does not own.",
        check: json,
    },
    Rule {
        code: "examples/coverage",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "Every owned kind has an example.",
        why: "Without one, users start from an empty form.",
        check: coverage,
    },
    Rule {
        code: "examples/schema",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "Every example keeps its kind's schema, and has no field that the schema does not know.",
        why: "The API server refuses the example, or drops the field; no upstream validator looks.",
        check: by_schema,
    },
    Rule {
        code: "examples/rules",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "Every example keeps the CEL rules of its kind's schema.",
        why: "The API server evaluates them after the schema; no upstream validator does.",
        check: by_rules,
    },
];

/// Where the examples are.
const POINTER: &str = "/metadata/annotations/alm-examples";

/// The examples, or none where they can't be read.
pub(super) fn of(csv: &Document) -> Vec<Value> {
    let text = csv.text(POINTER).unwrap_or_default();
    serde_json::from_str(text).unwrap_or_default()
}

/// Whether an example is of this kind and version.
pub(super) fn is_of(example: &Value, kind: &str, version: &str) -> bool {
    let text = |field: &str| {
        example
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    text("kind") == kind && text("apiVersion").rsplit('/').next() == Some(version)
}

/// The definition's schema for an example.
fn schema_for<'a>(subject: &Subject<'a>, example: &Value) -> Option<&'a Value> {
    let text = |field: &str| {
        example
            .get(field)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let (group, version) = text("apiVersion").split_once('/')?;
    let definition = subject
        .of_kind("CustomResourceDefinition")
        .find(|definition| {
            definition.text("/spec/group") == Some(group)
                && definition.text("/spec/names/kind") == Some(text("kind"))
        })?;
    let mut versions = definition.list("/spec/versions").iter();
    let found =
        versions.find(|found| found.get("name").and_then(Value::as_str) == Some(version))?;
    found.pointer("/schema/openAPIV3Schema")
}

fn name(example: &Value) -> String {
    let text = |pointer: &str| {
        example
            .pointer(pointer)
            .and_then(Value::as_str)
            .unwrap_or("?")
    };
    format!("{} {}", text("/kind"), text("/metadata/name"))
}

fn json(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let Some(text) = csv.text(POINTER) else {
        return;
    };
    let examples: Vec<Value> = match serde_json::from_str(text) {
        Ok(examples) => examples,
        Err(error) => {
            findings.at(
                csv,
                POINTER,
                format!("alm-examples is no JSON list ({error})"),
            );
            return;
        }
    };
    for example in &examples {
        if schema_for(subject, example).is_none() {
            let message = format!(
                "{} of {}: the bundle defines no such kind and version",
                name(example),
                example.get("apiVersion").unwrap_or(&Value::Null)
            );
            findings.at(csv, POINTER, message);
        }
    }
}

fn coverage(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let text = csv.text(POINTER).unwrap_or("[]");
    if serde_json::from_str::<Vec<Value>>(text).is_err() {
        return;
    }
    let examples = of(csv);
    let owned = "/spec/customresourcedefinitions/owned";
    for index in 0..csv.list(owned).len() {
        let text = |field: &str| {
            csv.text(&format!("{owned}/{index}/{field}"))
                .unwrap_or_default()
        };
        let (kind, version) = (text("kind"), text("version"));
        // An older version of a kind that has an example in a newer one is only served for compatibility.
        let has_example = examples
            .iter()
            .any(|example| example.get("kind").and_then(Value::as_str) == Some(kind));
        if !has_example {
            findings.at(csv, POINTER, format!("no example of {kind} {version}"));
        }
    }
}

fn by_schema(subject: &Subject, findings: &mut Findings) {
    each(subject, |csv, name, faults| {
        for fault in faults {
            if let Fault::Schema { path, reason } = fault {
                findings.at(csv, POINTER, format!("{name}: {path}: {reason}"));
            }
        }
    });
}

fn by_rules(subject: &Subject, findings: &mut Findings) {
    each(subject, |csv, name, faults| {
        for fault in faults {
            match fault {
                Fault::Rule { path, reason } => {
                    findings.at(csv, POINTER, format!("{name}: {path}: {reason}"));
                }
                Fault::NotEvaluated { path, reason } => {
                    findings.not_checked(format!("{name}: {path}: {reason}"));
                }
                Fault::Schema { .. } => {}
            }
        }
    });
}

fn each(subject: &Subject, mut report: impl FnMut(&Document, &str, &[Fault])) {
    let Some(csv) = subject.csv() else { return };
    for example in of(csv) {
        if let Some(schema) = schema_for(subject, &example) {
            report(csv, &name(&example), &schema::faults(schema, &example));
        }
    }
}

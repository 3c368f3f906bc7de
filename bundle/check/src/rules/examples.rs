//! The examples in the annotation alm-examples.

use serde_json::Value;

use crate::{
    document::Node,
    finding::Findings,
    rule::Rule,
    schema::{self, Fault},
    subject::Subject,
};

pub(super) const RULES: &[Rule] = &[
    Rule::error("examples/json", json)
        .holds("alm-examples, where given, is a JSON list of objects, each of a kind and version that the bundle defines.")
        .why("Consoles and the scorecard parse it; OLM's validator refuses an example of a kind that the operator does not own."),
    Rule::warning("examples/coverage", coverage)
        .holds("Every owned kind has an example.")
        .why("Without one, users start from an empty form."),
    Rule::error("examples/schema", by_schema)
        .holds("Every example keeps its kind's schema, and has no field that the schema does not know.")
        .why("The API server refuses the example, or drops the field; no upstream validator checks it."),
    Rule::error("examples/rules", by_rules)
        .holds("Every example keeps the CEL rules of its kind's schema.")
        .why("The API server evaluates them after the schema; no upstream validator does."),
];

/// The annotation with the examples, where there is one.
fn annotation<'a>(subject: &Subject<'a>) -> Option<(Node<'a>, &'a str)> {
    let place = subject.csv()?.at("/metadata/annotations/alm-examples");
    let text = place.str()?;
    Some((place, text))
}

/// The examples, or none where they can't be read.
pub(super) fn examples(subject: &Subject) -> Vec<Value> {
    let text = annotation(subject).map_or("", |(_, text)| text);
    serde_json::from_str(text).unwrap_or_default()
}

/// Whether an example is of this kind and version.
pub(super) fn is_of(example: &Value, kind: &str, version: &str) -> bool {
    text(example, "/kind") == kind
        && text(example, "/apiVersion").rsplit('/').next() == Some(version)
}

fn text<'a>(example: &'a Value, pointer: &str) -> &'a str {
    let text = example.pointer(pointer).and_then(Value::as_str);
    text.unwrap_or_default()
}

/// The definition's schema for an example.
fn schema_for<'a>(subject: &Subject<'a>, example: &Value) -> Option<&'a Value> {
    let (group, version) = text(example, "/apiVersion").split_once('/')?;
    let definition = subject
        .of_kind("CustomResourceDefinition")
        .find(|definition| {
            definition.text("/spec/group") == group
                && definition.text("/spec/names/kind") == text(example, "/kind")
        })?;
    schema_of(&definition, version)
}

/// The schema of a version of a definition.
pub(super) fn schema_of<'a>(definition: &Node<'a>, version: &str) -> Option<&'a Value> {
    let versions = definition.items("/spec/versions");
    let found = versions
        .iter()
        .find(|found| found.text("/name") == version)?;
    found.get("/schema/openAPIV3Schema")
}

fn name(example: &Value) -> String {
    let text = |pointer: &str| {
        let text = example.pointer(pointer).and_then(Value::as_str);
        text.unwrap_or("?")
    };
    format!("{} {}", text("/kind"), text("/metadata/name"))
}

fn json(subject: &Subject, findings: &mut Findings) {
    let Some((place, text)) = annotation(subject) else {
        return;
    };
    let examples: Vec<Value> = match serde_json::from_str(text) {
        Ok(examples) => examples,
        Err(error) => {
            findings.at(&place, format!("alm-examples is not a JSON list ({error})"));
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
            findings.at(&place, message);
        }
    }
}

fn coverage(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let place = csv.at("/metadata/annotations/alm-examples");
    let text = place.str().unwrap_or("[]");
    let Ok(examples) = serde_json::from_str::<Vec<Value>>(text) else {
        return;
    };
    for owned in csv.items("/spec/customresourcedefinitions/owned") {
        let kind = owned.text("/kind");
        // An older version of a kind that has an example in a newer one is only served for compatibility.
        if !examples
            .iter()
            .any(|example| self::text(example, "/kind") == kind)
        {
            findings.at(
                &place,
                format!("no example of {kind} {}", owned.text("/version")),
            );
        }
    }
}

fn by_schema(subject: &Subject, findings: &mut Findings) {
    each(subject, |place, name, fault| {
        if let Fault::Schema { path, reason } = fault {
            findings.at(place, format!("{name}: {path}: {reason}"));
        }
    });
}

fn by_rules(subject: &Subject, findings: &mut Findings) {
    each(subject, |place, name, fault| match fault {
        Fault::Rule { path, reason } => findings.at(place, format!("{name}: {path}: {reason}")),
        Fault::NotEvaluated { path, reason } => {
            findings.not_checked(format!("{name}: {path}: {reason}"));
        }
        Fault::Schema { .. } => {}
    });
}

fn each(subject: &Subject, mut report: impl FnMut(&Node, &str, &Fault)) {
    let Some((place, _)) = annotation(subject) else {
        return;
    };
    for example in examples(subject) {
        if let Some(schema) = schema_for(subject, &example) {
            for fault in schema::faults(schema, &example) {
                report(&place, &name(&example), &fault);
            }
        }
    }
}

//! The kinds that the operator serves: definitions, and what consoles are told about their fields.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Findings, Level, Needs, Rule, Subject, subject::told};
use crate::{document::Document, schema};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "kinds/owned",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "Every kind and version that the ClusterServiceVersion owns has its definition in the bundle, and every definition is of \
                a kind that it owns.",
        why: "OLM refuses a bundle in which they differ.",
        check: owned,
    },
    Rule {
        code: "kinds/definition",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "Every definition is of apiextensions.k8s.io/v1, is named <plural>.<group>, stores exactly one version, and has a \
                structural schema for each.",
        why: "The API server refuses any other, and the install plan fails half way.",
        check: definition,
    },
    Rule {
        code: "kinds/unsupported",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "There are no required definitions and no API services.",
        why: "OLM v1 refuses both; OLM v0 looks for an operator in a catalog that owns a required definition.",
        check: unsupported,
    },
    Rule {
        code: "kinds/spec-descriptors",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "Every field of spec in the examples has a specDescriptor.",
        why: "Consoles show a form by them; the scorecard asks for each.",
        check: spec_descriptors,
    },
    Rule {
        code: "kinds/status-descriptors",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "A kind that has a status has a statusDescriptor.",
        why: "Consoles show the status by them; the scorecard asks for one.",
        check: status_descriptors,
    },
    Rule {
        code: "kinds/descriptor-paths",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "The path of every descriptor is a field of the schema.",
        why: "A descriptor of nothing shows an empty field; no upstream validator looks.",
        check: descriptor_paths,
    },
    Rule {
        code: "kinds/descriptions",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "Every owned kind has a display name, a description and the kinds of its objects (resources).",
        why: "Consoles and catalogs show them; the scorecard asks for each.",
        check: descriptions,
    },
];

/// Where the owned kinds are.
const OWNED: &str = "/spec/customresourcedefinitions/owned";

/// An owned kind and its definition, as name, version and kind.
type Identity<'a> = (&'a str, &'a str, &'a str);

fn owned_identity(csv: &Document, index: usize) -> Identity<'_> {
    let text = |field: &str| {
        csv.text(&format!("{OWNED}/{index}/{field}"))
            .unwrap_or_default()
    };
    (text("name"), text("version"), text("kind"))
}

/// The versions of a definition.
fn defined(definition: &Document) -> Vec<Identity<'_>> {
    let text = |pointer: &str| definition.text(pointer).unwrap_or_default();
    (0..definition.list("/spec/versions").len())
        .map(|index| {
            let version = text(&format!("/spec/versions/{index}/name"));
            (text("/metadata/name"), version, text("/spec/names/kind"))
        })
        .collect()
}

fn owned(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let defined_here: BTreeSet<_> = subject
        .of_kind("CustomResourceDefinition")
        .flat_map(defined)
        .collect();
    let mut owned = BTreeSet::new();
    for index in 0..csv.list(OWNED).len() {
        let (name, version, kind) = owned_identity(csv, index);
        owned.insert((name, kind));
        if !defined_here.contains(&(name, version, kind)) {
            let message = format!(
                "{kind} {version} ({name}) is owned, and its definition is not in the bundle"
            );
            findings.at(csv, &format!("{OWNED}/{index}"), message);
        }
    }
    for definition in subject.of_kind("CustomResourceDefinition") {
        let text = |pointer: &str| definition.text(pointer).unwrap_or_default();
        let (name, kind) = (text("/metadata/name"), text("/spec/names/kind"));
        if !owned.contains(&(name, kind)) {
            let message = format!(
                "{kind} ({name}) is defined, and the ClusterServiceVersion does not own it"
            );
            findings.at(definition, "/metadata/name", message);
        }
    }
}

fn definition(subject: &Subject, findings: &mut Findings) {
    for definition in subject.of_kind("CustomResourceDefinition") {
        let text = |pointer: &str| definition.text(pointer).unwrap_or_default();
        let api_version = text("/apiVersion");
        if api_version != "apiextensions.k8s.io/v1" {
            let message = format!("apiVersion is {api_version:?}: must be apiextensions.k8s.io/v1");
            findings.at(definition, "/apiVersion", message);
            continue;
        }
        let (name, plural, group) = (
            text("/metadata/name"),
            text("/spec/names/plural"),
            text("/spec/group"),
        );
        if name != format!("{plural}.{group}") {
            let message = format!("metadata.name is {name:?}: must be \"{plural}.{group}\"");
            findings.at(definition, "/metadata/name", message);
        }
        let versions = definition.list("/spec/versions");
        let is_stored =
            |version: &&Value| version.get("storage").and_then(Value::as_bool) == Some(true);
        let stored = versions.iter().filter(is_stored).count();
        if stored != 1 {
            let message = format!("{stored} versions are stored: must be exactly one");
            findings.at(definition, "/spec/versions", message);
        }
        for index in 0..versions.len() {
            let pointer = format!("/spec/versions/{index}/schema/openAPIV3Schema");
            match definition.at(&pointer) {
                None => findings.at(definition, &pointer, "schema.openAPIV3Schema is missing"),
                Some(found) => {
                    for (path, reason) in schema::structural_faults(found) {
                        findings.at(definition, &format!("{pointer}{path}"), reason);
                    }
                }
            }
        }
    }
}

fn unsupported(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let lists = [
        "/spec/customresourcedefinitions/required",
        "/spec/apiservicedefinitions/owned",
        "/spec/apiservicedefinitions/required",
    ];
    for list in lists.iter().filter(|list| !csv.list(list).is_empty()) {
        let field = list.trim_start_matches('/').replace('/', ".");
        let count = csv.list(list).len();
        findings.at(
            csv,
            list,
            format!("{field} has {count} entries, which OLM v1 refuses"),
        );
    }
}

/// The schema of an owned kind.
fn schema_of<'a>(subject: &Subject<'a>, (name, version, _): Identity) -> Option<&'a Value> {
    let definition = subject
        .of_kind("CustomResourceDefinition")
        .find(|definition| definition.text("/metadata/name") == Some(name))?;
    let mut versions = definition.list("/spec/versions").iter();
    let found =
        versions.find(|found| found.get("name").and_then(Value::as_str) == Some(version))?;
    found.pointer("/schema/openAPIV3Schema")
}

fn spec_descriptors(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let examples = super::examples::of(csv);
    for index in 0..csv.list(OWNED).len() {
        let (_, version, kind) = owned_identity(csv, index);
        let list = format!("{OWNED}/{index}/specDescriptors");
        let described: BTreeSet<_> = csv
            .list(&list)
            .iter()
            .filter_map(|descriptor| descriptor.get("path")?.as_str())
            .collect();
        let used: BTreeSet<_> = examples
            .iter()
            .filter(|example| super::examples::is_of(example, kind, version))
            .filter_map(|example| example.get("spec")?.as_object())
            .flat_map(|spec| spec.keys())
            .collect();
        for field in used
            .into_iter()
            .filter(|field| !described.contains(field.as_str()))
        {
            findings.at(
                csv,
                &list,
                format!("{kind}: field {field:?} of the example has no specDescriptor"),
            );
        }
    }
}

fn status_descriptors(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    for index in 0..csv.list(OWNED).len() {
        let identity = owned_identity(csv, index);
        let list = format!("{OWNED}/{index}/statusDescriptors");
        let has_status = schema_of(subject, identity)
            .is_some_and(|schema| schema.pointer("/properties/status/properties").is_some());
        if has_status && csv.list(&list).is_empty() {
            findings.at(
                csv,
                &list,
                format!("{}: there is a status and no statusDescriptor", identity.2),
            );
        }
    }
}

fn descriptor_paths(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    for index in 0..csv.list(OWNED).len() {
        let identity = owned_identity(csv, index);
        let Some(schema) = schema_of(subject, identity) else {
            continue;
        };
        for (list, part) in [("specDescriptors", "spec"), ("statusDescriptors", "status")] {
            let list = format!("{OWNED}/{index}/{list}");
            for descriptor in 0..csv.list(&list).len() {
                let pointer = format!("{list}/{descriptor}/path");
                let path = csv.text(&pointer).unwrap_or_default();
                if !schema::has_field(schema, part, path) {
                    let message = format!("{}: path {path:?} is no field of {part}", identity.2);
                    findings.at(csv, &pointer, message);
                }
            }
        }
    }
}

fn descriptions(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    for index in 0..csv.list(OWNED).len() {
        let kind = owned_identity(csv, index).2;
        for field in ["displayName", "description"] {
            let pointer = format!("{OWNED}/{index}/{field}");
            if csv.text(&pointer).unwrap_or_default().is_empty() {
                findings.at(
                    csv,
                    &pointer,
                    format!("{kind}: {field} is {}", told(csv.at(&pointer))),
                );
            }
        }
        let pointer = format!("{OWNED}/{index}/resources");
        if csv.list(&pointer).is_empty() {
            findings.at(
                csv,
                &pointer,
                format!("{kind}: resources is missing or empty"),
            );
        }
    }
}

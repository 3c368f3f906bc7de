//! The kinds that the operator serves: definitions, and what consoles are told about their fields.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::{document::Node, finding::Findings, rule::Rule, schema, subject::Subject};

use super::examples::{examples, is_of, schema_of};

pub(super) const RULES: &[Rule] = &[
    Rule::error("kinds/owned", owned)
        .holds("Every kind and version that the ClusterServiceVersion owns has its definition in the bundle, and every definition is of \
                a kind that it owns.")
        .why("OLM refuses a bundle in which they differ."),
    Rule::error("kinds/definition", definition)
        .holds("Every definition is of apiextensions.k8s.io/v1, is named <plural>.<group>, stores exactly one version, and has a \
                structural schema for each.")
        .why("The API server refuses any other, and the install plan fails half way."),
    Rule::warning("kinds/unsupported", unsupported)
        .holds("There are no required definitions and no API services.")
        .why("OLM v1 refuses both; OLM v0 looks for an operator in a catalog that owns a required definition."),
    Rule::warning("kinds/spec-descriptors", spec_descriptors)
        .holds("Every field of spec in the examples has a specDescriptor.")
        .why("Consoles show a form by them; the scorecard asks for each."),
    Rule::warning("kinds/status-descriptors", status_descriptors)
        .holds("A kind that has a status has a statusDescriptor.")
        .why("Consoles show the status by them; the scorecard asks for one."),
    Rule::error("kinds/descriptor-paths", descriptor_paths)
        .holds("The path of every descriptor is a field of the schema.")
        .why("A descriptor of nothing shows an empty field; no upstream validator checks it."),
    Rule::warning("kinds/descriptions", descriptions)
        .holds("Every owned kind has a display name, a description and the kinds of its objects (resources).")
        .why("Consoles and catalogs show them; the scorecard asks for each."),
];

const DEFINITION: &str = "CustomResourceDefinition";

/// The kinds that the ClusterServiceVersion owns.
fn owned_kinds<'a>(subject: &Subject<'a>) -> Vec<Node<'a>> {
    let owned = |csv: Node<'a>| csv.items("/spec/customresourcedefinitions/owned");
    subject.csv().map_or_else(Vec::new, owned)
}

fn owned(subject: &Subject, findings: &mut Findings) {
    if subject.csv().is_none() {
        return;
    }
    let mut defined = BTreeSet::new();
    for definition in subject.of_kind(DEFINITION) {
        let (name, kind) = (
            definition.text("/metadata/name"),
            definition.text("/spec/names/kind"),
        );
        for version in definition.items("/spec/versions") {
            defined.insert((name, version.text("/name"), kind));
        }
    }
    let mut owned = BTreeSet::new();
    for one in owned_kinds(subject) {
        let [name, version, kind] = ["/name", "/version", "/kind"].map(|field| one.text(field));
        owned.insert((name, kind));
        if !defined.contains(&(name, version, kind)) {
            let message = format!(
                "{kind} {version} ({name}) is owned, and its definition is not in the bundle"
            );
            findings.at(&one, message);
        }
    }
    for definition in subject.of_kind(DEFINITION) {
        let (name, kind) = (
            definition.text("/metadata/name"),
            definition.text("/spec/names/kind"),
        );
        if !owned.contains(&(name, kind)) {
            let message = format!(
                "{kind} ({name}) is defined, and the ClusterServiceVersion does not own it"
            );
            findings.at(&definition.at("/metadata/name"), message);
        }
    }
}

fn definition(subject: &Subject, findings: &mut Findings) {
    for definition in subject.of_kind(DEFINITION) {
        let api_version = definition.text("/apiVersion");
        if api_version != "apiextensions.k8s.io/v1" {
            let message = format!("apiVersion is {api_version:?}: must be apiextensions.k8s.io/v1");
            findings.at(&definition.at("/apiVersion"), message);
            continue;
        }
        let name = definition.text("/metadata/name");
        let (plural, group) = (
            definition.text("/spec/names/plural"),
            definition.text("/spec/group"),
        );
        if name != format!("{plural}.{group}") {
            let message = format!("metadata.name is {name:?}: must be \"{plural}.{group}\"");
            findings.at(&definition.at("/metadata/name"), message);
        }
        let versions = definition.items("/spec/versions");
        let stored = versions
            .iter()
            .filter(|version| version.is_true("/storage"))
            .count();
        if stored != 1 {
            let message = format!("{stored} versions are stored: must be exactly one");
            findings.at(&definition.at("/spec/versions"), message);
        }
        for version in versions {
            let place = version.at("/schema/openAPIV3Schema");
            let Some(schema) = place.value() else {
                findings.at(&place, "schema.openAPIV3Schema is missing");
                continue;
            };
            for (path, reason) in schema::structural_faults(schema) {
                findings.at(&place.at(&path), reason);
            }
        }
    }
}

fn unsupported(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let fields = [
        "spec.customresourcedefinitions.required",
        "spec.apiservicedefinitions.owned",
        "spec.apiservicedefinitions.required",
    ];
    for field in fields {
        let list = csv.at(&format!("/{}", field.replace('.', "/")));
        let count = list.items("").len();
        if count > 0 {
            findings.at(
                &list,
                format!("{field} has {count} entries, which OLM v1 refuses"),
            );
        }
    }
}

/// The schema of an owned kind.
fn schema_of_owned<'a>(subject: &Subject<'a>, owned: &Node) -> Option<&'a Value> {
    let mut definitions = subject.of_kind(DEFINITION);
    let definition =
        definitions.find(|definition| definition.text("/metadata/name") == owned.text("/name"))?;
    schema_of(&definition, owned.text("/version"))
}

fn spec_descriptors(subject: &Subject, findings: &mut Findings) {
    let examples = examples(subject);
    for owned in owned_kinds(subject) {
        let kind = owned.text("/kind");
        let list = owned.at("/specDescriptors");
        let described = list.items("");
        let described: BTreeSet<_> = described.iter().map(|one| one.text("/path")).collect();
        let used: BTreeSet<_> = examples
            .iter()
            .filter(|example| is_of(example, kind, owned.text("/version")))
            .filter_map(|example| example.get("spec")?.as_object())
            .flat_map(|spec| spec.keys())
            .collect();
        for field in used {
            if !described.contains(field.as_str()) {
                let message =
                    format!("{kind}: field {field:?} of the example has no specDescriptor");
                findings.at(&list, message);
            }
        }
    }
}

fn status_descriptors(subject: &Subject, findings: &mut Findings) {
    for owned in owned_kinds(subject) {
        let list = owned.at("/statusDescriptors");
        let schema = schema_of_owned(subject, &owned);
        let status = schema.and_then(|schema| schema.pointer("/properties/status/properties"));
        if status.is_some() && list.items("").is_empty() {
            let kind = owned.text("/kind");
            findings.at(
                &list,
                format!("{kind}: there is a status and no statusDescriptor"),
            );
        }
    }
}

fn descriptor_paths(subject: &Subject, findings: &mut Findings) {
    for owned in owned_kinds(subject) {
        let Some(schema) = schema_of_owned(subject, &owned) else {
            continue;
        };
        for (list, part) in [
            ("/specDescriptors", "spec"),
            ("/statusDescriptors", "status"),
        ] {
            for descriptor in owned.items(list) {
                let path = descriptor.text("/path");
                if !schema::has_field(schema, part, path) {
                    let kind = owned.text("/kind");
                    let message = format!("{kind}: path {path:?} is not a field of {part}");
                    findings.at(&descriptor.at("/path"), message);
                }
            }
        }
    }
}

fn descriptions(subject: &Subject, findings: &mut Findings) {
    for owned in owned_kinds(subject) {
        let kind = owned.text("/kind");
        for field in ["displayName", "description"] {
            let place = owned.at(&format!("/{field}"));
            if place.text("").is_empty() {
                findings.at(&place, format!("{kind}: {field} is {place}"));
            }
        }
        let resources = owned.at("/resources");
        if resources.items("").is_empty() {
            findings.at(&resources, format!("{kind}: resources is missing or empty"));
        }
    }
}

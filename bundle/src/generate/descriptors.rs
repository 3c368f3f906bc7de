//! The fields of a kind, as consoles show them; derived from its schema, so that none is forgotten and none is made up.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps,
};

use super::error::{GenerateError, name};
use crate::csv::{Descriptor, OwnedDefinition, ResourceReference};

const fn lacking(what: &'static str) -> GenerateError {
    GenerateError::Lacking {
        source_file: "src/api",
        what,
    }
}

/// The kind that a definition is about.
pub(super) fn owned(
    definition: &CustomResourceDefinition,
) -> Result<OwnedDefinition, GenerateError> {
    let spec = &definition.spec;
    let version = spec.versions.first().ok_or(lacking("version"))?;
    let schema = version
        .schema
        .as_ref()
        .and_then(|schema| schema.open_api_v3_schema.as_ref())
        .ok_or(lacking("schema"))?;
    let part = |name| -> Result<&BTreeMap<String, JSONSchemaProps>, GenerateError> {
        schema
            .properties
            .as_ref()
            .and_then(|properties| properties.get(name)?.properties.as_ref())
            .ok_or(lacking("schema of spec or status"))
    };
    Ok(OwnedDefinition {
        name: name(&definition.metadata, "src/api")?.to_owned(),
        version: version.name.clone(),
        kind: spec.names.kind.clone(),
        display_name: words(&spec.names.kind),
        description: schema
            .description
            .clone()
            .ok_or(lacking("description of the kind"))?,
        // Of Cluster API either version that the operator speaks does; bootstrap and infrastructure objects are of kinds that
        // users choose.
        resources: [
            ("Event", "", "v1"),
            ("Machine", "machines.cluster.x-k8s.io", "v1beta1"),
        ]
        .map(|(kind, name, version)| ResourceReference {
            kind,
            name,
            version,
        })
        .into(),
        spec_descriptors: descriptors(part("spec")?)?,
        status_descriptors: descriptors(part("status")?)?,
    })
}

fn descriptors(
    properties: &BTreeMap<String, JSONSchemaProps>,
) -> Result<Vec<Descriptor>, GenerateError> {
    let descriptor = |(path, schema): (&String, &JSONSchemaProps)| {
        Ok(Descriptor {
            path: path.clone(),
            display_name: words(path),
            description: schema
                .description
                .clone()
                .ok_or(lacking("description of a field"))?,
            x_descriptors: shown(path, schema),
        })
    };
    properties.iter().map(descriptor).collect()
}

/// How a console shows a field, in its words
/// (openshift/console, `packages/operator-lifecycle-manager/src/components/descriptors`).
fn shown(path: &str, schema: &JSONSchemaProps) -> Vec<&'static str> {
    match (path, schema.type_.as_deref()) {
        ("conditions", _) => vec!["urn:alm:descriptor:io.kubernetes.conditions"],
        ("phase", _) => vec!["urn:alm:descriptor:io.kubernetes.phase"],
        (_, Some("boolean")) => vec!["urn:alm:descriptor:com.tectonic.ui:booleanSwitch"],
        (_, Some("integer")) => vec!["urn:alm:descriptor:com.tectonic.ui:number"],
        (_, Some("string")) => vec!["urn:alm:descriptor:com.tectonic.ui:text"],
        _ => vec![],
    }
}

/// A name in camel case as words: `nodeDrainTimeout` is Node Drain Timeout.
fn words(name: &str) -> String {
    let mut words = String::new();
    let mut was_lower = false;
    for letter in name.chars() {
        if words.is_empty() {
            words.extend(letter.to_uppercase());
        } else {
            if letter.is_uppercase() && was_lower {
                words.push(' ');
            }
            words.push(letter);
        }
        was_lower = letter.is_lowercase();
    }
    words
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_name_in_camel_case_becomes_words() {
        assert_eq!(words("nodeDrainTimeout"), "Node Drain Timeout");
        assert_eq!(words("providerID"), "Provider ID");
        assert_eq!(words("ScheduledMachine"), "Scheduled Machine");
    }
}

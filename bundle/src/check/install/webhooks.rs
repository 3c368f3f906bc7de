//! What OLM makes of webhooks, Deployments and definitions: rules that its installer for v1 has too (operator-controller,
//! `internal/operator-controller/rukpak/render/registryv1/validators`).

use std::collections::BTreeSet;

use super::{Findings, MODES, Subject, WEBHOOKS};
use crate::{check::subject::is_dns_subdomain, document::Document};

pub(super) fn webhooks(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let deployments = subject.deployments();
    let owned = csv.list("/spec/customresourcedefinitions/owned").iter();
    let owned: Vec<_> = owned.filter_map(|owned| owned.get("name")).collect();
    for index in 0..csv.list(WEBHOOKS).len() {
        let pointer = format!("{WEBHOOKS}/{index}/deploymentName");
        let name = csv.text(&pointer).unwrap_or_default();
        if !deployments
            .iter()
            .any(|deployment| deployment.name() == name)
        {
            let message =
                format!("deploymentName is {name:?}, which is no Deployment of the bundle");
            findings.at(csv, &pointer, message);
        }
        let type_ = format!("{WEBHOOKS}/{index}/type");
        if csv.text(&type_) != Some("ConversionWebhook") {
            continue;
        }
        for mode in MODES.iter().filter(|mode| **mode != "AllNamespaces") {
            if subject.supports(mode) {
                let message = format!("it converts, and install mode {mode} is supported");
                findings.at(csv, &type_, message);
            }
        }
        let definitions = format!("{WEBHOOKS}/{index}/conversionCRDs");
        for definition in csv.list(&definitions) {
            if !owned.contains(&definition) {
                let message = format!("conversionCRDs has {definition}, which is not owned");
                findings.at(csv, &definitions, message);
            }
        }
    }
}

/// Something with a name, and where that is.
struct Named<'a> {
    document: &'a Document,
    pointer: String,
    /// What is named; of two with one name, only these collide.
    what: String,
    text: &'a str,
}

pub(super) fn unique_names(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let text = |pointer: &str| csv.text(pointer).unwrap_or_default();
    let mut names = Vec::new();
    for deployment in subject.deployments() {
        names.push(Named {
            document: csv,
            pointer: format!("{}/name", deployment.pointer),
            what: "Deployment".to_owned(),
            text: deployment.name(),
        });
    }
    for index in 0..csv.list(WEBHOOKS).len() {
        let pointer = format!("{WEBHOOKS}/{index}/generateName");
        names.push(Named {
            document: csv,
            text: text(&pointer),
            pointer,
            what: text(&format!("{WEBHOOKS}/{index}/type")).to_owned(),
        });
    }
    for definition in subject.of_kind("CustomResourceDefinition") {
        names.push(Named {
            document: definition,
            pointer: "/metadata/name".to_owned(),
            what: "CustomResourceDefinition".to_owned(),
            text: definition.text("/metadata/name").unwrap_or_default(),
        });
    }
    let mut seen = BTreeSet::new();
    for name in &names {
        let Named { what, text, .. } = name;
        if !is_dns_subdomain(text) {
            let message = format!("{what} {text:?}: must be a DNS subdomain");
            findings.at(name.document, &name.pointer, message);
        }
        if !seen.insert((what, text)) {
            let message = format!("{what} {text:?}: there is another of this name");
            findings.at(name.document, &name.pointer, message);
        }
    }
}

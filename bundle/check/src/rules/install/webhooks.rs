//! What OLM makes of webhooks, Deployments and definitions: rules that its installer for v1 has too (operator-controller,
//! `internal/operator-controller/rukpak/render/registryv1/validators`).

use std::collections::BTreeSet;

use crate::{
    document::Node,
    finding::Findings,
    subject::{Subject, is_dns_subdomain},
};

/// Where webhooks are.
pub(super) const WEBHOOKS: &str = "/spec/webhookdefinitions";

/// The install modes that OLM knows.
pub(super) const MODES: [&str; 4] = [
    "OwnNamespace",
    "SingleNamespace",
    "MultiNamespace",
    "AllNamespaces",
];

pub(super) fn webhooks(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let deployments = subject.deployments();
    let owned = csv.items("/spec/customresourcedefinitions/owned");
    let owned: Vec<_> = owned.iter().map(|owned| owned.text("/name")).collect();
    for webhook in csv.items(WEBHOOKS) {
        let name = webhook.text("/deploymentName");
        if !deployments
            .iter()
            .any(|deployment| deployment.name() == name)
        {
            let message =
                format!("deploymentName is {name:?}, which is not a Deployment of the bundle");
            findings.at(&webhook.at("/deploymentName"), message);
        }
        if webhook.text("/type") != "ConversionWebhook" {
            continue;
        }
        for mode in MODES.iter().filter(|mode| **mode != "AllNamespaces") {
            if subject.supports(mode) {
                let message = format!("it converts, and install mode {mode} is supported");
                findings.at(&webhook.at("/type"), message);
            }
        }
        let definitions = webhook.at("/conversionCRDs");
        for definition in definitions.words("") {
            if !owned.contains(&definition) {
                let message = format!("conversionCRDs has {definition:?}, which is not owned");
                findings.at(&definitions, message);
            }
        }
    }
}

pub(super) fn unique_names(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    // Each with what is named: of two with one name, only these collide.
    let mut names: Vec<(Node, &str)> = Vec::new();
    for deployment in subject.deployments() {
        names.push((deployment.node.at("/name"), "Deployment"));
    }
    for webhook in csv.items(WEBHOOKS) {
        names.push((webhook.at("/generateName"), webhook.text("/type")));
    }
    for definition in subject.of_kind("CustomResourceDefinition") {
        names.push((definition.at("/metadata/name"), "CustomResourceDefinition"));
    }
    let mut seen = BTreeSet::new();
    for (place, what) in &names {
        let text = place.text("");
        if !is_dns_subdomain(text) {
            findings.at(place, format!("{what} {text:?}: must be a DNS subdomain"));
        }
        if !seen.insert((what, text)) {
            findings.at(
                place,
                format!("{what} {text:?}: there is another of this name"),
            );
        }
    }
}

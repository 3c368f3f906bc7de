//! Where and how OLM installs the bundle.

mod webhooks;

use regex::Regex;
use serde_json::Value;

use crate::{
    document::{Node, escape},
    finding::Findings,
    rule::Rule,
    subject::Subject,
};

use super::access::bound_accounts;
use webhooks::{MODES, WEBHOOKS};

pub(super) const RULES: &[Rule] = &[
    Rule::warning("install/modes", modes)
        .holds("All four install modes are listed once.")
        .why("What is not listed counts as not supported, silently."),
    Rule::error("install/webhooks", webhooks::webhooks)
        .holds("Every webhook is served by a Deployment of the bundle; one that converts is of owned definitions, and AllNamespaces is \
                the only mode that is supported then.")
        .why("OLM makes the Service for that Deployment. A definition is converted for all namespaces, whoever installs it."),
    Rule::error("install/unique-names", webhooks::unique_names)
        .holds("Deployments, definitions and webhooks of one type each have a name of their own, and it is a DNS subdomain.")
        .why("Of two objects with one name the second overwrites the first, or the install fails; OLM v1 refuses the bundle."),
    Rule::error("install/service-names", service_names)
        .holds("Names of Services, and of what OLM makes a Service of (the Deployment of a webhook), are DNS labels that begin with a \
                letter (RFC 1035).")
        .why("The API server refuses any other Service, and the install plan fails half way."),
    Rule::warning("install/namespace", namespace)
        .holds("No manifest names a namespace: not in metadata, not for an account of the bundle, and nothing that is about namespaces \
                has the suggested one.")
        .why("Users choose it; what names another fails there, or is about something else."),
];

fn modes(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let list = csv.at("/spec/installModes");
    let modes = list.items("");
    for name in MODES {
        let count = modes
            .iter()
            .filter(|mode| mode.text("/type") == name)
            .count();
        if count != 1 {
            let message = format!("install mode {name} is listed {count} times: must be once");
            findings.at(&list, message);
        }
    }
}

fn is_service_name(name: &str) -> bool {
    Regex::new("^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$").is_ok_and(|regex| regex.is_match(name))
}

fn service_names(subject: &Subject, findings: &mut Findings) {
    for service in subject.of_kind("Service") {
        let name = service.text("/metadata/name");
        if !is_service_name(name) {
            let message =
                format!("Service {name:?}: must be a DNS label that begins with a letter");
            findings.at(&service.at("/metadata/name"), message);
        }
    }
    let Some(csv) = subject.csv() else { return };
    let makers = [WEBHOOKS, "/spec/apiservicedefinitions/owned"];
    for maker in makers.iter().flat_map(|list| csv.items(list)) {
        let deployment = maker.at("/deploymentName");
        // OLM: the dots of a name become dashes.
        let name = format!("{}-service", deployment.text("").replace('.', "-"));
        if !is_service_name(&name) {
            let message = format!(
                "OLM makes a Service {name:?} of it: must be a DNS label that begins with a letter"
            );
            findings.at(&deployment, message);
        }
    }
}

fn namespace(subject: &Subject, findings: &mut Findings) {
    const SUGGESTION: &str = "/metadata/annotations/operatorframework.io~1suggested-namespace";
    let suggested = subject.csv().and_then(|csv| csv.at(SUGGESTION).str());
    for manifest in subject.manifests() {
        let namespace = manifest.at("/metadata/namespace");
        // Generators write the word "placeholder", which OLM replaces.
        if namespace.value().is_some() && namespace.text("") != "placeholder" {
            findings.at(&namespace, format!("metadata.namespace is {namespace}"));
        }
        let mut texts = Vec::new();
        collect_texts(&manifest, &mut texts);
        for (place, text) in texts {
            let is_it = suggested == Some(text)
                && ![SUGGESTION, "/metadata/namespace"].contains(&place.pointer());
            if is_it && is_about_namespaces(&place) {
                findings.at(&place, format!("{text:?} is the suggested namespace"));
            }
        }
    }
    let deployments = subject.deployments();
    for (one, name) in bound_accounts(subject) {
        let is_own = deployments
            .iter()
            .any(|deployment| deployment.account() == name);
        let namespace = one.at("/namespace");
        if is_own && namespace.value().is_some() {
            let message = format!("namespace of the account {name:?} is {namespace}");
            findings.at(&namespace, message);
        }
    }
}

/// Whether a field, or the variable whose value it is, is named after namespaces. Other texts may be like the suggested
/// one by chance: many operators suggest a namespace that is named like themselves.
fn is_about_namespaces(place: &Node) -> bool {
    let (parent, field) = place.pointer().rsplit_once('/').unwrap_or_default();
    let variable = place.document().text(&format!("{parent}/name"));
    let name = if field == "value" {
        variable.unwrap_or_default()
    } else {
        field
    };
    name.to_lowercase().ends_with("namespace")
}

/// All texts of a value, with where they are.
fn collect_texts<'a>(node: &Node<'a>, texts: &mut Vec<(Node<'a>, &'a str)>) {
    match node.value() {
        Some(Value::String(text)) => texts.push((node.clone(), text)),
        Some(Value::Array(_)) => {
            for item in node.items("") {
                collect_texts(&item, texts);
            }
        }
        Some(Value::Object(fields)) => {
            for name in fields.keys() {
                collect_texts(&node.at(&format!("/{}", escape(name))), texts);
            }
        }
        _ => {}
    }
}

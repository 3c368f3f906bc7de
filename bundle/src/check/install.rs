//! Where and how OLM installs the bundle.

use regex::Regex;
use serde_json::Value;

use super::{Findings, Level, Needs, Rule, Subject};
use crate::document::{Document, escape};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "install/modes",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "All four install modes are listed once.",
        why: "What is not listed counts as not supported, silently.",
        check: modes,
    },
    Rule {
        code: "install/webhooks",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "Every webhook is served by a Deployment of the bundle; one that converts is of owned definitions, and AllNamespaces is \
                the only mode that is supported then.",
        why: "OLM makes the Service for that Deployment. A definition is converted for all namespaces, whoever installs it.",
        check: webhooks,
    },
    Rule {
        code: "install/service-names",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "Names of Services, and of what OLM makes a Service of (the Deployment of a webhook), are DNS labels that begin with a \
                letter (RFC 1035).",
        why: "The API server refuses any other Service, and the install plan fails half way.",
        check: service_names,
    },
    Rule {
        code: "install/namespace",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "No manifest names a namespace: not in metadata, not for an account of the bundle, and nothing that is about namespaces \
                has the suggested one.",
        why: "Users choose it; what names another fails there, or is about something else.",
        check: namespace,
    },
];

/// The install modes that OLM knows.
const MODES: [&str; 4] = [
    "OwnNamespace",
    "SingleNamespace",
    "MultiNamespace",
    "AllNamespaces",
];

fn modes(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let list = "/spec/installModes";
    let modes = csv.list(list);
    let of_type = |name: &str| {
        let is_it = move |mode: &&Value| mode.get("type").and_then(Value::as_str) == Some(name);
        modes.iter().filter(is_it).count()
    };
    for name in MODES {
        let count = of_type(name);
        if count != 1 {
            findings.at(
                csv,
                list,
                format!("install mode {name} is listed {count} times: must be once"),
            );
        }
    }
}

fn webhooks(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let deployments = subject.deployments();
    let owned = csv.list("/spec/customresourcedefinitions/owned").iter();
    let owned: Vec<_> = owned.filter_map(|owned| owned.get("name")).collect();
    let list = "/spec/webhookdefinitions";
    for index in 0..csv.list(list).len() {
        let pointer = format!("{list}/{index}/deploymentName");
        let name = csv.text(&pointer).unwrap_or_default();
        if !deployments
            .iter()
            .any(|deployment| deployment.name() == name)
        {
            let message =
                format!("deploymentName is {name:?}, which is no Deployment of the bundle");
            findings.at(csv, &pointer, message);
        }
        let type_ = format!("{list}/{index}/type");
        if csv.text(&type_) != Some("ConversionWebhook") {
            continue;
        }
        for mode in MODES.iter().filter(|mode| **mode != "AllNamespaces") {
            if subject.supports(mode) {
                let message = format!("it converts, and install mode {mode} is supported");
                findings.at(csv, &type_, message);
            }
        }
        let definitions = format!("{list}/{index}/conversionCRDs");
        for definition in csv.list(&definitions) {
            if !owned.contains(&definition) {
                let message = format!("conversionCRDs has {definition}, which is not owned");
                findings.at(csv, &definitions, message);
            }
        }
    }
}

fn is_service_name(name: &str) -> bool {
    Regex::new("^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$").is_ok_and(|regex| regex.is_match(name))
}

fn service_names(subject: &Subject, findings: &mut Findings) {
    for service in subject.of_kind("Service") {
        let name = service.text("/metadata/name").unwrap_or_default();
        if !is_service_name(name) {
            let message =
                format!("Service {name:?}: must be a DNS label that begins with a letter");
            findings.at(service, "/metadata/name", message);
        }
    }
    let Some(csv) = subject.csv() else { return };
    let makers = [
        ("/spec/webhookdefinitions", "deploymentName"),
        ("/spec/apiservicedefinitions/owned", "deploymentName"),
    ];
    for (list, field) in makers {
        for index in 0..csv.list(list).len() {
            let pointer = format!("{list}/{index}/{field}");
            let deployment = csv.text(&pointer).unwrap_or_default();
            // OLM: the dots of a name become dashes.
            let name = format!("{}-service", deployment.replace('.', "-"));
            if !is_service_name(&name) {
                let message = format!(
                    "OLM makes a Service {name:?} of it: must be a DNS label that begins with a letter"
                );
                findings.at(csv, &pointer, message);
            }
        }
    }
}

fn namespace(subject: &Subject, findings: &mut Findings) {
    const SUGGESTION: &str = "/metadata/annotations/operatorframework.io~1suggested-namespace";
    let suggested = subject.csv().and_then(|csv| csv.text(SUGGESTION));
    for manifest in subject.manifests() {
        if let Some(namespace) = manifest.at("/metadata/namespace") {
            // Generators write the word "placeholder", which OLM replaces.
            if namespace.as_str() != Some("placeholder") {
                findings.at(
                    manifest,
                    "/metadata/namespace",
                    format!("metadata.namespace is {namespace}"),
                );
            }
        }
        for (pointer, text) in texts(manifest) {
            let is_it = suggested == Some(text)
                && ![SUGGESTION, "/metadata/namespace"].contains(&pointer.as_str());
            if is_it && is_about_namespaces(manifest, &pointer) {
                findings.at(
                    manifest,
                    &pointer,
                    format!("{text:?} is the suggested namespace"),
                );
            }
        }
    }
    for kind in ["RoleBinding", "ClusterRoleBinding"] {
        for binding in subject.of_kind(kind) {
            for (index, one) in binding.list("/subjects").iter().enumerate() {
                let text = |field: &str| one.get(field).and_then(Value::as_str).unwrap_or_default();
                let is_own = subject
                    .deployments()
                    .iter()
                    .any(|deployment| deployment.account() == text("name"));
                if is_own && one.get("namespace").is_some() {
                    let message = format!(
                        "namespace of the account {:?} is {:?}",
                        text("name"),
                        text("namespace")
                    );
                    findings.at(binding, &format!("/subjects/{index}/namespace"), message);
                }
            }
        }
    }
}

/// Whether a field, or the variable whose value it is, is named after namespaces. Other texts may be like the suggested
/// one by chance: many operators suggest a namespace that is named like themselves.
fn is_about_namespaces(document: &Document, pointer: &str) -> bool {
    let (parent, field) = pointer.rsplit_once('/').unwrap_or_default();
    let variable = document.text(&format!("{parent}/name")).unwrap_or_default();
    let name = if field == "value" { variable } else { field };
    name.to_lowercase().ends_with("namespace")
}

/// All texts of a document, with where they are.
fn texts(document: &Document) -> Vec<(String, &str)> {
    fn walk<'a>(value: &'a Value, pointer: &str, texts: &mut Vec<(String, &'a str)>) {
        match value {
            Value::String(text) => texts.push((pointer.to_owned(), text)),
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    walk(item, &format!("{pointer}/{index}"), texts);
                }
            }
            Value::Object(fields) => {
                for (name, field) in fields {
                    walk(field, &format!("{pointer}/{}", escape(name)), texts);
                }
            }
            _ => {}
        }
    }
    let mut texts = Vec::new();
    walk(&document.value, "", &mut texts);
    texts
}

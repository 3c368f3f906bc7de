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
        holds: "All four install modes are listed once, and AllNamespaces is supported.",
        why: "What is not listed counts as not supported, silently; OLM v1 installs for all namespaces.",
        check: modes,
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
        holds: "No manifest names a namespace: not in metadata, not for an account of the bundle, and not the suggested one in a text.",
        why: "Users choose it; what names another fails there, or is about something else.",
        check: namespace,
    },
];

fn modes(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let list = "/spec/installModes";
    let modes = csv.list(list);
    let of_type = |name: &str| {
        let is_it = move |mode: &&Value| mode.get("type").and_then(Value::as_str) == Some(name);
        modes.iter().filter(is_it).count()
    };
    for name in [
        "OwnNamespace",
        "SingleNamespace",
        "MultiNamespace",
        "AllNamespaces",
    ] {
        let count = of_type(name);
        if count != 1 {
            findings.at(
                csv,
                list,
                format!("install mode {name} is listed {count} times: must be once"),
            );
        }
    }
    for (index, mode) in modes.iter().enumerate() {
        let is_all = mode.get("type").and_then(Value::as_str) == Some("AllNamespaces");
        if is_all && mode.get("supported").and_then(Value::as_bool) != Some(true) {
            findings.at(
                csv,
                &format!("{list}/{index}"),
                "install mode AllNamespaces is not supported",
            );
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
    let suggestion = "/metadata/annotations/operatorframework.io~1suggested-namespace";
    let suggested = subject.csv().and_then(|csv| csv.text(suggestion));
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
            if pointer != suggestion && suggested == Some(text) && pointer != "/metadata/namespace"
            {
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

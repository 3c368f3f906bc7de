//! What a ClusterServiceVersion says about the operator to people.

use jiff::{Timestamp, civil::DateTime};
use regex::Regex;
use serde_json::Value;

use super::super::{Findings, Subject};
use crate::document::{Document, escape};

/// Levels of OLM's list.
const CAPABILITIES: [&str; 5] = [
    "Basic Install",
    "Seamless Upgrades",
    "Full Lifecycle",
    "Deep Insights",
    "Auto Pilot",
];

/// Categories of the catalogs (k8s-operatorhub/community-operators, `categories.json`).
const CATEGORIES: [&str; 17] = [
    "AI/Machine Learning",
    "Application Runtime",
    "Big Data",
    "Cloud Provider",
    "Database",
    "Developer Tools",
    "Drivers and plugins",
    "Integration & Delivery",
    "Logging & Tracing",
    "Modernization & Migration",
    "Monitoring",
    "Networking",
    "Observability",
    "OpenShift Optional",
    "Security",
    "Storage",
    "Streaming & Messaging",
];

/// Annotations that catalogs show.
const SHOWN: [&str; 7] = [
    "capabilities",
    "categories",
    "containerImage",
    "createdAt",
    "description",
    "repository",
    "support",
];

/// Features that OpenShift's certification asks about.
const FEATURES: [&str; 7] = [
    "disconnected",
    "fips-compliant",
    "proxy-aware",
    "tls-profiles",
    "token-auth-aws",
    "token-auth-azure",
    "token-auth-gcp",
];

fn annotation(key: &str) -> String {
    format!("/metadata/annotations/{}", escape(key))
}

pub(in crate::check) fn required(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let fixed = [
        ("/apiVersion", "operators.coreos.com/v1alpha1"),
        ("/spec/install/strategy", "deployment"),
    ];
    for (pointer, wanted) in fixed {
        let found = csv.text(pointer).unwrap_or_default();
        if found != wanted {
            findings.at(
                csv,
                pointer,
                format!("{} is {found:?}: must be {wanted:?}", dotted(pointer)),
            );
        }
    }
    if csv.text("/spec/displayName").unwrap_or_default().is_empty() {
        findings.at(
            csv,
            "/spec/displayName",
            "spec.displayName is missing or empty",
        );
    }
    if subject.deployments().is_empty() {
        let pointer = "/spec/install/spec/deployments";
        findings.at(
            csv,
            pointer,
            "spec.install.spec.deployments is missing or empty",
        );
    }
    let supported = |mode: &Value| mode.get("supported").and_then(Value::as_bool) == Some(true);
    if !csv.list("/spec/installModes").iter().any(supported) {
        findings.at(csv, "/spec/installModes", "spec.installModes supports none");
    }
}

fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

pub(in crate::check) fn prose(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let description = csv.text("/spec/description").unwrap_or_default();
    if description.chars().count() < 20 {
        let message =
            format!("spec.description is {description:?}: must have 20 characters or more");
        findings.at(csv, "/spec/description", message);
    }
    let name = csv.text("/spec/displayName").unwrap_or_default();
    if !name.is_empty() && !(3..=50).contains(&name.chars().count()) {
        let message = format!("spec.displayName is {name:?}: must have 3 to 50 characters");
        findings.at(csv, "/spec/displayName", message);
    }
    if csv
        .text("/spec/provider/name")
        .unwrap_or_default()
        .is_empty()
    {
        findings.at(
            csv,
            "/spec/provider/name",
            "spec.provider.name is missing or empty",
        );
    }
    entries(
        csv,
        "/spec/maintainers",
        "email",
        r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
        findings,
    );
    entries(
        csv,
        "/spec/links",
        "url",
        r"^https?://[^\s/]+\S*$",
        findings,
    );
}

/// A list of which every entry has a name and something of a pattern.
fn entries(csv: &Document, list: &str, field: &str, pattern: &str, findings: &mut Findings) {
    let count = csv.list(list).len();
    if count == 0 {
        findings.at(csv, list, format!("{} is missing or empty", dotted(list)));
    }
    let Ok(pattern) = Regex::new(pattern) else {
        return;
    };
    for index in 0..count {
        let entry = format!("{list}/{index}");
        let text = |field: &str| csv.text(&format!("{entry}/{field}")).unwrap_or_default();
        if text("name").is_empty() {
            findings.at(
                csv,
                &entry,
                format!("{}.name is missing or empty", dotted(&entry)),
            );
        }
        let value = text(field);
        if !pattern.is_match(value) {
            let message = format!(
                "{}.{field} is {value:?}: must be a valid one",
                dotted(&entry)
            );
            findings.at(csv, &format!("{entry}/{field}"), message);
        }
    }
}

pub(in crate::check) fn keywords(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    if csv.list("/spec/keywords").is_empty() {
        findings.at(csv, "/spec/keywords", "spec.keywords is missing or empty");
    }
    if csv.text("/spec/maturity").unwrap_or_default().is_empty() {
        findings.at(csv, "/spec/maturity", "spec.maturity is missing or empty");
    }
}

pub(in crate::check) fn annotation_values(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let mut refuse = |key: &str, value: &str, rule: &str| {
        findings.at(
            csv,
            &annotation(key),
            format!("annotation {key} is {value:?}: must be {rule}"),
        );
    };
    let value = |key: &str| csv.text(&annotation(key));
    if let Some(level) = value("capabilities").filter(|level| !CAPABILITIES.contains(level)) {
        refuse(
            "capabilities",
            level,
            "one of OLM's levels, such as Basic Install",
        );
    }
    for category in value("categories")
        .into_iter()
        .flat_map(|list| list.split(','))
    {
        if !CATEGORIES.contains(&category.trim()) {
            refuse(
                "categories",
                category,
                "of the list of the catalogs, such as Cloud Provider",
            );
        }
    }
    let is_image =
        |text: &str| Regex::new(r"^([^/]+/)+[^/:]+:.+$").is_ok_and(|regex| regex.is_match(text));
    if let Some(image) = value("containerImage").filter(|image| !is_image(image)) {
        refuse(
            "containerImage",
            image,
            "<registry>/<path> with a tag or digest",
        );
    }
    // The pipelines of the catalogs take an instant with or without a zone, or a day.
    let is_instant = |text: &str| {
        text.parse::<Timestamp>().is_ok()
            || text.parse::<DateTime>().is_ok()
            || text.parse::<jiff::civil::Date>().is_ok()
    };
    if let Some(instant) = value("createdAt").filter(|text| !is_instant(text)) {
        refuse(
            "createdAt",
            instant,
            "an ISO 8601 date, with or without a time",
        );
    }
    if let Some(place) = value("repository").filter(|place| !place.starts_with("http")) {
        refuse("repository", place, "an address that begins with http");
    }
}

pub(in crate::check) fn annotations(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    for key in SHOWN {
        let shortest = match key {
            "support" => 3,
            "description" => 10,
            _ => 1,
        };
        let value = csv.text(&annotation(key)).unwrap_or_default();
        if value.chars().count() < shortest {
            let message =
                format!("annotation {key} is {value:?}: must have {shortest} characters or more");
            findings.at(csv, &annotation(key), message);
        }
    }
}

pub(in crate::check) fn features(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    for feature in FEATURES {
        let key = format!("features.operators.openshift.io/{feature}");
        match csv.text(&annotation(&key)) {
            Some("true" | "false") => {}
            found => {
                let message = format!(
                    "annotation {key} is {:?}: must be \"true\" or \"false\"",
                    found.unwrap_or_default()
                );
                findings.at(csv, &annotation(&key), message);
            }
        }
    }
}

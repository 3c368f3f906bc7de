//! What a ClusterServiceVersion says about the operator to people.

use jiff::{Timestamp, civil::DateTime};
use regex::Regex;

use crate::{
    document::{Node, escape},
    finding::Findings,
    subject::Subject,
};

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

fn annotation<'a>(csv: &Node<'a>, key: &str) -> Node<'a> {
    csv.at(&format!("/metadata/annotations/{}", escape(key)))
}

/// Notes where something is missing: a text, or a list.
fn require(node: &Node, findings: &mut Findings) {
    if node.text("").is_empty() && node.items("").is_empty() {
        let message = format!("{} is missing or empty", dotted(node.pointer()));
        findings.at(node, message);
    }
}

pub(in crate::rules) fn required(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let fixed = [
        ("/apiVersion", "operators.coreos.com/v1alpha1"),
        ("/spec/install/strategy", "deployment"),
    ];
    for (pointer, wanted) in fixed {
        let found = csv.text(pointer);
        if found != wanted {
            let message = format!("{} is {found:?}: must be {wanted:?}", dotted(pointer));
            findings.at(&csv.at(pointer), message);
        }
    }
    require(&csv.at("/spec/displayName"), findings);
    require(&csv.at("/spec/install/spec/deployments"), findings);
    let modes = csv.at("/spec/installModes");
    if !modes
        .items("")
        .iter()
        .any(|mode| mode.is_true("/supported"))
    {
        findings.at(&modes, "spec.installModes supports none");
    }
}

fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

pub(in crate::rules) fn prose(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let description = csv.text("/spec/description");
    if description.chars().count() < 20 {
        let message =
            format!("spec.description is {description:?}: must have 20 characters or more");
        findings.at(&csv.at("/spec/description"), message);
    }
    let name = csv.text("/spec/displayName");
    if !name.is_empty() && !(3..=50).contains(&name.chars().count()) {
        let message = format!("spec.displayName is {name:?}: must have 3 to 50 characters");
        findings.at(&csv.at("/spec/displayName"), message);
    }
    require(&csv.at("/spec/provider/name"), findings);
    let maintainers = csv.at("/spec/maintainers");
    entries(
        &maintainers,
        "email",
        r"^[^@\s]+@[^@\s]+\.[^@\s]+$",
        findings,
    );
    entries(
        &csv.at("/spec/links"),
        "url",
        r"^https?://[^\s/]+\S*$",
        findings,
    );
}

/// A list of which every entry has a name and something of a pattern.
fn entries(list: &Node, field: &str, pattern: &str, findings: &mut Findings) {
    require(list, findings);
    let Ok(pattern) = Regex::new(pattern) else {
        return;
    };
    for entry in list.items("") {
        let path = dotted(entry.pointer());
        if entry.text("/name").is_empty() {
            findings.at(&entry, format!("{path}.name is missing or empty"));
        }
        let value = entry.at(&format!("/{field}"));
        let text = value.text("");
        if !pattern.is_match(text) {
            findings.at(
                &value,
                format!("{path}.{field} is {text:?}: must be a valid one"),
            );
        }
    }
}

pub(in crate::rules) fn keywords(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    require(&csv.at("/spec/keywords"), findings);
    require(&csv.at("/spec/maturity"), findings);
}

pub(in crate::rules) fn annotation_values(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let mut refuse = |key: &str, value: &str, rule: &str| {
        let message = format!("annotation {key} is {value:?}: must be {rule}");
        findings.at(&annotation(&csv, key), message);
    };
    let value = |key: &str| annotation(&csv, key).str();
    if let Some(level) = value("capabilities").filter(|level| !CAPABILITIES.contains(level)) {
        let rule = "one of OLM's levels, such as Basic Install";
        refuse("capabilities", level, rule);
    }
    let categories = value("categories").into_iter();
    for category in categories.flat_map(|list| list.split(',')) {
        if !CATEGORIES.contains(&category.trim()) {
            let rule = "of the list of the catalogs, such as Cloud Provider";
            refuse("categories", category, rule);
        }
    }
    let is_image =
        |text: &str| Regex::new(r"^([^/]+/)+[^/:]+:.+$").is_ok_and(|regex| regex.is_match(text));
    if let Some(image) = value("containerImage").filter(|image| !is_image(image)) {
        let rule = "<registry>/<path> with a tag or digest";
        refuse("containerImage", image, rule);
    }
    // The pipelines of the catalogs take an instant with or without a zone, or a day.
    let is_instant = |text: &str| {
        text.parse::<Timestamp>().is_ok()
            || text.parse::<DateTime>().is_ok()
            || text.parse::<jiff::civil::Date>().is_ok()
    };
    if let Some(instant) = value("createdAt").filter(|text| !is_instant(text)) {
        let rule = "an ISO 8601 date, with or without a time";
        refuse("createdAt", instant, rule);
    }
    if let Some(place) = value("repository").filter(|place| !place.starts_with("http")) {
        refuse("repository", place, "an address that begins with http");
    }
}

pub(in crate::rules) fn annotations(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    for key in SHOWN {
        let shortest = match key {
            "support" => 3,
            "description" => 10,
            _ => 1,
        };
        let place = annotation(&csv, key);
        let value = place.text("");
        if value.chars().count() < shortest {
            let message =
                format!("annotation {key} is {value:?}: must have {shortest} characters or more");
            findings.at(&place, message);
        }
    }
}

pub(in crate::rules) fn features(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    for feature in FEATURES {
        let key = format!("features.operators.openshift.io/{feature}");
        let place = annotation(&csv, &key);
        let value = place.text("");
        if !["true", "false"].contains(&value) {
            let message = format!("annotation {key} is {value:?}: must be \"true\" or \"false\"");
            findings.at(&place, message);
        }
    }
}

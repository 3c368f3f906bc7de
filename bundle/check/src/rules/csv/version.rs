//! Names and versions.

use regex::Regex;
use semver::Version;

use crate::{
    document::Node,
    finding::Findings,
    subject::{Subject, is_dns_subdomain},
};

/// The longest label value.
const LONGEST_NAME: usize = 63;

pub(in crate::rules) fn name(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let name = csv.text("/metadata/name");
    if !is_dns_subdomain(name) || name.len() > LONGEST_NAME {
        let message = format!(
            "metadata.name is {name:?}: must be a DNS subdomain of at most {LONGEST_NAME} characters"
        );
        findings.at(&csv.at("/metadata/name"), message);
    }
}

pub(in crate::rules) fn version(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let version = csv.text("/spec/version");
    if let Err(error) = Version::parse(version) {
        let message = format!("spec.version is {version:?}: must be a semantic version ({error})");
        findings.at(&csv.at("/spec/version"), message);
        return;
    }
    let name = csv.text("/metadata/name");
    if !name.ends_with(&format!(".v{version}")) {
        let message = format!(
            "metadata.name is {name:?}: must end with \".v{version}\", as spec.version is {version:?}"
        );
        findings.at(&csv.at("/metadata/name"), message);
    }
}

pub(in crate::rules) fn replaces(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let name = csv.text("/metadata/name");
    let version = Version::parse(csv.text("/spec/version")).ok();
    let mut replaced = csv.items("/spec/skips");
    replaced.insert(0, csv.at("/spec/replaces"));
    for place in replaced {
        let Some(other) = place.str() else { continue };
        if other == name {
            findings.at(&place, format!("{other:?} is this version itself"));
        } else if let (Some(version), Some(older)) = (&version, version_of(other))
            && older >= *version
        {
            findings.at(&place, format!("{other:?} is not older than {version}"));
        }
    }
    skip_range(&csv, version.as_ref(), findings);
}

/// The version in a name such as `5-spot.v0.1.0`.
fn version_of(name: &str) -> Option<Version> {
    let (_, version) = name.split_once(".v")?;
    Version::parse(version).ok()
}

fn skip_range(csv: &Node, version: Option<&Version>, findings: &mut Findings) {
    let place = csv.at("/metadata/annotations/olm.skipRange");
    let range = place.str();
    let (Some(range), Some(version)) = (range, version) else {
        return;
    };
    let Ok(upper) = Regex::new(r"<=?\s*v?([0-9][0-9A-Za-z.+-]*)") else {
        return;
    };
    let is_right = upper
        .captures_iter(range)
        .filter_map(|found| found.get(1))
        .any(|end| Version::parse(end.as_str()).is_ok_and(|end| end == *version));
    if !is_right {
        let message = format!("olm.skipRange is {range:?}: its upper end must be {version}");
        findings.at(&place, message);
    }
}

pub(in crate::rules) fn min_kube_version(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let place = csv.at("/spec/minKubeVersion");
    if place.value().is_some() && Version::parse(place.text("")).is_err() {
        let message = format!(
            "spec.minKubeVersion is {place}: must be a full version in quotes if need be, such as 1.33.0"
        );
        findings.at(&place, message);
    }
}

pub(in crate::rules) fn oldest_kubernetes(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let place = csv.at("/spec/minKubeVersion");
    if place.value().is_none() {
        findings.at(&csv.at("/spec"), "spec.minKubeVersion is missing");
    }
    let Ok(oldest) = Version::parse(place.text("")) else {
        return;
    };
    for manifest in subject.manifests() {
        for (field, is_used, since) in used(&manifest) {
            if is_used && oldest < since {
                let message = format!(
                    "spec.minKubeVersion is {place}: {} uses {field}, which Kubernetes has since {since}",
                    manifest.document().file
                );
                findings.at(&place, message);
            }
        }
    }
}

/// Fields that a manifest uses, and the version of Kubernetes that has each without a feature gate.
fn used(manifest: &Node) -> [(&'static str, bool, Version); 3] {
    let kind = manifest.text("/kind");
    let is_budget = kind == "PodDisruptionBudget";
    let has_rules = || {
        manifest
            .to_string()
            .contains("\"x-kubernetes-validations\":")
    };
    [
        ("policy/v1", is_budget, Version::new(1, 21, 0)),
        (
            "unhealthyPodEvictionPolicy",
            is_budget && manifest.get("/spec/unhealthyPodEvictionPolicy").is_some(),
            Version::new(1, 27, 0),
        ),
        (
            "x-kubernetes-validations",
            kind == "CustomResourceDefinition" && has_rules(),
            Version::new(1, 25, 0),
        ),
    ]
}

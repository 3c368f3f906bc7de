//! Names and versions.

use regex::Regex;
use semver::Version;

use super::super::{Findings, Subject};
use crate::document::Document;

/// The longest label value.
const LONGEST_NAME: usize = 63;

pub(in crate::check) fn name(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let name = csv.text("/metadata/name").unwrap_or_default();
    if !is_dns_subdomain(name) || name.len() > LONGEST_NAME {
        let message = format!(
            "metadata.name is {name:?}: must be a DNS subdomain of at most {LONGEST_NAME} characters"
        );
        findings.at(csv, "/metadata/name", message);
    }
}

fn is_dns_subdomain(name: &str) -> bool {
    let is_alphanumeric = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    name.split('.').all(|part| {
        let bytes = part.as_bytes();
        bytes.first().copied().is_some_and(is_alphanumeric)
            && bytes.last().copied().is_some_and(is_alphanumeric)
            && bytes
                .iter()
                .all(|byte| is_alphanumeric(*byte) || *byte == b'-')
    })
}

pub(in crate::check) fn version(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let version = csv.text("/spec/version").unwrap_or_default();
    if let Err(error) = Version::parse(version) {
        let message = format!("spec.version is {version:?}: must be a semantic version ({error})");
        findings.at(csv, "/spec/version", message);
        return;
    }
    let name = csv.text("/metadata/name").unwrap_or_default();
    if !name.ends_with(&format!(".v{version}")) {
        let message = format!(
            "metadata.name is {name:?}: must end with \".v{version}\", as spec.version is {version:?}"
        );
        findings.at(csv, "/metadata/name", message);
    }
}

pub(in crate::check) fn replaces(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let name = csv.text("/metadata/name").unwrap_or_default();
    let version = csv
        .text("/spec/version")
        .and_then(|text| Version::parse(text).ok());
    let skips = (0..csv.list("/spec/skips").len()).map(|index| format!("/spec/skips/{index}"));
    for pointer in std::iter::once("/spec/replaces".to_owned()).chain(skips) {
        let Some(other) = csv.text(&pointer) else {
            continue;
        };
        if other == name {
            findings.at(csv, &pointer, format!("{other:?} is this version itself"));
        } else if let (Some(version), Some(older)) = (&version, version_of(other))
            && older >= *version
        {
            findings.at(
                csv,
                &pointer,
                format!("{other:?} is not older than {version}"),
            );
        }
    }
    skip_range(csv, version.as_ref(), findings);
}

/// The version in a name such as `5-spot.v0.1.0`.
fn version_of(name: &str) -> Option<Version> {
    let (_, version) = name.split_once(".v")?;
    Version::parse(version).ok()
}

fn skip_range(csv: &Document, version: Option<&Version>, findings: &mut Findings) {
    let pointer = "/metadata/annotations/olm.skipRange";
    let (Some(range), Some(version)) = (csv.text(pointer), version) else {
        return;
    };
    let Ok(upper) = Regex::new(r"<=?\s*v?([0-9][0-9A-Za-z.+-]*)") else {
        return;
    };
    let ends: Vec<_> = upper
        .captures_iter(range)
        .filter_map(|found| found.get(1))
        .collect();
    let is_right = ends
        .iter()
        .any(|end| Version::parse(end.as_str()).is_ok_and(|end| end == *version));
    if !is_right {
        let message = format!("olm.skipRange is {range:?}: its upper end must be {version}");
        findings.at(csv, pointer, message);
    }
}

pub(in crate::check) fn min_kube_version(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let pointer = "/spec/minKubeVersion";
    if csv.at(pointer).is_none() {
        return;
    }
    let text = csv.text(pointer).unwrap_or_default();
    if Version::parse(text).is_err() {
        let told = csv.at(pointer).map(ToString::to_string).unwrap_or_default();
        let message = format!(
            "spec.minKubeVersion is {told}: must be a full version in quotes if need be, such as 1.33.0"
        );
        findings.at(csv, pointer, message);
    }
}

pub(in crate::check) fn oldest_kubernetes(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let pointer = "/spec/minKubeVersion";
    let Some(text) = csv.text(pointer) else {
        if csv.at(pointer).is_none() {
            findings.at(csv, "/spec", "spec.minKubeVersion is missing");
        }
        return;
    };
    let Ok(oldest) = Version::parse(text) else {
        return;
    };
    for manifest in subject.manifests() {
        for (field, is_used, since) in used(manifest) {
            if is_used && oldest < since {
                let message = format!(
                    "spec.minKubeVersion is {text:?}: {} uses {field}, which Kubernetes has since {since}",
                    manifest.file
                );
                findings.at(csv, pointer, message);
            }
        }
    }
}

/// Fields that a manifest uses, and the version of Kubernetes that has each without a feature gate.
fn used(manifest: &Document) -> [(&'static str, bool, Version); 3] {
    let kind = manifest.text("/kind").unwrap_or_default();
    let is_budget = kind == "PodDisruptionBudget";
    let is_definition = kind == "CustomResourceDefinition";
    [
        ("policy/v1", is_budget, Version::new(1, 21, 0)),
        (
            "unhealthyPodEvictionPolicy",
            is_budget && manifest.at("/spec/unhealthyPodEvictionPolicy").is_some(),
            Version::new(1, 27, 0),
        ),
        (
            "x-kubernetes-validations",
            is_definition
                && manifest
                    .value
                    .to_string()
                    .contains("\"x-kubernetes-validations\":"),
            Version::new(1, 25, 0),
        ),
    ]
}

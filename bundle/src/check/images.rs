//! The images that the bundle needs.

use std::collections::BTreeMap;

use regex::Regex;
use serde_json::Value;

use super::{Findings, Level, Needs, Rule, Subject, subject::told};
use crate::document::Document;

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "images/digest",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "Every image is named by digest: of containers, in variables RELATED_IMAGE_…, in relatedImages, in containerImage.",
        why: "A tag can name something else tomorrow, can't be mirrored by digest, and makes OLM pull even what is there.",
        check: digest,
    },
    Rule {
        code: "images/related",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "spec.relatedImages lists the images of containers, of variables RELATED_IMAGE_… and what else of variables and arguments is \
                an image by digest; and it lists none that the Deployments do not name.",
        why: "It is the list that tools mirror for a cluster without a network; upstream validators do not compare it.",
        check: related,
    },
    Rule {
        code: "images/container-image",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "The annotation containerImage, where given, is the image of a container.",
        why: "It is what catalogs show as the operator's image.",
        check: container_image,
    },
    Rule {
        code: "images/pull-policy",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "Every container has imagePullPolicy IfNotPresent.",
        why: "With Always, a restart needs the registry, just when a node or a network is in trouble.",
        check: pull_policy,
    },
];

const RELATED: &str = "/spec/relatedImages";
const CONTAINER_IMAGE: &str = "/metadata/annotations/containerImage";

/// The images that pods use, with where each is said.
fn used<'a>(subject: &Subject<'a>) -> Vec<(&'a Document, String, &'a str)> {
    let mut images = Vec::new();
    for container in subject.containers() {
        if let Some(image) = container.at("/image").and_then(Value::as_str) {
            images.push((container.csv, container.pointer("/image"), image));
        }
        let variables = container.at("/env").and_then(Value::as_array);
        for (index, variable) in variables.into_iter().flatten().enumerate() {
            let text = |field: &str| variable.get(field).and_then(Value::as_str);
            if let (Some(name), Some(value)) = (text("name"), text("value"))
                && (name.starts_with("RELATED_IMAGE_") || is_by_digest(value))
            {
                let pointer = container.pointer(&format!("/env/{index}/value"));
                images.push((container.csv, pointer, value));
            }
        }
        for list in ["command", "args"] {
            let words = container.at(&format!("/{list}")).and_then(Value::as_array);
            for (index, word) in words.into_iter().flatten().enumerate() {
                let word = word.as_str().unwrap_or_default();
                let value = word.split_once('=').map_or(word, |(_, value)| value);
                if is_by_digest(value) {
                    let pointer = container.pointer(&format!("/{list}/{index}"));
                    images.push((container.csv, pointer, value));
                }
            }
        }
    }
    images
}

fn listed(csv: &Document) -> Vec<(String, &str)> {
    (0..csv.list(RELATED).len())
        .map(|index| format!("{RELATED}/{index}/image"))
        .filter_map(|pointer| csv.text(&pointer).map(|image| (pointer.clone(), image)))
        .collect()
}

fn is_by_digest(image: &str) -> bool {
    Regex::new("^[^\\s=]+@sha256:[0-9a-f]{64}$").is_ok_and(|regex| regex.is_match(image))
}

fn digest(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let mut images = used(subject);
    images.extend(
        listed(csv)
            .into_iter()
            .map(|(pointer, image)| (csv, pointer, image)),
    );
    if let Some(image) = csv.text(CONTAINER_IMAGE) {
        images.push((csv, CONTAINER_IMAGE.to_owned(), image));
    }
    for (document, pointer, image) in images {
        if !is_by_digest(image) {
            let message =
                format!("image is {image:?}: must end with @sha256: and 64 hexadecimal digits");
            findings.at(document, &pointer, message);
        }
    }
}

fn related(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let listed: BTreeMap<_, _> = listed(csv)
        .into_iter()
        .map(|(pointer, image)| (image, pointer))
        .collect();
    let used = used(subject);
    for (document, pointer, image) in &used {
        if !listed.contains_key(image) {
            findings.at(
                document,
                pointer,
                format!("image {image:?} is not in spec.relatedImages"),
            );
        }
    }
    for (image, pointer) in &listed {
        if !used.iter().any(|(_, _, found)| found == image) {
            let message = format!("spec.relatedImages lists {image:?}, which no Deployment names");
            findings.at(csv, pointer, message);
        }
    }
}

fn container_image(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let Some(image) = csv.text(CONTAINER_IMAGE) else {
        return;
    };
    let is_used = subject
        .containers()
        .iter()
        .any(|container| container.at("/image").and_then(Value::as_str) == Some(image));
    if !is_used {
        findings.at(
            csv,
            CONTAINER_IMAGE,
            format!("containerImage is {image:?}, which no container runs"),
        );
    }
}

fn pull_policy(subject: &Subject, findings: &mut Findings) {
    for container in subject.containers() {
        let policy = container.at("/imagePullPolicy");
        // Kubernetes' own default for a digest and for any tag but latest.
        let image = container
            .at("/image")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let last = image.rsplit('/').next().unwrap_or_default();
        let is_by_default = policy.is_none()
            && (image.contains('@') || last.contains(':') && !last.ends_with(":latest"));
        if policy.and_then(Value::as_str) != Some("IfNotPresent") && !is_by_default {
            let message = format!(
                "container {}: imagePullPolicy is {}: must be IfNotPresent",
                container.name,
                told(policy)
            );
            findings.at(
                container.csv,
                &container.pointer("/imagePullPolicy"),
                message,
            );
        }
    }
}

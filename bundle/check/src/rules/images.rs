//! The images that the bundle needs.

use std::collections::BTreeMap;

use regex::Regex;

use crate::{
    document::Node,
    finding::Findings,
    rule::Rule,
    subject::{Container, Subject},
};

pub(super) const RULES: &[Rule] = &[
    Rule::warning("images/digest", digest)
        .holds("Every image is named by digest: of containers, in variables RELATED_IMAGE_…, in relatedImages, in containerImage.")
        .why("A tag can name something else tomorrow, can't be mirrored by digest, and makes OLM pull even what is there."),
    Rule::warning("images/related", related)
        .holds("spec.relatedImages lists the images of containers, of variables RELATED_IMAGE_… and what else of variables and arguments is \
                an image by digest; and it lists none that the Deployments do not name.")
        .why("It is the list that tools mirror for a cluster without a network; upstream validators do not compare it."),
    Rule::warning("images/container-image", container_image)
        .holds("The annotation containerImage, where given, is the image of a container.")
        .why("It is what catalogs show as the operator's image."),
    Rule::warning("images/pull-policy", pull_policy)
        .holds("Every container has imagePullPolicy IfNotPresent.")
        .why("With Always, a restart needs the registry, just when a node or a network is in trouble."),
];

const RELATED: &str = "/spec/relatedImages";
const CONTAINER_IMAGE: &str = "/metadata/annotations/containerImage";

/// The images that pods use, with where each is said.
fn used<'a>(subject: &Subject<'a>) -> Vec<(Node<'a>, &'a str)> {
    let mut images = Vec::new();
    for container in subject.containers() {
        let node = container.node;
        if let Some(image) = node.at("/image").str() {
            images.push((node.at("/image"), image));
        }
        for variable in node.items("/env") {
            let value = variable.at("/value");
            let is_related = variable.text("/name").starts_with("RELATED_IMAGE_");
            if let Some(image) = value
                .str()
                .filter(|image| is_related || is_by_digest(image))
            {
                images.push((value, image));
            }
        }
        for word in ["/command", "/args"]
            .iter()
            .flat_map(|list| node.items(list))
        {
            let text = word.text("");
            let value = text.split_once('=').map_or(text, |(_, value)| value);
            if is_by_digest(value) {
                images.push((word, value));
            }
        }
    }
    images
}

fn listed<'a>(csv: &Node<'a>) -> Vec<(Node<'a>, &'a str)> {
    let listed = csv.items(RELATED).into_iter().map(|one| one.at("/image"));
    listed
        .filter_map(|place| Some((place.clone(), place.str()?)))
        .collect()
}

fn is_by_digest(image: &str) -> bool {
    Regex::new("^[^\\s=]+@sha256:[0-9a-f]{64}$").is_ok_and(|regex| regex.is_match(image))
}

fn digest(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let mut images = used(subject);
    images.extend(listed(&csv));
    let own = csv.at(CONTAINER_IMAGE);
    if let Some(image) = own.str() {
        images.push((own, image));
    }
    for (place, image) in images {
        if !is_by_digest(image) {
            let message =
                format!("image is {image:?}: must end with @sha256: and 64 hexadecimal digits");
            findings.at(&place, message);
        }
    }
}

fn related(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let listed: BTreeMap<_, _> = listed(&csv)
        .into_iter()
        .map(|(place, image)| (image, place))
        .collect();
    let used = used(subject);
    for (place, image) in &used {
        if !listed.contains_key(image) {
            findings.at(
                place,
                format!("image {image:?} is not in spec.relatedImages"),
            );
        }
    }
    for (image, place) in &listed {
        if !used.iter().any(|(_, found)| found == image) {
            let message = format!("spec.relatedImages lists {image:?}, which no Deployment names");
            findings.at(place, message);
        }
    }
}

fn container_image(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let place = csv.at(CONTAINER_IMAGE);
    let Some(image) = place.str() else { return };
    let containers = subject.containers();
    let is_it = |container: &Container| container.node.at("/image").str() == Some(image);
    if !containers.iter().any(is_it) {
        let message = format!("containerImage is {image:?}, which no container runs");
        findings.at(&place, message);
    }
}

fn pull_policy(subject: &Subject, findings: &mut Findings) {
    for container in subject.containers() {
        let policy = container.node.at("/imagePullPolicy");
        // Kubernetes' own default for a digest and for any tag but latest.
        let image = container.node.text("/image");
        let last = image.rsplit('/').next().unwrap_or_default();
        let is_by_default = policy.value().is_none()
            && (image.contains('@') || last.contains(':') && !last.ends_with(":latest"));
        if policy.text("") != "IfNotPresent" && !is_by_default {
            let message = format!(
                "container {}: imagePullPolicy is {policy}: must be IfNotPresent",
                container.name
            );
            findings.at(&policy, message);
        }
    }
}

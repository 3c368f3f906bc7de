//! Whether the catalog offers the bundle, and what it says about it.

use std::collections::BTreeSet;

use crate::{
    document::{Document, Node},
    finding::Findings,
    rule::{Needs, Rule},
    subject::Subject,
};

pub(super) const RULES: &[Rule] = &[
    Rule::error("catalog/entry", entry)
        .needs(Needs::Catalog)
        .holds("Every channel of the bundle is a channel of its package in the catalog, with this version as its head; the package \
                and its default channel are those of the bundle.")
        .why("What is not the head of a channel is not installed by a new Subscription."),
    Rule::error("catalog/edge", edge)
        .needs(Needs::Catalog)
        .holds("The entry replaces what spec.replaces names, and the catalog has a bundle of that name in one of its channels.")
        .why("With a file-based catalog the entry decides, and the ClusterServiceVersion is not asked: they must say the same."),
    Rule::error("catalog/bundle", bundle)
        .needs(Needs::Catalog)
        .holds("Every entry has an olm.bundle with an image by digest, with its package and version, and with all related images.")
        .why("OLM unpacks this image and no other; mirrors copy what is listed."),
];

/// Documents of a schema.
fn of_schema<'a>(subject: &Subject<'a>, schema: &str) -> impl Iterator<Item = Node<'a>> {
    let documents = subject.catalog.into_iter().flatten().map(Document::root);
    documents.filter(move |document| document.text("/schema") == schema)
}

fn annotation<'a>(subject: &Subject<'a>, key: &str) -> &'a str {
    let pointer = format!("/annotations/operators.operatorframework.io.bundle.{key}");
    subject.annotations().map_or("", |all| all.text(&pointer))
}

fn name<'a>(subject: &Subject<'a>) -> &'a str {
    subject.csv().map_or("", |csv| csv.text("/metadata/name"))
}

/// What no other entry of a channel replaces or skips.
fn heads<'a>(channel: &Node<'a>) -> Vec<&'a str> {
    let entries = channel.items("/entries");
    let replaced: BTreeSet<&str> = entries
        .iter()
        .flat_map(|entry| {
            let replaced = entry.at("/replaces").str();
            entry.words("/skips").into_iter().chain(replaced)
        })
        .collect();
    let names = entries.iter().map(|entry| entry.text("/name"));
    names.filter(|name| !replaced.contains(name)).collect()
}

fn entry(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let package = annotation(subject, "package.v1");
    let found = of_schema(subject, "olm.package").find(|found| found.text("/name") == package);
    let Some(found) = found else {
        let message = format!("the catalog has no package {package:?}");
        findings.at(&csv.at("/metadata/name"), message);
        return;
    };
    let default = annotation(subject, "channel.default.v1");
    let offered = found.at("/defaultChannel");
    if !default.is_empty() && offered.text("") != default {
        let message = format!("defaultChannel is {offered}: the bundle says {default:?}");
        findings.at(&offered, message);
    }
    for name_of_channel in annotation(subject, "channels.v1").split(',') {
        let channel = of_schema(subject, "olm.channel").find(|channel| {
            channel.text("/name") == name_of_channel && channel.text("/package") == package
        });
        let Some(channel) = channel else {
            let message = format!("package {package:?} has no channel {name_of_channel:?}");
            findings.at(&found.at("/name"), message);
            continue;
        };
        let (heads, name) = (heads(&channel), name(subject));
        if heads != [name] {
            let message =
                format!("channel {name_of_channel:?} has the heads {heads:?}: must have {name:?}");
            findings.at(&channel.at("/entries"), message);
        }
    }
}

fn edge(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let before = csv.at("/spec/replaces");
    let mut offered = BTreeSet::new();
    for channel in of_schema(subject, "olm.channel") {
        for entry in channel.items("/entries") {
            offered.insert(entry.text("/name"));
            let replaced = entry.at("/replaces");
            if entry.text("/name") == name(subject) && replaced.value() != before.value() {
                let message =
                    format!("the entry replaces {replaced}, and spec.replaces is {before}");
                findings.at(&entry, message);
            }
        }
    }
    if let Some(name) = before.str().filter(|name| !offered.contains(name)) {
        let message = format!("spec.replaces is {name:?}, which no channel of the catalog offers");
        findings.at(&before, message);
    }
}

fn bundle(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let bundles: Vec<_> = of_schema(subject, "olm.bundle").collect();
    let named = |name: &str| bundles.iter().find(|bundle| bundle.text("/name") == name);
    for channel in of_schema(subject, "olm.channel") {
        for entry in channel.items("/entries") {
            let name = entry.text("/name");
            if named(name).is_none() {
                findings.at(&entry, format!("entry {name:?} has no olm.bundle"));
            }
        }
    }
    for bundle in &bundles {
        let image = bundle.text("/image");
        if !image.contains("@sha256:") {
            let message = format!("image is {image:?}: must be by digest");
            findings.at(&bundle.at("/image"), message);
        }
    }
    let Some(own) = named(name(subject)) else {
        return;
    };
    let mut properties = own.items("/properties");
    properties.retain(|property| property.text("/type") == "olm.package");
    let version = csv.text("/spec/version");
    let is_right = matches!(properties.as_slice(), [one] if one.text("/value/version") == version
        && one.text("/value/packageName") == annotation(subject, "package.v1"));
    if !is_right {
        let message = format!(
            "olm.bundle must have one property olm.package, with the bundle's package and version {version}"
        );
        findings.at(&own.at("/properties"), message);
    }
    let images = |node: &Node| -> BTreeSet<String> {
        let images = node.items("").into_iter();
        images.map(|one| one.text("/image").to_owned()).collect()
    };
    let listed = own.at("/relatedImages");
    let wanted = images(&csv.at("/spec/relatedImages"));
    let known = images(&listed);
    let missing: Vec<_> = wanted.difference(&known).collect();
    if !missing.is_empty() {
        let message = format!("relatedImages of olm.bundle lack {missing:?}");
        findings.at(&listed, message);
    }
}

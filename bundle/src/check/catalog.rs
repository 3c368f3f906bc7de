//! Whether the catalog offers the bundle, and what it says about it.

use std::collections::BTreeSet;

use serde_json::Value;

use super::{Findings, Level, Needs, Rule, Subject, subject::told};
use crate::document::Document;

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "catalog/entry",
        level: Level::Error,
        needs: Needs::Catalog,
        holds: "Every channel of the bundle is a channel of its package in the catalog, with this version as its head; the package \
                and its default channel are those of the bundle.",
        why: "What is not the head of a channel is not installed by a new Subscription.",
        check: entry,
    },
    Rule {
        code: "catalog/edge",
        level: Level::Error,
        needs: Needs::Catalog,
        holds: "The entry replaces what spec.replaces names, and the catalog has a bundle of that name in one of its channels.",
        why: "With a file-based catalog the entry decides, and the ClusterServiceVersion is not asked: they must say the same.",
        check: edge,
    },
    Rule {
        code: "catalog/bundle",
        level: Level::Error,
        needs: Needs::Catalog,
        holds: "Every entry has an olm.bundle with an image by digest, with its package and version, and with all related images.",
        why: "OLM unpacks this image and no other; mirrors copy what is listed.",
        check: bundle,
    },
];

/// Documents of a schema.
fn of_schema<'a>(subject: &Subject<'a>, schema: &'a str) -> impl Iterator<Item = &'a Document> {
    let documents = subject.catalog.into_iter().flatten();
    documents.filter(move |document| document.text("/schema") == Some(schema))
}

fn annotation<'a>(subject: &Subject<'a>, key: &str) -> &'a str {
    let pointer = format!("/annotations/operators.operatorframework.io.bundle.{key}");
    let document = subject.annotations();
    document
        .and_then(|document| document.text(&pointer))
        .unwrap_or_default()
}

fn name<'a>(subject: &Subject<'a>) -> &'a str {
    subject
        .csv()
        .and_then(|csv| csv.text("/metadata/name"))
        .unwrap_or_default()
}

/// The entries of a channel.
fn entries(channel: &Document) -> impl Iterator<Item = (usize, &str, &Value)> {
    channel
        .list("/entries")
        .iter()
        .enumerate()
        .map(|(index, entry)| {
            (
                index,
                entry
                    .get("name")
                    .and_then(Value::as_str)
                    .unwrap_or_default(),
                entry,
            )
        })
}

/// What no other entry of a channel replaces or skips.
fn heads(channel: &Document) -> Vec<&str> {
    let replaced: BTreeSet<&str> = entries(channel)
        .flat_map(|(_, _, entry)| {
            let skips = entry
                .get("skips")
                .and_then(Value::as_array)
                .into_iter()
                .flatten();
            skips
                .chain(entry.get("replaces"))
                .filter_map(Value::as_str)
                .collect::<Vec<_>>()
        })
        .collect();
    let names = entries(channel).map(|(_, name, _)| name);
    names.filter(|name| !replaced.contains(name)).collect()
}

fn entry(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let package = annotation(subject, "package.v1");
    let Some(document) =
        of_schema(subject, "olm.package").find(|document| document.text("/name") == Some(package))
    else {
        findings.at(
            csv,
            "/metadata/name",
            format!("the catalog has no package {package:?}"),
        );
        return;
    };
    let default = annotation(subject, "channel.default.v1");
    if !default.is_empty() && document.text("/defaultChannel") != Some(default) {
        let message = format!(
            "defaultChannel is {}: the bundle says {default:?}",
            told(document.at("/defaultChannel"))
        );
        findings.at(document, "/defaultChannel", message);
    }
    for channel in annotation(subject, "channels.v1").split(',') {
        let found = of_schema(subject, "olm.channel").find(|document| {
            document.text("/name") == Some(channel) && document.text("/package") == Some(package)
        });
        match found {
            None => findings.at(
                document,
                "/name",
                format!("package {package:?} has no channel {channel:?}"),
            ),
            Some(found) if heads(found) != [name(subject)] => {
                let message = format!(
                    "channel {channel:?} has the heads {:?}: must have {:?}",
                    heads(found),
                    name(subject)
                );
                findings.at(found, "/entries", message);
            }
            Some(_) => {}
        }
    }
}

fn edge(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    let replaces = csv.at("/spec/replaces");
    let mut offered = BTreeSet::new();
    for channel in of_schema(subject, "olm.channel") {
        for (index, entry_name, entry) in entries(channel) {
            offered.insert(entry_name);
            if entry_name == name(subject) && entry.get("replaces") != replaces {
                let message = format!(
                    "the entry replaces {}, and spec.replaces is {}",
                    told(entry.get("replaces")),
                    told(replaces)
                );
                findings.at(channel, &format!("/entries/{index}"), message);
            }
        }
    }
    if let Some(replaced) = replaces.and_then(Value::as_str)
        && !offered.contains(replaced)
    {
        findings.at(
            csv,
            "/spec/replaces",
            format!("spec.replaces is {replaced:?}, which no channel of the catalog offers"),
        );
    }
}

fn bundle(subject: &Subject, findings: &mut Findings) {
    let Some(csv) = subject.csv() else { return };
    for channel in of_schema(subject, "olm.channel") {
        for (index, entry, _) in entries(channel) {
            if !of_schema(subject, "olm.bundle").any(|bundle| bundle.text("/name") == Some(entry)) {
                findings.at(
                    channel,
                    &format!("/entries/{index}"),
                    format!("entry {entry:?} has no olm.bundle"),
                );
            }
        }
    }
    for bundle in of_schema(subject, "olm.bundle") {
        let image = bundle.text("/image").unwrap_or_default();
        if !image.contains("@sha256:") {
            findings.at(
                bundle,
                "/image",
                format!("image is {image:?}: must be by digest"),
            );
        }
    }
    let own =
        of_schema(subject, "olm.bundle").find(|bundle| bundle.text("/name") == Some(name(subject)));
    let Some(own) = own else { return };
    let properties: Vec<_> = own
        .list("/properties")
        .iter()
        .filter(|property| property.get("type").and_then(Value::as_str) == Some("olm.package"))
        .collect();
    let version = csv.text("/spec/version").unwrap_or_default();
    let says = |property: &&Value, field: &str| {
        property
            .pointer(&format!("/value/{field}"))
            .and_then(Value::as_str)
            .map(str::to_owned)
    };
    let is_right = matches!(properties.as_slice(), [one] if says(one, "version").as_deref() == Some(version)
        && says(one, "packageName").as_deref() == Some(annotation(subject, "package.v1")));
    if !is_right {
        let message = format!(
            "olm.bundle must have one property olm.package, with the bundle's package and version {version}"
        );
        findings.at(own, "/properties", message);
    }
    let images = |document: &Document, pointer: &str| -> BTreeSet<String> {
        let list = document.list(pointer).iter();
        list.filter_map(|one| one.get("image")?.as_str())
            .map(str::to_owned)
            .collect()
    };
    let listed = images(own, "/relatedImages");
    let missing: Vec<_> = images(csv, "/spec/relatedImages")
        .into_iter()
        .filter(|image| !listed.contains(image))
        .collect();
    if !missing.is_empty() {
        findings.at(
            own,
            "/relatedImages",
            format!("relatedImages of olm.bundle lack {missing:?}"),
        );
    }
}

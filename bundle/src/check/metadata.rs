//! Annotations of the bundle, and the labels of its image.

use super::{Findings, Level, Needs, Rule, Subject};
use crate::{
    bundle::ANNOTATIONS,
    document::{Document, escape},
    generate::VERSION_LABEL,
};

pub(super) const RULES: &[Rule] = &[
    Rule {
        code: "metadata/annotations",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "metadata/annotations.yaml has the five keys that are required, each with a value that it may have.",
        why: "opm refuses the bundle else, or looks for the manifests in the wrong place.",
        check: annotations,
    },
    Rule {
        code: "metadata/default-channel",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "The default channel, where it is given, is one of the channels.",
        why: "Users who name no channel get the default one.",
        check: default_channel,
    },
    Rule {
        code: "metadata/channel-names",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "Every channel is named stable, candidate or fast, or begins with one of these and a dash.",
        why: "OLM's naming convention, by which users tell what to expect; validators warn about any other.",
        check: channel_names,
    },
    Rule {
        code: "metadata/labels",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "Labels of the image (or of the Dockerfile) that are about the bundle equal the annotations.",
        why: "OLM reads the annotations and other tools the labels; nothing upstream compares them, and they drift.",
        check: labels,
    },
    Rule {
        code: "metadata/image",
        level: Level::Warning,
        needs: Needs::Nothing,
        holds: "The image is made from scratch and has no WORKDIR, USER, ENTRYPOINT, CMD or RUN.",
        why: "It holds files and runs nothing; OLM copies a bundle relative to its working directory.",
        check: image,
    },
    Rule {
        code: "metadata/version-label",
        level: Level::Error,
        needs: Needs::Nothing,
        holds: "The label org.opencontainers.image.version, where there is one, is spec.version.",
        why: "Scanners and mirrors know the image by it.",
        check: version_label,
    },
];

const PREFIX: &str = "operators.operatorframework.io.bundle.";

/// Keys that are required, and the value of those that may have only one.
const REQUIRED: [(&str, Option<&str>); 5] = [
    ("mediatype.v1", Some("registry+v1")),
    ("manifests.v1", Some("manifests/")),
    ("metadata.v1", Some("metadata/")),
    ("package.v1", None),
    ("channels.v1", None),
];

fn pointer(key: &str) -> String {
    format!("/annotations/{}", escape(&format!("{PREFIX}{key}")))
}

fn annotations(subject: &Subject, findings: &mut Findings) {
    let Some(document) = subject.annotations() else {
        return;
    };
    for (key, wanted) in REQUIRED {
        let pointer = pointer(key);
        match (document.text(&pointer), wanted) {
            (None | Some(""), _) => {
                findings.at(
                    document,
                    &pointer,
                    format!("{PREFIX}{key} is missing or empty"),
                );
            }
            (Some(value), Some(wanted)) if value != wanted => {
                findings.at(
                    document,
                    &pointer,
                    format!("{PREFIX}{key} is {value:?}: must be {wanted:?}"),
                );
            }
            _ => {}
        }
    }
}

fn channels(document: &Document) -> Vec<&str> {
    let channels = document.text(&pointer("channels.v1")).unwrap_or_default();
    let channels = channels.split(',').map(str::trim);
    channels.filter(|channel| !channel.is_empty()).collect()
}

fn default_channel(subject: &Subject, findings: &mut Findings) {
    let Some(document) = subject.annotations() else {
        return;
    };
    let pointer = pointer("channel.default.v1");
    let channels = channels(document);
    if document.at(&pointer).is_some() {
        let default = document.text(&pointer).unwrap_or_default();
        if !channels.contains(&default) {
            let message =
                format!("the default channel is {default:?}: must be one of {channels:?}");
            findings.at(document, &pointer, message);
        }
    }
}

fn channel_names(subject: &Subject, findings: &mut Findings) {
    let Some(document) = subject.annotations() else {
        return;
    };
    for channel in channels(document) {
        let is_conventional = ["stable", "candidate", "fast"].iter().any(|name| {
            channel
                .strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        });
        if !is_conventional {
            let message = format!(
                "channel {channel:?}: must be stable, candidate or fast, or begin so with a dash"
            );
            findings.at(document, &pointer("channels.v1"), message);
        }
    }
}

fn labels(subject: &Subject, findings: &mut Findings) {
    let (Some(document), Some(image)) = (subject.annotations(), &subject.bundle.image) else {
        return;
    };
    let is_about_bundle = |key: &str| key.starts_with("operators.operatorframework.io.");
    let annotations = document
        .at("/annotations")
        .and_then(serde_json::Value::as_object);
    for (key, value) in annotations.into_iter().flatten() {
        if is_about_bundle(key) && !image.labels.contains_key(key) {
            let file = &image.file;
            findings.file(
                file,
                1,
                format!("label {key} is missing; {ANNOTATIONS} says {value}"),
            );
        }
    }
    for (key, (label, line)) in &image.labels {
        let annotation = document.text(&format!("/annotations/{}", escape(key)));
        // Builders leave notes on themselves in labels of their own; those say nothing about the bundle.
        if is_about_bundle(key) && !key.contains(".metrics.") && annotation != Some(label) {
            let said = annotation.map_or_else(|| "nothing".to_owned(), |text| format!("{text:?}"));
            let message = format!("label {key} is {label:?}; {ANNOTATIONS} says {said}");
            findings.file(&image.file, *line, message);
        }
    }
}

fn image(subject: &Subject, findings: &mut Findings) {
    if let Some(image) = &subject.bundle.image {
        for (instruction, line) in &image.superfluous {
            findings.file(
                &image.file,
                *line,
                format!("a bundle has no use for {instruction:?}"),
            );
        }
    }
}

fn version_label(subject: &Subject, findings: &mut Findings) {
    let (Some(image), Some(csv)) = (&subject.bundle.image, subject.csv()) else {
        return;
    };
    let version = csv.text("/spec/version").unwrap_or_default();
    if let Some((label, line)) = image.labels.get(VERSION_LABEL)
        && label != version
    {
        let message = format!("label {VERSION_LABEL} is {label:?}; spec.version is {version:?}");
        findings.file(&image.file, *line, message);
    }
}

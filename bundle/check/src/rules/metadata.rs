//! Annotations of the bundle, and the labels of its image.

use serde_json::Value;

use crate::{
    bundle::ANNOTATIONS,
    document::{Node, escape},
    finding::Findings,
    image::VERSION_LABEL,
    rule::Rule,
    subject::Subject,
};

pub(super) const RULES: &[Rule] = &[
    Rule::error("metadata/annotations", annotations)
        .holds("metadata/annotations.yaml has the five keys that are required, each with a value that it may have.")
        .why("Otherwise opm refuses the bundle, or reads the manifests from the wrong place."),
    Rule::error("metadata/default-channel", default_channel)
        .holds("The default channel, where it is given, is one of the channels.")
        .why("Users who name no channel get the default one."),
    Rule::warning("metadata/channel-names", channel_names)
        .holds("Every channel is named stable, candidate or fast, or begins with one of these and a dash.")
        .why("OLM's naming convention, by which users tell what to expect; validators warn about any other."),
    Rule::error("metadata/labels", labels)
        .holds("Labels of the image (or of the Dockerfile) that are about the bundle equal the annotations.")
        .why("OLM reads the annotations and other tools the labels; nothing upstream compares them, and they drift."),
    Rule::warning("metadata/image", image)
        .holds("The image is made from scratch and has no WORKDIR, USER, ENTRYPOINT, CMD or RUN.")
        .why("It holds files and runs nothing; OLM copies a bundle relative to its working directory."),
    Rule::error("metadata/version-label", version_label)
        .holds("The label org.opencontainers.image.version, where there is one, is spec.version.")
        .why("Scanners and mirrors know the image by it."),
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

fn annotation<'a>(document: &Node<'a>, key: &str) -> Node<'a> {
    document.at(&format!("/annotations/{}", escape(key)))
}

/// An annotation about the bundle.
fn about<'a>(document: &Node<'a>, key: &str) -> Node<'a> {
    annotation(document, &format!("{PREFIX}{key}"))
}

fn annotations(subject: &Subject, findings: &mut Findings) {
    let Some(document) = subject.annotations() else {
        return;
    };
    for (key, wanted) in REQUIRED {
        let place = about(&document, key);
        let value = place.text("");
        if value.is_empty() {
            findings.at(&place, format!("{PREFIX}{key} is missing or empty"));
        } else if let Some(wanted) = wanted.filter(|wanted| *wanted != value) {
            let message = format!("{PREFIX}{key} is {value:?}: must be {wanted:?}");
            findings.at(&place, message);
        }
    }
}

fn channels<'a>(document: &Node<'a>) -> Vec<&'a str> {
    let channels = about(document, "channels.v1").text("");
    let channels = channels.split(',').map(str::trim);
    channels.filter(|channel| !channel.is_empty()).collect()
}

fn default_channel(subject: &Subject, findings: &mut Findings) {
    let Some(document) = subject.annotations() else {
        return;
    };
    let place = about(&document, "channel.default.v1");
    let (channels, default) = (channels(&document), place.text(""));
    if place.value().is_some() && !channels.contains(&default) {
        let message = format!("the default channel is {default:?}: must be one of {channels:?}");
        findings.at(&place, message);
    }
}

fn channel_names(subject: &Subject, findings: &mut Findings) {
    let Some(document) = subject.annotations() else {
        return;
    };
    for channel in channels(&document) {
        let is_conventional = ["stable", "candidate", "fast"].iter().any(|name| {
            channel
                .strip_prefix(name)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        });
        if !is_conventional {
            let message = format!(
                "channel {channel:?}: must be stable, candidate or fast, or begin with one of these and a dash"
            );
            findings.at(&about(&document, "channels.v1"), message);
        }
    }
}

fn labels(subject: &Subject, findings: &mut Findings) {
    let (Some(document), Some(image)) = (subject.annotations(), &subject.bundle.image) else {
        return;
    };
    let is_about_bundle = |key: &str| key.starts_with("operators.operatorframework.io.");
    let annotations = document.get("/annotations").and_then(Value::as_object);
    for (key, value) in annotations.into_iter().flatten() {
        if is_about_bundle(key) && !image.labels.contains_key(key) {
            let message = format!("label {key} is missing; {ANNOTATIONS} says {value}");
            findings.file(&image.file, 1, message);
        }
    }
    for (key, (label, line)) in &image.labels {
        let annotation = annotation(&document, key);
        let said = annotation.str();
        // Builders leave notes on themselves in labels of their own; those say nothing about the bundle.
        if is_about_bundle(key) && !key.contains(".metrics.") && said != Some(label) {
            let said = said.map_or_else(|| "nothing".to_owned(), |text| format!("{text:?}"));
            let message = format!("label {key} is {label:?}; {ANNOTATIONS} says {said}");
            findings.file(&image.file, *line, message);
        }
    }
}

fn image(subject: &Subject, findings: &mut Findings) {
    if let Some(image) = &subject.bundle.image {
        for (instruction, line) in &image.superfluous {
            let message = format!("a bundle must not have {instruction:?}");
            findings.file(&image.file, *line, message);
        }
    }
}

fn version_label(subject: &Subject, findings: &mut Findings) {
    let (Some(image), Some(csv)) = (&subject.bundle.image, subject.csv()) else {
        return;
    };
    let version = csv.text("/spec/version");
    if let Some((label, line)) = image.labels.get(VERSION_LABEL)
        && label != version
    {
        let message = format!("label {VERSION_LABEL} is {label:?}; spec.version is {version:?}");
        findings.file(&image.file, *line, message);
    }
}

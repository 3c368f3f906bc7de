//! What describes the bundle as an image: annotations, labels, Dockerfile, and the tests of the scorecard.

use std::collections::BTreeMap;

use bundle_check::image::VERSION_LABEL;
use serde::Serialize;

use crate::sources::Sources;

/// The folders of the bundle, which only the generator writes to and which are what its image holds.
pub(crate) const FOLDERS: [&str; 3] = ["manifests", "metadata", "tests/scorecard"];

/// `metadata/annotations.yaml`.
#[derive(Serialize)]
pub(super) struct Annotations {
    annotations: BTreeMap<String, String>,
}

/// The labels of the bundle's image. The annotations are the same: OLM reads those, other tools the labels, and nothing
/// upstream compares the two.
pub(super) fn labels(sources: &Sources) -> BTreeMap<String, String> {
    let (prose, release) = (&sources.base.prose, &sources.base.release);
    let bundle = |key| format!("operators.operatorframework.io.bundle.{key}");
    let mut labels: BTreeMap<String, String> = [
        (bundle("mediatype.v1"), "registry+v1"),
        (bundle("manifests.v1"), "manifests/"),
        (bundle("metadata.v1"), "metadata/"),
        (bundle("package.v1"), prose.package.as_str()),
        (
            "operators.operatorframework.io.test.mediatype.v1".to_owned(),
            "scorecard+v1",
        ),
        (
            "operators.operatorframework.io.test.config.v1".to_owned(),
            "tests/scorecard/",
        ),
    ]
    .into_iter()
    .map(|(key, value)| (key, value.to_owned()))
    .collect();
    labels.insert(bundle("channels.v1"), release.channels.join(","));
    if let Some(default) = release.channels.first() {
        labels.insert(bundle("channel.default.v1"), default.clone());
    }
    labels
}

pub(super) fn annotations(sources: &Sources) -> Annotations {
    Annotations {
        annotations: labels(sources),
    }
}

/// For those who build the image with an engine. It has no WORKDIR, in which OLM would write its copy of the bundle.
pub(super) fn dockerfile(sources: &Sources) -> String {
    let mut lines = vec![
        "# Generated from bundle/base by `bundle generate`; edits are lost.".to_owned(),
        "# `just bundle-images` writes the same image without an engine.".to_owned(),
        "FROM scratch".to_owned(),
    ];
    let labels = labels(sources).into_iter();
    lines.extend(labels.map(|(key, value)| format!("LABEL {key}={value}")));
    lines.push(format!("LABEL {VERSION_LABEL}={}", sources.version));
    lines.extend(FOLDERS.map(|folder| format!("COPY {folder} /{folder}/")));
    lines.join("\n") + "\n"
}

/// `tests/scorecard/config.yaml`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Scorecard {
    api_version: &'static str,
    kind: &'static str,
    metadata: ScorecardName,
    stages: Vec<Stage>,
}

#[derive(Serialize)]
struct ScorecardName {
    name: &'static str,
}

#[derive(Serialize)]
struct Stage {
    parallel: bool,
    tests: Vec<ScorecardTest>,
}

#[derive(Serialize)]
struct ScorecardTest {
    entrypoint: [&'static str; 2],
    image: &'static str,
    labels: BTreeMap<&'static str, &'static str>,
}

/// The image that operator-sdk's scorecard runs its tests in.
const SCORECARD_IMAGE: &str = "quay.io/operator-framework/scorecard-test:v1.42.3";

/// Suites and tests of operator-sdk.
const SCORECARD_TESTS: [(&str, &str); 6] = [
    ("basic", "basic-check-spec"),
    ("olm", "olm-bundle-validation"),
    ("olm", "olm-crds-have-validation"),
    ("olm", "olm-crds-have-resources"),
    ("olm", "olm-spec-descriptors"),
    ("olm", "olm-status-descriptors"),
];

pub(super) fn scorecard() -> Scorecard {
    let test = |(suite, test): &(&'static str, &'static str)| ScorecardTest {
        entrypoint: ["scorecard-test", *test],
        image: SCORECARD_IMAGE,
        labels: [("suite", *suite), ("test", *test)].into(),
    };
    Scorecard {
        api_version: "scorecard.operatorframework.io/v1alpha3",
        kind: "Configuration",
        metadata: ScorecardName { name: "config" },
        stages: vec![Stage {
            parallel: true,
            tests: SCORECARD_TESTS.iter().map(test).collect(),
        }],
    }
}

//! What a bundle is made of: folders, files, kinds and size.

use std::collections::BTreeMap;

use base64::Engine;
use flate2::{Compression, write::GzEncoder};

use crate::{
    bundle::{ANNOTATIONS, MANIFESTS, is_yaml},
    finding::Findings,
    rule::Rule,
    subject::Subject,
};

pub(super) const RULES: &[Rule] = &[
    Rule::error("format/layout", layout)
        .holds("There is manifests/ with YAML files only, without folders or dot-files in it, and metadata/annotations.yaml.")
        .why("opm and OLM read the files of manifests/ and nothing below it; what they can't parse makes the bundle invalid."),
    Rule::error("format/yaml", yaml)
        .holds("Every manifest and metadata file is YAML in UTF-8 without duplicate keys.")
        .why("What can't be parsed can't be installed."),
    Rule::error("format/one-document", one_document)
        .holds("A file holds exactly one document.")
        .why("OLM reads the first and ignores the rest without a word; upstream validators never see what is hidden there."),
    Rule::error("format/one-csv", one_csv)
        .holds("There is exactly one ClusterServiceVersion.")
        .why("A bundle is one version of one operator."),
    Rule::error("format/kind", kind)
        .holds("Every manifest is of a kind that OLM v0 and OLM v1 both install.")
        .why("opm lets PodMonitor pass and OLM v0 refuses it at install; workloads, namespaces and admission policies are refused by both."),
    Rule::warning("format/optional-kind", optional_kind)
        .holds("No manifest is of a kind that a cluster may not have, or that catalogs refuse: ServiceMonitor, PrometheusRule, \
                VerticalPodAutoscaler, the kinds of OpenShift's console, NetworkPolicy.")
        .why("Where the kind is not defined the whole install plan fails; OpenShift's pipeline refuses NetworkPolicies."),
    Rule::error("format/size", size)
        .holds("All manifests, each as gzip in base64, are at most 85 % of 1 MiB.")
        .why("OLM unpacks a bundle into a ConfigMap of at most 1 MiB."),
];

/// What both OLM v0 and v1 install (operator-registry, `pkg/lib/bundle/supported_resources.go`, without `PodMonitor`).
const KINDS: [&str; 12] = [
    "ClusterServiceVersion",
    "CustomResourceDefinition",
    "Secret",
    "ConfigMap",
    "ServiceAccount",
    "Service",
    "Role",
    "RoleBinding",
    "ClusterRole",
    "ClusterRoleBinding",
    "PodDisruptionBudget",
    "PriorityClass",
];

/// What both install where the cluster has the kind.
const OPTIONAL_KINDS: [&str; 9] = [
    "ConsoleCLIDownload",
    "ConsoleLink",
    "ConsolePlugin",
    "ConsoleQuickStart",
    "ConsoleYAMLSample",
    "NetworkPolicy",
    "PrometheusRule",
    "ServiceMonitor",
    "VerticalPodAutoscaler",
];

/// 85 % of 1 MiB, in bytes.
const LARGEST: usize = 1_048_576 / 100 * 85;

fn layout(subject: &Subject, findings: &mut Findings) {
    let files = &subject.bundle.files;
    let manifests = files.within(&[MANIFESTS]);
    if manifests.iter().next().is_none() {
        findings.file(MANIFESTS, 1, "the folder is missing or empty");
    }
    for (path, _) in manifests.iter() {
        let name = path.strip_prefix(MANIFESTS).unwrap_or(path);
        if name.contains('/') {
            findings.file(
                path,
                1,
                "it is in a folder of manifests/, which is not read",
            );
        } else if name.starts_with('.') {
            findings.file(path, 1, "it is a dot-file");
        } else if !is_yaml(name) {
            findings.file(path, 1, "it is neither YAML nor JSON by its name");
        }
    }
    if files.get(ANNOTATIONS).is_none() {
        findings.file(ANNOTATIONS, 1, "the file is missing");
    }
}

fn yaml(subject: &Subject, findings: &mut Findings) {
    for error in &subject.bundle.unreadable {
        findings.file(&error.file, error.line, &error.reason);
    }
}

fn one_document(subject: &Subject, findings: &mut Findings) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for document in &subject.bundle.documents {
        let count = counts.entry(&document.file).or_default();
        *count += 1;
        if *count == 2 {
            let root = document.root();
            let kind = document.text("/kind").unwrap_or("an object without a kind");
            findings.at(
                &root,
                format!("a second document ({kind}), which OLM ignores"),
            );
        }
    }
    let is_read = |path: &str| {
        counts.contains_key(path)
            || subject
                .bundle
                .unreadable
                .iter()
                .any(|error| error.file == path)
    };
    for (path, _) in subject.bundle.files.within(&[MANIFESTS]).iter() {
        if is_yaml(path) && !is_read(path) {
            findings.file(path, 1, "it holds no document");
        }
    }
}

fn one_csv(subject: &Subject, findings: &mut Findings) {
    let mut found = subject.of_kind("ClusterServiceVersion");
    if found.next().is_none() {
        findings.file(MANIFESTS, 1, "no ClusterServiceVersion");
    }
    for csv in found {
        findings.at(&csv, "another ClusterServiceVersion");
    }
}

fn kind(subject: &Subject, findings: &mut Findings) {
    for manifest in subject.manifests() {
        match manifest.at("/kind").str() {
            None => findings.at(&manifest, "kind is missing"),
            Some(kind) if KINDS.contains(&kind) || OPTIONAL_KINDS.contains(&kind) => {}
            Some(kind) => {
                let message = format!("kind is {kind:?}, which OLM does not install");
                findings.at(&manifest.at("/kind"), message);
            }
        }
    }
    for class in subject.of_kind("PriorityClass") {
        if class.is_true("/globalDefault") {
            let message = "globalDefault is true, which OLM refuses";
            findings.at(&class.at("/globalDefault"), message);
        }
    }
}

fn optional_kind(subject: &Subject, findings: &mut Findings) {
    for manifest in subject.manifests() {
        let kind = manifest.text("/kind");
        if OPTIONAL_KINDS.contains(&kind) {
            let message = format!("kind is {kind:?}, which not every cluster or catalog takes");
            findings.at(&manifest.at("/kind"), message);
        }
    }
}

fn size(subject: &Subject, findings: &mut Findings) {
    let manifests = subject.bundle.files.within(&[MANIFESTS]);
    let total: usize = manifests.iter().map(|(_, content)| unpacked(content)).sum();
    if total > LARGEST {
        let largest = manifests.iter().max_by_key(|(_, content)| content.len());
        let file = largest.map_or(MANIFESTS, |(path, _)| path);
        let message = format!(
            "{total} bytes as gzip in base64, more than {LARGEST}; this is the largest file"
        );
        findings.file(file, 1, message);
    }
}

/// The size of a file in the ConfigMap that OLM unpacks a bundle into.
fn unpacked(content: &[u8]) -> usize {
    use std::io::Write;
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    // Writing to memory does not fail; were it to, the file would count as it is.
    let compressed = encoder
        .write_all(content)
        .and_then(|()| encoder.finish())
        .unwrap_or_else(|_| content.to_vec());
    base64::prelude::BASE64_STANDARD.encode(compressed).len()
}

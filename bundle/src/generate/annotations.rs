//! Annotations and labels of the ClusterServiceVersion.
//!
//! OLM copies the annotations to the pods, so a change of any of them restarts the operator.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::error::GenerateError;
use crate::sources::Sources;

pub(super) fn annotations(sources: &Sources) -> Result<BTreeMap<String, String>, GenerateError> {
    let (prose, release) = (&sources.base.prose, &sources.base.release);
    let mut annotations: BTreeMap<String, String> = [
        (
            "alm-examples",
            serde_json::to_string_pretty(&json!([example(sources)]))?,
        ),
        ("capabilities", prose.capabilities.clone()),
        ("categories", prose.categories.join(",")),
        ("containerImage", release.operator_image.reference()),
        ("createdAt", release.created_at.to_string()),
        ("description", prose.summary.clone()),
        ("repository", prose.repository.clone()),
        ("support", prose.support.clone()),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value))
    .collect();
    for (feature, holds) in &prose.features {
        let key = format!("features.operators.openshift.io/{feature}");
        annotations.insert(key, holds.to_string());
    }
    Ok(annotations)
}

/// Where the operator runs; without them, OLM believes amd64.
pub(super) fn labels(sources: &Sources) -> BTreeMap<String, String> {
    let supported = "supported".to_owned();
    let mut labels: BTreeMap<_, _> = sources
        .base
        .release
        .operator_image
        .architectures
        .iter()
        .map(|name| {
            (
                format!("operatorframework.io/arch.{name}"),
                supported.clone(),
            )
        })
        .collect();
    labels.insert("operatorframework.io/os.linux".to_owned(), supported);
    labels
}

/// `deploy/sample.yaml` in no namespace of its own, with the status that it has when it was made.
fn example(sources: &Sources) -> Value {
    let mut example = sources.sample.clone();
    if let Some(metadata) = example.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("namespace");
    }
    example["status"] = json!({
        "phase": "Pending",
        "inSchedule": false,
        "message": "no operator has looked at it so far",
    });
    example
}

//! Why a bundle can't be derived.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

/// A bundle can't be derived from its sources.
#[derive(Debug, thiserror::Error)]
pub enum GenerateError {
    #[error("{source_file} has no {what}")]
    Lacking {
        source_file: &'static str,
        what: &'static str,
    },
    #[error("{source_file}: {field} is {value:?}: {rule}")]
    Invalid {
        source_file: &'static str,
        field: &'static str,
        value: String,
        rule: &'static str,
    },
    #[error("failed to write {file} as YAML")]
    Yaml {
        file: String,
        #[source]
        source: serde_saphyr::ser::Error,
    },
    #[error("failed to write alm-examples as JSON")]
    Json(#[from] serde_json::Error),
}

/// The name of an object, which every source gives.
pub(super) fn name<'a>(
    metadata: &'a ObjectMeta,
    source_file: &'static str,
) -> Result<&'a str, GenerateError> {
    metadata.name.as_deref().ok_or(GenerateError::Lacking {
        source_file,
        what: "metadata.name",
    })
}

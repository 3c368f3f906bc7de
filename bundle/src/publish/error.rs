//! Why images can't be put together.

use std::path::PathBuf;

use bundle_check::files::FileError;

use crate::{
    catalog::CatalogError, generate::GenerateError, reference::InvalidReference, sbom::CargoError,
    sources::SourceError,
};

/// The images can't be put together.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Generate(#[from] GenerateError),
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("failed to put the image of the {what} together")]
    Image {
        what: String,
        #[source]
        source: std::io::Error,
    },
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    #[error(transparent)]
    Cargo(#[from] CargoError),
    #[error("failed to write a bill of materials as JSON")]
    Json(#[from] serde_json::Error),
    #[error(
        "bundle/base/release.yaml: operatorImage.architectures has {value:?}: must be amd64 or arm64"
    )]
    Architecture { value: String },
    #[error("{}: must be an ELF file, as the operator is on Linux", .binary.display())]
    NoProgram { binary: PathBuf },
    #[error(
        "{} is built for {found}, and the image says {declared} by bundle/base/release.yaml, operatorImage.architectures: must be the \
         same",
        .binary.display()
    )]
    Foreign {
        binary: PathBuf,
        found: String,
        declared: String,
    },
    #[error(
        "the operator's image is {found}, and bundle/base/release.yaml has operatorImage.digest {pinned}: the bundle must name the image \
         that is published with it; `just bundle-pin` writes it"
    )]
    Pinned { found: String, pinned: String },
}

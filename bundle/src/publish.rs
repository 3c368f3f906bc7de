//! The images of this version, put together to be written as archives or pushed.

use std::{
    fs,
    path::{Path, PathBuf},
};

use semver::Version;

use crate::{
    base::OperatorImage,
    catalog::{self, CatalogError, RELEASES, releases, stamp},
    files::FileError,
    generate::{GenerateError, generate},
    images,
    oci::{Image, archive, artifact},
    reference::{ImageReference, InvalidReference},
    sbom::{Bom, CYCLONEDX, CargoError, Graph},
    sources::{SourceError, Sources},
};

/// An image with its name.
#[derive(Clone, Debug)]
pub struct Named {
    /// What it is: `operator`, `bundle` or `catalog`.
    pub what: &'static str,
    /// Registry and path.
    pub repository: String,
    /// The version, with a `v`.
    pub tag: String,
    /// The image.
    pub image: Image,
}

/// The images can't be put together.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// What the bundle is derived from.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The bundle.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// The catalog.
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// A file.
    #[error(transparent)]
    File(#[from] FileError),
    /// An image.
    #[error("failed to put the image of the {what} together")]
    Image {
        /// Which.
        what: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The operator's image has a name that is none.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    /// A bill of materials.
    #[error(transparent)]
    Cargo(#[from] CargoError),
    /// A bill of materials can't be written as JSON.
    #[error("failed to write a bill of materials as JSON")]
    Json(#[from] serde_json::Error),
    /// It is not known how Rust calls an architecture.
    #[error(
        "bundle/base/release.yaml: operatorImage.architectures has {value:?}: must be amd64 or arm64"
    )]
    Architecture {
        /// The architecture.
        value: String,
    },
    /// The binary is not the one that the bundle names.
    #[error(
        "the operator's image is {found}, and bundle/base/release.yaml has operatorImage.digest {pinned}: the bundle must name the image \
         that is published with it; `just bundle-pin` writes it"
    )]
    Pinned {
        /// What the binary gives.
        found: String,
        /// What is written.
        pinned: String,
    },
}

/// The operator's image of this binary.
pub fn operator(sources: &Sources, binary: &Path) -> Result<Image, PublishError> {
    let content = fs::read(binary).map_err(|source| FileError {
        action: "read",
        path: binary.to_owned(),
        source,
    })?;
    // There is one: Base::read sees to it.
    let architecture = sources.base.release.operator_image.architectures.first();
    let architecture = architecture.map_or("amd64", String::as_str);
    images::operator(content, architecture, &stamp(sources)).map_err(|source| PublishError::Image {
        what: "operator",
        source,
    })
}

/// All three images. The operator's has to be the one that the bundle names.
pub fn all(root: &Path, binary: &Path) -> Result<Vec<Named>, PublishError> {
    let sources = Sources::read(root)?;
    let operator = operator(&sources, binary)?;
    let OperatorImage {
        repository, digest, ..
    } = &sources.base.release.operator_image;
    if operator.digest() != digest {
        return Err(PublishError::Pinned {
            found: operator.digest().to_owned(),
            pinned: digest.clone(),
        });
    }
    let files = generate(&sources)?;
    let kept = releases(&root.join("bundle").join(RELEASES))?;
    let text = catalog::catalog(&sources, &kept, &catalog::release(&sources, &files)?)?;
    let prose = &sources.base.prose;
    let catalog = images::catalog(&text, &prose.package, &stamp(&sources)).map_err(|source| {
        PublishError::Image {
            what: "catalog",
            source,
        }
    })?;
    let bundle = catalog::bundle_image(&sources, &files)?;
    let named = |what, repository: &str, image| Named {
        what,
        repository: repository.to_owned(),
        tag: tag(&sources.version),
        image,
    };
    Ok(vec![
        named("operator", repository, operator),
        named("bundle", &prose.bundle_repository, bundle),
        named("catalog", &prose.catalog_repository, catalog),
    ])
}

/// The tag of a version; a `+` is no part of one.
fn tag(version: &Version) -> String {
    format!("v{version}").replace('+', "_")
}

/// The bill of materials of each image, in their order.
pub fn boms(root: &Path, images: &[Named]) -> Result<Vec<Vec<u8>>, PublishError> {
    let sources = Sources::read(root)?;
    let created = sources.base.release.created_at;
    let operator = &sources.base.release.operator_image;
    let architecture = operator
        .architectures
        .first()
        .map_or("amd64", String::as_str);
    let target = rust_target(architecture).ok_or_else(|| PublishError::Architecture {
        value: architecture.to_owned(),
    })?;
    let kept = releases(&root.join("bundle").join(RELEASES))?;
    let this = catalog::release(&sources, &generate(&sources)?)?;
    let offered: Vec<_> = kept
        .iter()
        .chain([&this])
        .map(|release| release.image.clone())
        .collect();
    let named: ImageReference = operator.reference().parse()?;
    let of_references = |what: &str, references: &[ImageReference]| {
        Bom::of_references(
            &format!("{}-{what}", sources.base.prose.package),
            &sources.version,
            created,
            references,
        )
    };
    let bom = |image: &Named| -> Result<Vec<u8>, PublishError> {
        Ok(match image.what {
            "operator" => Bom::of_program(&Graph::read(root, OPERATOR, target)?, created),
            "bundle" => of_references(image.what, std::slice::from_ref(&named)),
            _ => of_references(image.what, &offered),
        }
        .to_json()?)
    };
    images.iter().map(bom).collect()
}

/// The package whose program is the operator.
const OPERATOR: &str = "five-spot";

/// What the operator is compiled for, by the architecture in Go's words.
fn rust_target(architecture: &str) -> Option<&'static str> {
    match architecture {
        "amd64" => Some("x86_64-unknown-linux-gnu"),
        "arm64" => Some("aarch64-unknown-linux-gnu"),
        _ => None,
    }
}

/// A bill of materials as an artifact about an image.
pub fn bom_artifact(bom: Vec<u8>, root: &Path, subject: &Image) -> Result<Image, PublishError> {
    let created = Sources::read(root)?.base.release.created_at;
    artifact(CYCLONEDX, bom, created, subject).map_err(|source| PublishError::Image {
        what: "bill of materials",
        source,
    })
}

/// Writes the archives to a folder, each with its bill of materials beside it; gives where each archive is.
pub fn write(
    images: &[Named],
    boms: &[Vec<u8>],
    folder: &Path,
) -> Result<Vec<PathBuf>, PublishError> {
    let mut paths = Vec::new();
    fs::create_dir_all(folder).map_err(|source| FileError {
        action: "create",
        path: folder.to_owned(),
        source,
    })?;
    for (
        Named {
            what,
            repository,
            tag,
            image,
        },
        bom,
    ) in images.iter().zip(boms)
    {
        let bytes = archive(image, repository, tag)
            .map_err(|source| PublishError::Image { what, source })?;
        for (end, content) in [("cdx.json", bom), ("tar", &bytes)] {
            let path = folder.join(format!("{what}.{end}"));
            fs::write(&path, content).map_err(|source| FileError {
                action: "write",
                path: path.clone(),
                source,
            })?;
        }
        paths.push(folder.join(format!("{what}.tar")));
    }
    Ok(paths)
}

/// Writes the digest of the operator's image where the bundle takes it from; gives the digest.
pub fn pin(root: &Path, binary: &Path) -> Result<String, PublishError> {
    let sources = Sources::read(root)?;
    let digest = operator(&sources, binary)?.digest().to_owned();
    let path = root.join("bundle/base/release.yaml");
    let failed = |action| {
        let path = path.clone();
        move |source| FileError {
            action,
            path,
            source,
        }
    };
    let text = fs::read_to_string(&path).map_err(failed("read"))?;
    // As text, so that the comments stay.
    let pinned = text.replace(&sources.base.release.operator_image.digest, &digest);
    fs::write(&path, pinned).map_err(failed("write"))?;
    Ok(digest)
}

#[cfg(test)]
mod tests;

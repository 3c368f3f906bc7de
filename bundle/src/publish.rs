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
    oci::{Image, archive},
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

/// Writes the archives to a folder; gives where each is.
pub fn write(images: &[Named], folder: &Path) -> Result<Vec<PathBuf>, PublishError> {
    let mut paths = Vec::new();
    fs::create_dir_all(folder).map_err(|source| FileError {
        action: "create",
        path: folder.to_owned(),
        source,
    })?;
    for Named {
        what,
        repository,
        tag,
        image,
    } in images
    {
        let bytes = archive(image, repository, tag)
            .map_err(|source| PublishError::Image { what, source })?;
        let path = folder.join(format!("{what}.tar"));
        fs::write(&path, bytes).map_err(|source| FileError {
            action: "write",
            path: path.clone(),
            source,
        })?;
        paths.push(path);
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

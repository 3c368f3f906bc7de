//! The images of this version, put together to be written as archives or pushed.

mod error;

use std::{
    fs,
    path::{Path, PathBuf},
};

use bundle_check::files::FileError;
use semver::Version;

use crate::{
    catalog::{self, Imaged, Release, earlier},
    elf,
    images::{self, Stamp},
    oci::{Image, archive, artifact},
    reference::ImageReference,
    sbom::{Bom, Graph},
    sources::Sources,
};

pub use crate::sbom::CYCLONEDX;
pub(crate) use error::PublishError;

/// An image with its name.
#[derive(Clone, Debug)]
pub struct Named {
    /// What it is: `operator`, `bundle` or `catalog`; those of earlier versions with a dash and the version.
    pub what: String,
    /// Registry and path.
    pub repository: String,
    /// The version, with a `v`.
    pub tag: String,
    /// The image.
    pub image: Image,
}

/// The operator's image of this binary.
pub(crate) fn operator(sources: &Sources, binary: &Path) -> Result<Image, PublishError> {
    let content = fs::read(binary).map_err(FileError::of("read", binary))?;
    // There is one: Base::read sees to it.
    let architecture = sources.base.release.operator_image.architectures.first();
    let architecture = architecture.map_or("amd64", String::as_str);
    let found = elf::architecture(&content).ok_or_else(|| PublishError::NoProgram {
        binary: binary.to_owned(),
    })?;
    if found != architecture {
        return Err(PublishError::Foreign {
            binary: binary.to_owned(),
            found,
            declared: architecture.to_owned(),
        });
    }
    let stamp = Stamp {
        version: sources.version.clone(),
        created: sources.base.release.created_at,
    };
    images::operator(content, architecture, &stamp).map_err(|source| PublishError::Image {
        what: "operator".to_owned(),
        source,
    })
}

/// All three images. The operator's has to be the one that the bundle names.
pub fn all(root: &Path, binary: &Path) -> Result<Vec<Named>, PublishError> {
    let sources = Sources::read(root)?;
    let operator = operator(&sources, binary)?;
    let pinned = &sources.base.release.operator_image.digest;
    if operator.digest() != pinned {
        return Err(PublishError::Pinned {
            found: operator.digest().to_owned(),
            pinned: pinned.clone(),
        });
    }
    let before = earlier(root, &sources.version)?;
    let this = Imaged::this(&sources)?;
    let mut images = vec![operator_named(&sources, operator)];
    images.extend(offered(&sources, &before, &this, "")?);
    Ok(images)
}

/// All three images whatever the operator's is: the bundle names the one of this binary in place of the pinned one. With
/// them come a bundle and a catalog for every earlier release that is kept, naming the same operator, so that an upgrade can
/// be tried where nothing can be pulled.
pub fn as_built(root: &Path, binary: &Path) -> Result<Vec<Named>, PublishError> {
    let mut sources = Sources::read(root)?;
    let operator = operator(&sources, binary)?;
    operator
        .digest()
        .clone_into(&mut sources.base.release.operator_image.digest);
    let reference = sources.base.release.operator_image.reference().parse()?;
    let mut images = vec![operator_named(&sources, operator)];
    let mut before = Vec::new();
    for release in earlier(root, &sources.version)? {
        let release = release.with_operator(&reference)?;
        let suffix = format!("-{}", release.release.version);
        images.extend(offered(&sources, &before, &release, &suffix)?);
        before.push(release.release);
    }
    images.splice(
        1..1,
        offered(&sources, &before, &Imaged::this(&sources)?, "")?,
    );
    Ok(images)
}

fn operator_named(sources: &Sources, image: Image) -> Named {
    Named {
        what: "operator".to_owned(),
        repository: sources.base.release.operator_image.repository.clone(),
        tag: tag(&sources.version),
        image,
    }
}

/// The bundle of a release, and the catalog that offers it and what came before.
fn offered(
    sources: &Sources,
    before: &[Release],
    this: &Imaged,
    suffix: &str,
) -> Result<[Named; 2], PublishError> {
    let prose = &sources.base.prose;
    let text = catalog::catalog(sources, before, &this.release)?;
    let catalog = images::catalog(&text, &prose.package, &this.stamp);
    let catalog = catalog.map_err(|source| PublishError::Image {
        what: format!("catalog{suffix}"),
        source,
    })?;
    let named = |what, repository: &str, image| Named {
        what: format!("{what}{suffix}"),
        repository: repository.to_owned(),
        tag: tag(&this.release.version),
        image,
    };
    Ok([
        named("bundle", &prose.bundle_repository, this.image.clone()),
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
    let before = earlier(root, &sources.version)?;
    let this = Imaged::this(&sources)?.release;
    let offered: Vec<_> = before
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
        Ok(match image.what.as_str() {
            "operator" => Bom::of_program(&Graph::read(root, OPERATOR, target)?, created),
            what @ "bundle" => of_references(what, std::slice::from_ref(&named)),
            what => of_references(what, &offered),
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
        what: "bill of materials".to_owned(),
        source,
    })
}

/// Writes the archives to a folder; gives where each is.
pub fn write(images: &[Named], folder: &Path) -> Result<Vec<PathBuf>, PublishError> {
    let mut paths = Vec::new();
    for Named {
        what,
        repository,
        tag,
        image,
    } in images
    {
        let bytes = archive(image, repository, tag).map_err(|source| PublishError::Image {
            what: what.clone(),
            source,
        })?;
        paths.push(write_file(folder, &format!("{what}.tar"), &bytes)?);
    }
    Ok(paths)
}

/// Writes the bill of materials of each image to a folder.
pub fn write_boms(images: &[Named], boms: &[Vec<u8>], folder: &Path) -> Result<(), PublishError> {
    for (Named { what, .. }, bom) in images.iter().zip(boms) {
        write_file(folder, &format!("{what}.cdx.json"), bom)?;
    }
    Ok(())
}

fn write_file(folder: &Path, name: &str, content: &[u8]) -> Result<PathBuf, FileError> {
    fs::create_dir_all(folder).map_err(FileError::of("create", folder))?;
    let path = folder.join(name);
    fs::write(&path, content).map_err(FileError::of("write", &path))?;
    Ok(path)
}

#[cfg(test)]
mod tests;

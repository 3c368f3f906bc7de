//! The file-based catalog: every release that is kept, and this version.
//!
//! A release that was made is frozen in `bundle/releases/<version>`, with the reference of its image. A channel offers the
//! versions whose annotations name it, each upgrading from what its ClusterServiceVersion replaces.

mod entry;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
};

use semver::Version;
use serde_json::Value;

use crate::{
    bundle::{ANNOTATIONS, Bundle},
    document::Document,
    files::{FileError, Files},
    generate::{FOLDERS, GenerateError, labels},
    images::{self, Stamp},
    oci::Image,
    reference::{ImageReference, InvalidReference},
    sources::Sources,
};

use entry::{Channel, ChannelEntry, Package, PackageIcon, bundle_blob};

/// The file in a frozen release that names its image.
const IMAGE: &str = "image";

/// Where frozen releases are, below `bundle/`.
pub const RELEASES: &str = "releases";

/// The catalog's file, below `bundle/`.
pub const CATALOG: &str = "catalog/catalog.yaml";

/// A version that a catalog offers.
#[derive(Clone, Debug)]
pub struct Release {
    /// The version.
    pub version: Version,
    /// The image of the bundle.
    pub image: ImageReference,
    /// The bundle.
    pub bundle: Bundle,
}

/// The catalog can't be made.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// The bundle of this version can't be made.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// An image can't be put together.
    #[error("failed to put the bundle's image together")]
    Image(#[source] std::io::Error),
    /// A frozen release has no version as its name.
    #[error("{}: the folder's name must be a semantic version", .path.display())]
    Version {
        /// The folder.
        path: PathBuf,
        /// Why.
        #[source]
        source: semver::Error,
    },
    /// A frozen release does not name its image.
    #[error("{}: must hold the reference of the bundle's image by digest", .path.display())]
    Reference {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: InvalidReference,
    },
    /// A bundle lacks what a catalog tells of it.
    #[error("the bundle of version {version} has no {what}")]
    Lacking {
        /// The version.
        version: Version,
        /// What.
        what: &'static str,
    },
    /// The catalog can't be written as YAML.
    #[error("failed to write the catalog as YAML")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

/// The image of the bundle that was generated from these sources.
pub fn bundle_image(sources: &Sources, files: &Files) -> Result<Image, CatalogError> {
    let prefixes = FOLDERS.map(|folder| format!("{folder}/"));
    let prefixes = prefixes.each_ref().map(String::as_str);
    images::bundle(&files.within(&prefixes), labels(sources), &stamp(sources))
        .map_err(CatalogError::Image)
}

/// Version and age of this release.
pub fn stamp(sources: &Sources) -> Stamp {
    Stamp {
        version: sources.version.clone(),
        created: sources.base.release.created_at,
    }
}

/// This version as a release.
pub fn release(sources: &Sources, files: &Files) -> Result<Release, CatalogError> {
    let image = bundle_image(sources, files)?;
    let reference = format!(
        "{}@{}",
        sources.base.prose.bundle_repository,
        image.digest()
    );
    Ok(Release {
        version: sources.version.clone(),
        image: reference
            .parse()
            .map_err(|source| CatalogError::Reference {
                path: "bundle/base/csv.yaml".into(),
                source,
            })?,
        bundle: Bundle::from_files(files.clone()),
    })
}

/// The releases that are kept below a folder, oldest first.
pub fn releases(folder: &Path) -> Result<Vec<Release>, CatalogError> {
    let mut releases: BTreeMap<Version, Files> = BTreeMap::new();
    if !folder.exists() {
        return Ok(Vec::new());
    }
    for (path, content) in Files::read(folder)?.iter() {
        let (name, rest) = path.split_once('/').unwrap_or((path, ""));
        let version = Version::parse(name).map_err(|source| CatalogError::Version {
            path: folder.join(name),
            source,
        })?;
        releases.entry(version).or_default().insert(rest, content);
    }
    let read = |(version, files): (Version, Files)| {
        let text = String::from_utf8_lossy(files.get(IMAGE).unwrap_or_default()).into_owned();
        let image =
            ImageReference::from_str(text.trim()).map_err(|source| CatalogError::Reference {
                path: folder.join(version.to_string()).join(IMAGE),
                source,
            })?;
        Ok(Release {
            version,
            image,
            bundle: Bundle::from_files(files),
        })
    };
    releases.into_iter().map(read).collect()
}

/// The files of a release to keep, below `bundle/`.
pub fn frozen(release: &Release) -> Files {
    let folder = format!("{RELEASES}/{}", release.version);
    let mut files = Files::default();
    for (path, content) in release.bundle.files.iter() {
        files.insert(format!("{folder}/{path}"), content);
    }
    files.insert(format!("{folder}/{IMAGE}"), format!("{}\n", release.image));
    files
}

/// The catalog with these releases, oldest first, as YAML. A kept release of this very version gives way to it.
pub fn catalog(
    sources: &Sources,
    kept: &[Release],
    this: &Release,
) -> Result<String, CatalogError> {
    let (prose, release) = (&sources.base.prose, &sources.base.release);
    let all: Vec<&Release> = kept
        .iter()
        .filter(|kept| kept.version != this.version)
        .chain([this])
        .collect();
    let package = Package {
        schema: "olm.package",
        name: &prose.package,
        default_channel: release.channels.first().map_or("", String::as_str),
        description: &sources.base.description,
        icon: PackageIcon::svg(&sources.base.icon),
    };
    let mut documents = vec![serde_saphyr::to_string(&package)?];
    for name in &release.channels {
        let channel = Channel {
            schema: "olm.channel",
            package: &prose.package,
            name,
            entries: entries(&all, name)?,
        };
        documents.push(serde_saphyr::to_string(&channel)?);
    }
    for release in &all {
        documents.push(serde_saphyr::to_string(&bundle_blob(
            release,
            &prose.package,
        )?)?);
    }
    Ok(format!(
        "# Generated from bundle/releases and bundle/manifests by `bundle generate`; edits are lost.\n---\n{}",
        documents.join("---\n")
    ))
}

/// The versions that a channel offers.
fn entries(all: &[&Release], channel: &str) -> Result<Vec<ChannelEntry>, CatalogError> {
    let mut entries = Vec::new();
    for release in all {
        if release.channels().iter().any(|name| name == channel) {
            let csv = release.csv()?;
            let text = |pointer: &str| csv.text(pointer).map(str::to_owned);
            let skips = csv.list("/spec/skips").iter();
            entries.push(ChannelEntry {
                name: release.name()?,
                replaces: text("/spec/replaces"),
                skips: skips.filter_map(Value::as_str).map(str::to_owned).collect(),
                skip_range: text("/metadata/annotations/olm.skipRange"),
            });
        }
    }
    Ok(entries)
}

impl Release {
    fn lacking(&self, what: &'static str) -> CatalogError {
        CatalogError::Lacking {
            version: self.version.clone(),
            what,
        }
    }

    /// The ClusterServiceVersion.
    fn csv(&self) -> Result<&Document, CatalogError> {
        let mut documents = self.bundle.documents.iter();
        documents
            .find(|document| document.text("/kind") == Some("ClusterServiceVersion"))
            .ok_or_else(|| self.lacking("ClusterServiceVersion"))
    }

    /// The name of the ClusterServiceVersion.
    fn name(&self) -> Result<String, CatalogError> {
        let name = self.csv()?.text("/metadata/name").map(str::to_owned);
        name.ok_or_else(|| self.lacking("name"))
    }

    /// The channels that its annotations name.
    fn channels(&self) -> Vec<String> {
        let pointer = "/annotations/operators.operatorframework.io.bundle.channels.v1";
        let mut documents = self.bundle.documents.iter();
        let annotations = documents.find(|document| document.file == ANNOTATIONS);
        let channels = annotations
            .and_then(|document| document.text(pointer))
            .unwrap_or_default();
        channels.split(',').map(str::to_owned).collect()
    }
}

#[cfg(test)]
mod tests;

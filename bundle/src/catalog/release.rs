//! A version that a catalog offers, and the image of its bundle.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    str::FromStr,
};

use bundle_check::{
    bundle::{ANNOTATIONS, Bundle},
    document::Document,
    files::{FileError, Files},
};
use jiff::Timestamp;
use semver::Version;

use crate::{
    generate::{FOLDERS, GenerateError, generate},
    images::{self, Stamp},
    oci::Image,
    reference::{ImageReference, InvalidReference},
    sources::Sources,
};

/// Where frozen releases are, below `bundle/`.
pub(super) const RELEASES: &str = "releases";

/// The file in a frozen release that names its image.
const IMAGE: &str = "image";

/// A version that a catalog offers.
#[derive(Clone, Debug)]
pub(crate) struct Release {
    pub(crate) version: Version,
    pub(crate) image: ImageReference,
    pub(crate) bundle: Bundle,
}

/// A release with the image of its bundle.
#[derive(Clone, Debug)]
pub(crate) struct Imaged {
    pub(crate) release: Release,
    pub(crate) image: Image,
    pub(crate) stamp: Stamp,
}

/// The catalog can't be made.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Generate(#[from] GenerateError),
    #[error("failed to put the bundle's image together")]
    Image(#[source] std::io::Error),
    #[error("{}: the folder's name must be a semantic version", .path.display())]
    Version {
        path: PathBuf,
        #[source]
        source: semver::Error,
    },
    #[error("{}: must hold the reference of the bundle's image by digest", .path.display())]
    Reference {
        path: PathBuf,
        #[source]
        source: InvalidReference,
    },
    #[error("the bundle of version {version} has no {what}")]
    Lacking {
        version: Version,
        what: &'static str,
    },
    #[error("failed to write the catalog as YAML")]
    Yaml(#[from] serde_saphyr::ser::Error),
}

/// The releases that are kept in a repository, oldest first, but for one of this very version: what was frozen gives way to
/// what is generated.
pub(crate) fn earlier(root: &Path, this: &Version) -> Result<Vec<Release>, CatalogError> {
    let mut kept = releases(&root.join("bundle").join(RELEASES))?;
    kept.retain(|release| release.version != *this);
    Ok(kept)
}

/// The releases that are kept below a folder, oldest first.
pub(super) fn releases(folder: &Path) -> Result<Vec<Release>, CatalogError> {
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
pub(crate) fn frozen(release: &Release) -> Files {
    let folder = format!("{RELEASES}/{}", release.version);
    let mut files = Files::default();
    for (path, content) in release.bundle.files.iter() {
        files.insert(format!("{folder}/{path}"), content);
    }
    files.insert(format!("{folder}/{IMAGE}"), format!("{}\n", release.image));
    files
}

impl Imaged {
    /// This version.
    pub(crate) fn this(sources: &Sources) -> Result<Self, CatalogError> {
        Self::of(
            sources.version.clone(),
            &sources.base.prose.bundle_repository,
            generate(sources)?,
        )
    }

    /// A version with these files. Its image has the annotations as labels, and the age that its ClusterServiceVersion
    /// tells.
    fn of(version: Version, repository: &str, files: Files) -> Result<Self, CatalogError> {
        let bundle = Bundle::from_files(files);
        let created = created(&version, csv(&version, &bundle)?)?;
        let stamp = Stamp {
            version: version.clone(),
            created,
        };
        let prefixes = FOLDERS.map(|folder| format!("{folder}/"));
        let prefixes = prefixes.each_ref().map(String::as_str);
        let image = images::bundle(&bundle.files.within(&prefixes), labels(&bundle), &stamp)
            .map_err(CatalogError::Image)?;
        let reference = format!("{repository}@{}", image.digest());
        let reference = reference
            .parse()
            .map_err(|source| CatalogError::Reference {
                path: "bundle/base/csv.yaml".into(),
                source,
            })?;
        let release = Release {
            version,
            image: reference,
            bundle,
        };
        Ok(Self {
            release,
            image,
            stamp,
        })
    }
}

impl Release {
    /// The release as it would be with another image of the operator.
    ///
    /// # Errors
    /// Where it does not name its image of the operator.
    pub(crate) fn with_operator(&self, operator: &ImageReference) -> Result<Imaged, CatalogError> {
        let pointer = "/metadata/annotations/containerImage";
        let named = self.csv()?.text(pointer);
        let named: ImageReference = named
            .and_then(|named| named.parse().ok())
            .ok_or_else(|| lacking(&self.version, "annotation containerImage with a digest"))?;
        let mut files = Files::default();
        for (path, content) in self.bundle.files.iter() {
            let text = String::from_utf8_lossy(content);
            files.insert(
                path,
                text.replace(&named.to_string(), &operator.to_string()),
            );
        }
        Imaged::of(self.version.clone(), self.image.repository(), files)
    }

    /// The ClusterServiceVersion.
    pub(super) fn csv(&self) -> Result<&Document, CatalogError> {
        csv(&self.version, &self.bundle)
    }

    /// The name of the ClusterServiceVersion.
    pub(super) fn name(&self) -> Result<String, CatalogError> {
        let name = self.csv()?.text("/metadata/name").map(str::to_owned);
        name.ok_or_else(|| lacking(&self.version, "name"))
    }

    /// The channels that its annotations name.
    pub(super) fn channels(&self) -> Vec<String> {
        let labels = labels(&self.bundle);
        let channels = labels.get("operators.operatorframework.io.bundle.channels.v1");
        channels
            .into_iter()
            .flat_map(|channels| channels.split(','))
            .map(str::to_owned)
            .collect()
    }
}

fn lacking(version: &Version, what: &'static str) -> CatalogError {
    CatalogError::Lacking {
        version: version.clone(),
        what,
    }
}

fn csv<'a>(version: &Version, bundle: &'a Bundle) -> Result<&'a Document, CatalogError> {
    let mut documents = bundle.documents.iter();
    documents
        .find(|document| document.text("/kind") == Some("ClusterServiceVersion"))
        .ok_or_else(|| lacking(version, "ClusterServiceVersion"))
}

/// When the release was made.
fn created(version: &Version, csv: &Document) -> Result<Timestamp, CatalogError> {
    let created = csv.text("/metadata/annotations/createdAt");
    created
        .and_then(|created| created.parse().ok())
        .ok_or_else(|| lacking(version, "annotation createdAt with an instant"))
}

/// The annotations of the bundle, which are the labels of its image.
fn labels(bundle: &Bundle) -> BTreeMap<String, String> {
    let mut documents = bundle.documents.iter();
    let annotations = documents
        .find(|document| document.file == ANNOTATIONS)
        .and_then(|document| document.at("/annotations")?.as_object());
    annotations
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}

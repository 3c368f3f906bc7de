//! A bundle as it is found: its files, what its YAML says, and how its image is labelled.

use std::path::Path;

use crate::{
    archive::{ImageError, read_image},
    document::{Document, Unreadable},
    files::{FileError, Files},
    image::ImageSettings,
};

/// Where the manifests are.
pub const MANIFESTS: &str = "manifests/";

/// The file of a bundle's annotations.
pub const ANNOTATIONS: &str = "metadata/annotations.yaml";

/// A bundle.
#[derive(Clone, Debug)]
pub struct Bundle {
    /// All files.
    pub files: Files,
    /// What its image is made with: from the image itself, or from the Dockerfile beside the manifests.
    pub image: Option<ImageSettings>,
    /// The documents of all manifests and metadata.
    pub documents: Vec<Document>,
    /// Files that are no YAML.
    pub unreadable: Vec<Unreadable>,
}

/// A bundle can't be read.
#[derive(Debug, thiserror::Error)]
pub enum BundleError {
    /// A file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// An archive is no image.
    #[error(transparent)]
    Image(#[from] ImageError),
}

impl Bundle {
    /// Reads a folder with `manifests/` and `metadata/`, or an image of such as a tar archive (an OCI layout, or what
    /// `docker save` writes).
    pub fn read(path: &Path) -> Result<Self, BundleError> {
        if path.is_dir() {
            return Ok(Self::from_files(relevant(&Files::read(path)?)));
        }
        let image = read_image(path)?;
        let mut bundle = Self::from_files(image.files);
        bundle.image = Some(image.settings);
        Ok(bundle)
    }

    /// Takes files that were read.
    pub fn from_files(files: Files) -> Self {
        let (mut documents, mut unreadable) = (Vec::new(), Vec::new());
        for (path, content) in files.within(&[MANIFESTS, "metadata/"]).iter() {
            if is_yaml(path) {
                match Document::parse(path, content) {
                    Ok(found) => documents.extend(found),
                    Err(error) => unreadable.push(error),
                }
            }
        }
        let image = files
            .iter()
            .find(|(path, _)| ["Dockerfile", "bundle.Dockerfile"].contains(path))
            .map(|(path, content)| {
                ImageSettings::of_dockerfile(path, &String::from_utf8_lossy(content))
            });
        Self {
            files,
            image,
            documents,
            unreadable,
        }
    }
}

/// Whether a file is read as YAML, of which JSON is a part.
pub(crate) fn is_yaml(path: &str) -> bool {
    let mut ends = [".yaml", ".yml", ".json"].iter();
    ends.any(|end| path.ends_with(end))
}

/// The files of a folder that belong to a bundle: others may be beside it, such as code and the catalog.
fn relevant(files: &Files) -> Files {
    files.within(&[
        MANIFESTS,
        "metadata/",
        "tests/scorecard/",
        "Dockerfile",
        "bundle.Dockerfile",
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_lies_beside_a_bundle_is_no_part_of_it() {
        let kettle = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/good/kettle");
        let bundle = Bundle::read(&kettle).unwrap();
        assert!(bundle.files.get("catalog.yaml").is_none());
        assert!(bundle.files.get(ANNOTATIONS).is_some());
        assert!(bundle.unreadable.is_empty());
    }
}

//! A bundle as it is found: its files, what its YAML says, and how its image is labelled.

use std::{collections::BTreeMap, path::Path};

use crate::{
    document::{Document, Unreadable},
    files::{FileError, Files},
    oci::{ImageError, read_image},
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

/// What an image is made with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ImageSettings {
    /// Where this is said: the Dockerfile, or the archive's configuration.
    pub file: String,
    /// Labels, with the line where each is said.
    pub labels: BTreeMap<String, (String, usize)>,
    /// Instructions that a bundle has no use for, with their line: `WORKDIR`, `USER`, `ENTRYPOINT`, `CMD`, `RUN`, and
    /// `FROM` anything but scratch.
    pub superfluous: Vec<(String, usize)>,
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
        let is_yaml = |path: &str| {
            [".yaml", ".yml", ".json"]
                .iter()
                .any(|end| path.ends_with(end))
        };
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
            .map(|(path, content)| settings(path, &String::from_utf8_lossy(content)));
        Self {
            files,
            image,
            documents,
            unreadable,
        }
    }
}

/// What of a folder belongs to a bundle: others may lie beside it, as the code of ours does.
fn relevant(files: &Files) -> Files {
    files.within(&[
        MANIFESTS,
        "metadata/",
        "tests/scorecard/",
        "Dockerfile",
        "bundle.Dockerfile",
    ])
}

/// What a Dockerfile says.
fn settings(file: &str, text: &str) -> ImageSettings {
    let mut settings = ImageSettings {
        file: file.to_owned(),
        ..ImageSettings::default()
    };
    for (index, line) in text.lines().enumerate() {
        let line_number = index + 1;
        let (instruction, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        match instruction.to_ascii_uppercase().as_str() {
            "LABEL" => {
                if let Some((key, value)) = rest.split_once('=') {
                    let value = value.trim().trim_matches('"').to_owned();
                    settings.labels.insert(
                        key.trim().trim_matches('"').to_owned(),
                        (value, line_number),
                    );
                }
            }
            "FROM" if rest.trim() == "scratch" => {}
            "FROM" | "WORKDIR" | "USER" | "ENTRYPOINT" | "CMD" | "RUN" => {
                settings
                    .superfluous
                    .push((line.trim().to_owned(), line_number));
            }
            _ => {}
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dockerfile_tells_labels_and_what_a_bundle_has_no_use_for() {
        let found = settings(
            "Dockerfile",
            "# x\nFROM scratch\nLABEL a=b\nlabel \"c\"=\"d\"\nWORKDIR /x\nCOPY a b\n",
        );
        let labels: Vec<_> = found
            .labels
            .iter()
            .map(|(key, value)| (key.as_str(), value.0.as_str(), value.1))
            .collect();
        assert_eq!(labels, [("a", "b", 3), ("c", "d", 4)]);
        assert_eq!(found.superfluous, [("WORKDIR /x".to_owned(), 5)]);
    }

    #[test]
    fn what_lies_beside_a_bundle_is_no_part_of_it() {
        let bundle = Bundle::read(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
        assert!(bundle.files.get("Cargo.toml").is_none());
        assert!(bundle.files.get(ANNOTATIONS).is_some());
        assert!(bundle.unreadable.is_empty());
    }
}

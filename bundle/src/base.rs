//! What is written by hand: prose, icon, and what changes with every release.

use std::{path::Path, str::FromStr};

use bundle_check::files::{FileError, Files};
use jiff::Timestamp;
use semver::Version;
use serde::{Deserialize, de::DeserializeOwned};

use crate::{
    csv::{Link, Maintainer, Provider},
    reference::ImageReference,
};

/// Everything in `bundle/base`.
#[derive(Clone, Debug)]
pub struct Base {
    pub(crate) prose: Prose,
    pub release: Release,
    pub(crate) description: String,
    pub(crate) icon: Vec<u8>,
}

/// What OLM users read about the operator, and what no code can tell: `csv.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Prose {
    pub(crate) package: String,
    pub(crate) display_name: String,
    pub(crate) bundle_repository: String,
    pub(crate) catalog_repository: String,
    pub(crate) summary: String,
    pub(crate) capabilities: String,
    pub(crate) categories: Vec<String>,
    pub(crate) keywords: Vec<String>,
    pub(crate) maturity: String,
    pub(crate) min_kube_version: Version,
    pub(crate) provider: Provider,
    pub(crate) maintainers: Vec<Maintainer>,
    pub(crate) links: Vec<Link>,
    pub(crate) repository: String,
    pub(crate) support: String,
    pub(crate) features: std::collections::BTreeMap<String, bool>,
}

/// What changes with every release: `release.yaml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Release {
    pub(crate) operator_image: OperatorImage,
    pub(crate) created_at: Timestamp,
    /// The version that this one upgrades from; none for the first.
    pub replaces: Option<Version>,
    /// Channels that offer this version, the default one first.
    pub(crate) channels: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct OperatorImage {
    pub(crate) repository: String,
    /// Digest of its manifest, or of its index where it is of several architectures.
    pub(crate) digest: String,
    /// Architectures that it is built for, in Go's words.
    pub(crate) architectures: Vec<String>,
}

/// What is written by hand can't be used.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error("bundle/base/{0} is missing")]
    Missing(&'static str),
    #[error("failed to parse bundle/base/{file}")]
    Parse {
        file: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("bundle/base/{file}: {field} is {value:?}: {rule}")]
    Invalid {
        file: &'static str,
        field: &'static str,
        value: String,
        rule: &'static str,
    },
}

impl Base {
    pub(crate) fn read(folder: &Path) -> Result<Self, BaseError> {
        Self::from_files(&Files::read(folder)?)
    }

    pub(crate) fn from_files(files: &Files) -> Result<Self, BaseError> {
        let base = Self {
            prose: yaml(files, "csv.yaml")?,
            release: yaml(files, "release.yaml")?,
            description: text(files, "description.md")?.to_owned(),
            icon: content(files, "icon.svg")?.to_owned(),
        };
        base.release.check()?;
        Ok(base)
    }
}

impl Release {
    fn check(&self) -> Result<(), BaseError> {
        let invalid = |field, value: &str, rule| {
            Err(BaseError::Invalid {
                file: "release.yaml",
                field,
                value: value.to_owned(),
                rule,
            })
        };
        let image = self.operator_image.reference();
        if ImageReference::from_str(&image).is_err() {
            return invalid(
                "operatorImage",
                &image,
                "must be a repository with a registry, and a digest sha256:<64 hexadecimal digits>",
            );
        }
        if self.operator_image.architectures.is_empty() {
            let rule = "must name the architectures that the image is built for";
            return invalid("operatorImage.architectures", "[]", rule);
        }
        if self.channels.is_empty() {
            return invalid(
                "channels",
                "[]",
                "must name at least one, the default one first",
            );
        }
        Ok(())
    }
}

impl OperatorImage {
    pub(crate) fn reference(&self) -> String {
        format!("{}@{}", self.repository, self.digest)
    }
}

fn content<'a>(files: &'a Files, file: &'static str) -> Result<&'a [u8], BaseError> {
    files.get(file).ok_or(BaseError::Missing(file))
}

fn text<'a>(files: &'a Files, file: &'static str) -> Result<&'a str, BaseError> {
    std::str::from_utf8(content(files, file)?).map_err(|source| BaseError::Parse {
        file,
        source: source.into(),
    })
}

fn yaml<T: DeserializeOwned>(files: &Files, file: &'static str) -> Result<T, BaseError> {
    serde_saphyr::from_str(text(files, file)?).map_err(|source| BaseError::Parse {
        file,
        source: source.into(),
    })
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use rstest::rstest;

    use super::*;

    fn files() -> Files {
        Files::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("base")).unwrap()
    }

    /// The base with a text of one of its files replaced.
    fn with(file: &str, from: &str, to: &str) -> Result<Base, BaseError> {
        let mut files = files();
        let text = String::from_utf8(files.get(file).unwrap().to_vec()).unwrap();
        assert!(text.contains(from), "{from} is not in {file}");
        files.insert(file, text.replace(from, to));
        Base::from_files(&files)
    }

    #[rstest]
    #[case::tag(
        "digest: sha256:",
        "digest: v",
        "operatorImage is \"ghcr.io/finos/5spot-rs@v"
    )]
    #[case::architecture(
        "architectures: [amd64]",
        "architectures: []",
        "operatorImage.architectures is \"[]\""
    )]
    #[case::channels("channels: [stable, candidate]", "channels: []", "channels is \"[]\"")]
    fn a_bad_value_is_refused_by_file_field_value_and_rule(
        #[case] from: &str,
        #[case] to: &str,
        #[case] message: &str,
    ) {
        let error = with("release.yaml", from, to).unwrap_err().to_string();
        let start = format!("bundle/base/release.yaml: {message}");
        assert!(error.starts_with(&start), "{error}");
        assert!(error.contains("must"), "{error}");
    }

    #[rstest]
    #[case::unknown("csv.yaml", "support:", "supports:", "supports")]
    #[case::version(
        "csv.yaml",
        "minKubeVersion: 1.33.0",
        "minKubeVersion: \"1.33\"",
        "unexpected end of input"
    )]
    #[case::instant("release.yaml", "createdAt: 2026", "createdAt: x", "createdAt")]
    fn what_does_not_parse_is_refused_with_the_file_and_the_reason(
        #[case] file: &str,
        #[case] from: &str,
        #[case] to: &str,
        #[case] reason: &str,
    ) {
        let error = with(file, from, to).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("failed to parse bundle/base/{file}")
        );
        let source = error.source().unwrap().to_string();
        assert!(source.contains(reason), "{source}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let mut files = files();
        files.remove("icon.svg");
        let error = Base::from_files(&files).unwrap_err();
        assert_eq!(error.to_string(), "bundle/base/icon.svg is missing");
    }
}

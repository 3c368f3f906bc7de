//! References of images by digest.

use std::{fmt, str::FromStr};

/// A reference of an image by digest, such as `ghcr.io/finos/5spot-rs@sha256:…`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ImageReference {
    repository: String,
    digest: String,
}

/// A text is no reference by digest.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{value:?} must be <registry>/<path>@sha256:<64 hexadecimal digits>")]
pub struct InvalidReference {
    value: String,
}

impl ImageReference {
    pub(crate) fn repository(&self) -> &str {
        &self.repository
    }

    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }
}

impl FromStr for ImageReference {
    type Err = InvalidReference;

    fn from_str(value: &str) -> Result<Self, Self::Err> {
        let invalid = || InvalidReference {
            value: value.to_owned(),
        };
        let (repository, digest) = value.split_once('@').ok_or_else(invalid)?;
        let hexadecimal = digest.strip_prefix("sha256:").ok_or_else(invalid)?;
        let is_digest = hexadecimal.len() == 64
            && hexadecimal
                .bytes()
                .all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        // A registry is told from the first part of a path by a dot, a port, or by being this machine.
        let (registry, path) = repository.split_once('/').ok_or_else(invalid)?;
        let is_registry = registry.contains(['.', ':']) || registry == "localhost";
        let is_path = !path.is_empty()
            && path.bytes().all(|byte| {
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"/._-".contains(&byte)
            });
        if !(is_digest && is_registry && is_path) {
            return Err(invalid());
        }
        Ok(Self {
            repository: repository.to_owned(),
            digest: digest.to_owned(),
        })
    }
}

impl fmt::Display for ImageReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.repository, self.digest)
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    const DIGEST: &str = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[rstest]
    #[case::plain("ghcr.io/finos/5spot-rs")]
    #[case::port("localhost:5000/a/b")]
    fn a_reference_by_digest_is_taken_apart_and_written_as_it_was(#[case] repository: &str) {
        let text = format!("{repository}@{DIGEST}");
        let reference: ImageReference = text.parse().unwrap();
        assert_eq!(
            (reference.repository(), reference.digest()),
            (repository, DIGEST)
        );
        assert_eq!(reference.to_string(), text);
    }

    #[rstest]
    #[case::tag("ghcr.io/finos/5spot-rs:v1")]
    #[case::short("ghcr.io/finos/5spot-rs@sha256:0123")]
    #[case::capitals(
        "ghcr.io/finos/5spot-rs@sha256:0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef"
    )]
    #[case::no_registry(
        "5spot-rs@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    )]
    #[case::with_tag(
        "ghcr.io/5spot-rs:v1@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    )]
    fn anything_else_is_refused_with_its_value(#[case] text: &str) {
        let error = text.parse::<ImageReference>().unwrap_err();
        assert!(
            error.to_string().starts_with(&format!("{text:?} must be")),
            "{error}"
        );
    }
}

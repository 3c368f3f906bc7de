//! Reads a `failover.toml`, and says of what is wrong where it stands.

use std::{
    fmt::Write as _,
    ops::Range,
    path::{Path, PathBuf},
};

use super::{ConfigError, ConfigFile, error::Place};

/// The file that is read where none is named.
pub const FILE: &str = "failover.toml";

/// What is said of our own operator where nothing else is named.
const OURS: &str = include_str!("../../examples/5spot/failover.toml");

/// The manifests of our own operator, from where the commands of this project are run.
const OUR_MANIFESTS: &str = "deploy";

/// A `failover.toml` that was read, with its text, so that later checks can point into it. The default says nothing.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// What it says.
    pub file: ConfigFile,
    path: PathBuf,
    text: String,
}

impl Config {
    /// The file that is named, or [`FILE`] where that exists; `None` where there is neither.
    pub fn find(named: Option<&Path>) -> Result<Option<Self>, ConfigError> {
        match named {
            Some(path) => Self::read(path).map(Some),
            None if Path::new(FILE).exists() => Self::read(Path::new(FILE)).map(Some),
            None => Ok(None),
        }
    }

    /// What is said of our own operator.
    pub fn ours() -> Result<Self, ConfigError> {
        let mut config = Self::parse(Path::new(FILE), OURS.to_owned())?;
        config.file.target.manifests = vec![OUR_MANIFESTS.into()];
        Ok(config)
    }

    /// Reads the file at `path`.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable {
            file: path.to_owned(),
            source,
        })?;
        Self::parse(path, text)
    }

    /// Reads `text` as what stands in the file at `path`.
    pub fn parse(path: &Path, text: String) -> Result<Self, ConfigError> {
        let wrong = |span: Option<Range<usize>>, key: &str, rule: &str| ConfigError::Wrong {
            place: Place::new(path, &text, span.map_or(0, |span| span.start), key),
            rule: rule.to_owned(),
        };
        let deserializer = toml::Deserializer::parse(&text)
            .map_err(|error| wrong(error.span(), "", error.message()))?;
        let file = serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let key = key_of(error.path());
            wrong(error.inner().span(), &key, error.inner().message())
        })?;
        Ok(Self {
            file,
            path: path.to_owned(),
            text,
        })
    }

    /// That the value at `span`, of `key`, breaks a rule.
    pub fn wrong(&self, span: &Range<usize>, key: &str, rule: impl Into<String>) -> ConfigError {
        ConfigError::Wrong {
            place: self.place(span, key),
            rule: rule.into(),
        }
    }

    /// Where the value at `span`, of `key`, stands.
    pub fn place(&self, span: &Range<usize>, key: &str) -> Place {
        Place::new(&self.path, &self.text, span.start, key)
    }

    /// The path as the file means it: relative to the folder that the file is in.
    pub fn resolve(&self, path: &Path) -> PathBuf {
        match self.path.parent() {
            Some(folder) => folder.join(path),
            None => path.to_owned(),
        }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// The key, without what marks a value whose place is kept.
fn key_of(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut key = String::new();
    for segment in path {
        match segment {
            Segment::Seq { index } => {
                // Writing into a string does not fail.
                let _ = write!(key, "[{index}]");
            }
            Segment::Map { key: name } if name.starts_with("$__") => {}
            Segment::Map { key: name } => {
                if !key.is_empty() {
                    key.push('.');
                }
                key.push_str(name);
            }
            Segment::Enum { .. } | Segment::Unknown => {}
        }
    }
    key
}

//! What the bundle is derived from: the same sources as `deploy/`.
//!
//! The Deployment, Service, disruption budget and sample are the manifests of `deploy/`, read as the types of Kubernetes;
//! the definition and the rights come from the operator's library, as `deploy/crd.yaml` and `deploy/rbac.yaml` do.

use std::{fs, path::Path};

use bundle_check::files::FileError;
use five_spot::manifest::RenderError;
use k8s_openapi::{
    api::{apps::v1::Deployment, core::v1::Service, policy::v1::PodDisruptionBudget},
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use semver::Version;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::base::{Base, BaseError};

/// Everything that a bundle is derived from.
#[derive(Clone, Debug)]
pub struct Sources {
    pub(crate) version: Version,
    /// What is written by hand.
    pub base: Base,
    pub(crate) deployment: Deployment,
    pub(crate) service: Service,
    pub(crate) budget: PodDisruptionBudget,
    pub(crate) sample: Value,
    /// The definition of `ScheduledMachine`, as `five-spot crd` prints it.
    pub(crate) definition_yaml: String,
    pub(crate) definition: CustomResourceDefinition,
}

/// A source can't be used.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// What is written by hand.
    #[error(transparent)]
    Base(#[from] BaseError),
    /// A file can't be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A manifest is not what it should be.
    #[error("failed to parse {file}")]
    Parse {
        /// The file.
        file: String,
        /// Where and why.
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    /// The definition can't be rendered.
    #[error(transparent)]
    Definition(#[from] RenderError),
    /// The version of the workspace is no semantic version.
    #[error("the workspace's version is {value:?}: must be a semantic version")]
    Version {
        /// The version.
        value: &'static str,
        /// Why.
        #[source]
        source: semver::Error,
    },
}

impl Sources {
    /// Reads them from the root of the repository.
    pub fn read(root: &Path) -> Result<Self, SourceError> {
        let value = env!("CARGO_PKG_VERSION");
        let version =
            Version::parse(value).map_err(|source| SourceError::Version { value, source })?;
        let definition_yaml = five_spot::manifest::crd_yaml()?;
        Ok(Self {
            version,
            base: Base::read(&root.join("bundle/base"))?,
            deployment: manifest(root, "deploy/operator.yaml")?,
            service: manifest(root, "deploy/service.yaml")?,
            budget: manifest(root, "deploy/pdb.yaml")?,
            sample: manifest(root, "deploy/sample.yaml")?,
            definition: parse("deploy/crd.yaml", &definition_yaml)?,
            definition_yaml,
        })
    }
}

fn manifest<T: DeserializeOwned>(root: &Path, file: &str) -> Result<T, SourceError> {
    let path = root.join(file);
    let text = fs::read_to_string(&path).map_err(FileError::of("read", &path))?;
    parse(file, &text)
}

fn parse<T: DeserializeOwned>(file: &str, text: &str) -> Result<T, SourceError> {
    serde_saphyr::from_str(text).map_err(|source| SourceError::Parse {
        file: file.to_owned(),
        source: Box::new(source),
    })
}

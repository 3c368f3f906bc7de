//! The ClusterServiceVersion: what OLM installs, as types.
//!
//! Only the fields that this bundle has, by the names of `operators.coreos.com/v1alpha1`
//! (operator-framework/api, `pkg/operators/v1alpha1/clusterserviceversion_types.go`). Their order is that of the file.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{apps::v1::DeploymentSpec, rbac::v1::PolicyRule},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::{Deserialize, Serialize};

/// A version of an operator, as OLM installs it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterServiceVersion {
    /// `operators.coreos.com/v1alpha1`.
    pub api_version: &'static str,
    /// `ClusterServiceVersion`.
    pub kind: &'static str,
    /// Name, annotations and labels. OLM copies the annotations to the pods.
    pub metadata: ObjectMeta,
    /// Everything else.
    pub spec: Spec,
}

/// The spec of a ClusterServiceVersion.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Spec {
    /// Name for people.
    pub display_name: String,
    /// Semantic version.
    pub version: String,
    /// Name of the ClusterServiceVersion that this one upgrades from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replaces: Option<String>,
    /// Oldest version of Kubernetes, without a `v`.
    pub min_kube_version: String,
    /// Free text.
    pub maturity: String,
    /// Words to search by.
    pub keywords: Vec<String>,
    /// Who provides it.
    pub provider: Provider,
    /// Who maintains it.
    pub maintainers: Vec<Maintainer>,
    /// Where to read on.
    pub links: Vec<Link>,
    /// The icon; a list of exactly one.
    pub icon: Vec<Icon>,
    /// Markdown for people.
    pub description: String,
    /// Whether an operator group of each kind is supported.
    pub install_modes: Vec<InstallMode>,
    /// What is deployed.
    pub install: Install,
    /// The kinds that the operator serves.
    pub customresourcedefinitions: Definitions,
    /// Every image of the bundle, so that it can be mirrored.
    pub related_images: Vec<RelatedImage>,
}

/// Who provides an operator.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// Name.
    pub name: String,
    /// Home page.
    pub url: String,
}

/// Who maintains an operator.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Maintainer {
    /// Name.
    pub name: String,
    /// Address.
    pub email: String,
}

/// Where to read on.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// What is there.
    pub name: String,
    /// Address.
    pub url: String,
}

/// A picture.
#[derive(Clone, Debug, Serialize)]
pub struct Icon {
    /// The file in base64.
    pub base64data: String,
    /// Its media type.
    pub mediatype: &'static str,
}

/// Whether an operator group of one kind is supported.
#[derive(Clone, Debug, Serialize)]
pub struct InstallMode {
    /// `OwnNamespace`, `SingleNamespace`, `MultiNamespace` or `AllNamespaces`.
    #[serde(rename = "type")]
    pub type_: &'static str,
    /// Whether it is.
    pub supported: bool,
}

/// How an operator is deployed.
#[derive(Clone, Debug, Serialize)]
pub struct Install {
    /// `deployment`, the only one there is.
    pub strategy: &'static str,
    /// What is deployed, and with which rights.
    pub spec: InstallSpec,
}

/// What is deployed, and with which rights.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct InstallSpec {
    /// Rights in the whole cluster. Rights in one namespace are not here but in a Role of the bundle: OLM grants what a
    /// ClusterServiceVersion asks for a namespace in every namespace that is watched.
    pub cluster_permissions: Vec<Permissions>,
    /// The Deployments.
    pub deployments: Vec<Deployment>,
}

/// Rights of one ServiceAccount, which OLM creates.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Permissions {
    /// What it may do.
    pub rules: Vec<PolicyRule>,
    /// Its name.
    pub service_account_name: String,
}

/// A Deployment, which OLM creates.
#[derive(Clone, Debug, Serialize)]
pub struct Deployment {
    /// Its name.
    pub name: String,
    /// Its labels.
    pub label: BTreeMap<String, String>,
    /// Its spec.
    pub spec: DeploymentSpec,
}

/// The kinds that an operator serves.
#[derive(Clone, Debug, Serialize)]
pub struct Definitions {
    /// Those whose definition is in the bundle.
    pub owned: Vec<OwnedDefinition>,
}

/// A kind whose definition is in the bundle.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OwnedDefinition {
    /// Name of the definition.
    pub name: String,
    /// Version of the kind.
    pub version: String,
    /// The kind.
    pub kind: String,
    /// Name for people.
    pub display_name: String,
    /// What it is.
    pub description: String,
    /// Kinds of the objects that it comes with.
    pub resources: Vec<ResourceReference>,
    /// What can be asked for.
    pub spec_descriptors: Vec<Descriptor>,
    /// What is reported.
    pub status_descriptors: Vec<Descriptor>,
}

/// A kind of objects that a custom resource comes with.
#[derive(Clone, Debug, Serialize)]
pub struct ResourceReference {
    /// The kind.
    pub kind: String,
    /// Name of its definition; empty for kinds of Kubernetes.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// A field, as consoles show it.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Descriptor {
    /// The field, with a dot between its levels.
    pub path: String,
    /// Name for people.
    pub display_name: String,
    /// What it means.
    pub description: String,
    /// How it is shown, as the console's words for it.
    #[serde(rename = "x-descriptors", skip_serializing_if = "Vec::is_empty")]
    pub x_descriptors: Vec<&'static str>,
}

/// An image that has to be mirrored for an install without a network.
#[derive(Clone, Debug, Serialize)]
pub struct RelatedImage {
    /// What it is.
    pub name: String,
    /// Its reference, by digest.
    pub image: String,
}

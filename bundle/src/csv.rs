//! The ClusterServiceVersion: what OLM installs, as types.
//!
//! Only the fields that this bundle has, by the names of `operators.coreos.com/v1alpha1`
//! (operator-framework/api, `pkg/operators/v1alpha1/clusterserviceversion_types.go`), which says what they mean. Their order
//! is that of the file.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use k8s_openapi::{
    api::{apps::v1::DeploymentSpec, rbac::v1::PolicyRule},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::{Deserialize, Serialize};

/// OLM copies the annotations to the pods.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ClusterServiceVersion {
    pub(crate) api_version: &'static str,
    pub(crate) kind: &'static str,
    pub(crate) metadata: ObjectMeta,
    pub(crate) spec: Spec,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spec {
    pub(crate) display_name: String,
    pub(crate) version: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) replaces: Option<String>,
    pub(crate) min_kube_version: String,
    pub(crate) maturity: String,
    pub(crate) keywords: Vec<String>,
    pub(crate) provider: Provider,
    pub(crate) maintainers: Vec<Maintainer>,
    pub(crate) links: Vec<Link>,
    /// A list of exactly one.
    pub(crate) icon: [Icon; 1],
    pub(crate) description: String,
    pub(crate) install_modes: Vec<InstallMode>,
    pub(crate) install: Install,
    pub(crate) customresourcedefinitions: Definitions,
    pub(crate) related_images: Vec<RelatedImage>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Provider {
    name: String,
    url: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Maintainer {
    name: String,
    email: String,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Link {
    name: String,
    url: String,
}

/// An SVG, in base64.
#[derive(Serialize)]
pub(crate) struct Icon {
    base64data: String,
    mediatype: &'static str,
}

impl Icon {
    pub(crate) fn svg(picture: &[u8]) -> Self {
        Self {
            base64data: BASE64_STANDARD.encode(picture),
            mediatype: "image/svg+xml",
        }
    }
}

#[derive(Serialize)]
pub(crate) struct InstallMode {
    pub(crate) r#type: &'static str,
    pub(crate) supported: bool,
}

#[derive(Serialize)]
pub(crate) struct Install {
    /// `deployment`, the only one there is.
    pub(crate) strategy: &'static str,
    pub(crate) spec: InstallSpec,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InstallSpec {
    /// Rights in the whole cluster. Rights in one namespace are not here but in a Role of the bundle: OLM grants what a
    /// ClusterServiceVersion asks for a namespace in every namespace that is watched.
    pub(crate) cluster_permissions: Vec<Permissions>,
    pub(crate) deployments: Vec<Deployment>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Permissions {
    pub(crate) rules: Vec<PolicyRule>,
    pub(crate) service_account_name: String,
}

#[derive(Serialize)]
pub(crate) struct Deployment {
    pub(crate) name: String,
    pub(crate) label: BTreeMap<String, String>,
    pub(crate) spec: DeploymentSpec,
}

#[derive(Serialize)]
pub(crate) struct Definitions {
    pub(crate) owned: Vec<OwnedDefinition>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct OwnedDefinition {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) kind: String,
    pub(crate) display_name: String,
    pub(crate) description: String,
    pub(crate) resources: Vec<ResourceReference>,
    pub(crate) spec_descriptors: Vec<Descriptor>,
    pub(crate) status_descriptors: Vec<Descriptor>,
}

/// A kind of objects that a custom resource comes with; `name` is that of its definition, empty for kinds of Kubernetes.
#[derive(Serialize)]
pub(crate) struct ResourceReference {
    pub(crate) kind: &'static str,
    pub(crate) name: &'static str,
    pub(crate) version: &'static str,
}

/// A field, as consoles show it: the path has a dot between its levels.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Descriptor {
    pub(crate) path: String,
    pub(crate) display_name: String,
    pub(crate) description: String,
    #[serde(rename = "x-descriptors", skip_serializing_if = "Vec::is_empty")]
    pub(crate) x_descriptors: Vec<&'static str>,
}

/// An image that has to be mirrored for an install without a network, by digest.
#[derive(Serialize)]
pub(crate) struct RelatedImage {
    pub(crate) name: &'static str,
    pub(crate) image: String,
}

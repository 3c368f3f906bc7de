//! The ClusterServiceVersion, put together.

use five_spot::access::{Reach, SERVICE_ACCOUNT};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{access, annotations, deployment, descriptors, error::GenerateError};
use crate::{
    csv::{
        ClusterServiceVersion, Definitions, Icon, Install, InstallMode, InstallSpec, Permissions,
        RelatedImage, Spec,
    },
    sources::Sources,
};

/// The kinds of operator groups, and whether each is supported: the operator watches all namespaces.
const INSTALL_MODES: [(&str, bool); 4] = [
    ("OwnNamespace", false),
    ("SingleNamespace", false),
    ("MultiNamespace", false),
    ("AllNamespaces", true),
];

pub(super) fn csv(sources: &Sources) -> Result<ClusterServiceVersion, GenerateError> {
    let name = |version| format!("{}.v{version}", sources.base.prose.package);
    Ok(ClusterServiceVersion {
        api_version: "operators.coreos.com/v1alpha1",
        kind: "ClusterServiceVersion",
        metadata: ObjectMeta {
            name: Some(name(&sources.version)),
            annotations: Some(annotations::annotations(sources)?),
            labels: Some(annotations::labels(sources)),
            ..ObjectMeta::default()
        },
        spec: spec(sources, sources.base.release.replaces.as_ref().map(name))?,
    })
}

fn spec(sources: &Sources, replaces: Option<String>) -> Result<Spec, GenerateError> {
    let (prose, release) = (&sources.base.prose, &sources.base.release);
    Ok(Spec {
        display_name: prose.display_name.clone(),
        version: sources.version.to_string(),
        replaces,
        min_kube_version: prose.min_kube_version.to_string(),
        maturity: prose.maturity.clone(),
        keywords: prose.keywords.clone(),
        provider: prose.provider.clone(),
        maintainers: prose.maintainers.clone(),
        links: prose.links.clone(),
        icon: [Icon::svg(&sources.base.icon)],
        description: sources.base.description.clone(),
        install_modes: INSTALL_MODES
            .map(|(r#type, supported)| InstallMode { r#type, supported })
            .into(),
        install: Install {
            strategy: "deployment",
            spec: InstallSpec {
                cluster_permissions: vec![Permissions {
                    rules: access::rules(Reach::Cluster),
                    service_account_name: SERVICE_ACCOUNT.to_owned(),
                }],
                deployments: vec![deployment::deployment(sources)?],
            },
        },
        customresourcedefinitions: Definitions {
            owned: vec![descriptors::owned(&sources.definition)?],
        },
        related_images: vec![RelatedImage {
            name: "operator",
            image: release.operator_image.reference(),
        }],
    })
}

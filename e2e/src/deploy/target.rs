//! Which Deployment, which Lease, which container: read from the manifests or the cluster, by what the user names.

use std::{collections::BTreeMap, fmt};

use k8s_openapi::api::apps::v1::Deployment;
use kube::api::DynamicObject;

use super::{
    Manifests, Overrides,
    container::{LEASE_NAME, containers, elected, first_port, label_selector, variable},
    is_a,
};
use failover_judging::{observed::HolderIdentity, report::TargetInfo};

/// The pod annotation that tells one content of the operator's image from another of the same name.
const IMAGE_ANNOTATION: &str = "five-spot.e2e/image";

/// The ServiceAccount of pods that name none.
const DEFAULT_ACCOUNT: &str = "default";

/// What is put to the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Namespace of the Deployment and its Lease.
    pub namespace: String,
    /// Name of the Deployment.
    pub deployment: String,
    /// Name of the elected container.
    pub container: String,
    /// Its image.
    pub image: String,
    /// Name of the Lease.
    pub lease: String,
    /// How the holder of the Lease leads to a pod.
    pub holder: HolderIdentity,
    /// User name of the ServiceAccount that the replicas run as.
    pub user: String,
    /// The labels by which the Deployment selects its pods.
    pub selector: BTreeMap<String, String>,
    /// The first port of the elected container, if it has one.
    pub first_port: Option<i32>,
}

/// What the user names of the target.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Naming {
    /// Namespace of the Deployment and its Lease.
    pub namespace: Option<String>,
    /// Name of the Deployment; `None` means the one that has a container with the variable `LEASE_NAME`.
    pub deployment: Option<String>,
    /// Name of the elected container; `None` means the one that has the variable, or the only one.
    pub container: Option<String>,
    /// Name of the Lease; `None` means the value of the variable.
    pub lease: Option<String>,
    /// How the holder of the Lease leads to a pod.
    pub holder: HolderIdentity,
}

/// Why there is nothing to put to the test.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message names each field")]
pub enum TargetError {
    #[error(
        "--deploy: exactly one Deployment must have a container with the variable {LEASE_NAME}, found {found}; name it with \
         --deployment (target.deployment in failover.toml)"
    )]
    Deployments { found: usize },
    #[error(
        "--deployment={name} (target.deployment): must be one of the manifests' Deployments: {available}"
    )]
    NoDeployment { name: String, available: String },
    #[error(
        "--namespace={namespace} (target.namespace): Deployment {name} is in namespace {others}"
    )]
    OtherNamespace {
        namespace: String,
        name: String,
        others: String,
    },
    #[error(
        "--namespace (target.namespace) must tell which Deployment {name} is meant: {available}"
    )]
    SeveralDeployments { name: String, available: String },
    #[error("the manifest of Deployment {name} does not have the shape of apps/v1")]
    Shape {
        name: String,
        #[source]
        source: serde_json::Error,
    },
    #[error("Deployment {deployment}: {field} must be set{or_given}")]
    Missing {
        deployment: String,
        field: &'static str,
        or_given: &'static str,
    },
    #[error(
        "Deployment {deployment}: --container (target.container) must name one of its containers: {available}"
    )]
    Container {
        deployment: String,
        available: String,
    },
}

impl Naming {
    /// Finds the Deployment in the manifests, and applies `overrides` to it.
    pub fn prepare(
        &self,
        manifests: &mut Manifests,
        overrides: &Overrides,
    ) -> Result<(Target, Deployment), TargetError> {
        let mut all = Vec::new();
        for (index, object) in manifests.objects.iter().enumerate() {
            if is_a(object, "Deployment") {
                all.push((index, read(object)?));
            }
        }
        let (index, mut deployment) = self.choose(all)?;
        let target = self.of(&deployment)?;
        overrides.apply(&mut deployment, &target.container);
        // Once more, for what was changed.
        let target = self.of(&deployment)?;
        if let Some(object) = manifests.objects.get_mut(index) {
            let shape = |source| TargetError::Shape {
                name: target.deployment.clone(),
                source,
            };
            let value = serde_json::to_value(&deployment).map_err(shape)?;
            *object = serde_json::from_value(value).map_err(shape)?;
        }
        Ok((target, deployment))
    }

    fn choose(&self, all: Vec<(usize, Deployment)>) -> Result<(usize, Deployment), TargetError> {
        let places: Vec<Place> = all
            .iter()
            .map(|(_, deployment)| place(deployment))
            .collect();
        let fits = |deployment: &Deployment| {
            let namespace = deployment.metadata.namespace.as_ref();
            let right_namespace = match (&self.namespace, namespace) {
                (Some(wanted), Some(namespace)) => wanted == namespace,
                _ => true,
            };
            right_namespace
                && match &self.deployment {
                    Some(wanted) => *wanted == name_of(deployment),
                    None => containers(deployment)
                        .iter()
                        .any(|container| variable(container, LEASE_NAME).is_some()),
                }
        };
        let mut found: Vec<_> = all
            .into_iter()
            .filter(|(_, deployment)| fits(deployment))
            .collect();
        let count = found.len();
        match (found.pop(), &self.deployment) {
            (Some(only), _) if count == 1 => Ok(only),
            (_, Some(name)) => Err(self.unclear(name, &places)),
            _ => Err(TargetError::Deployments { found: count }),
        }
    }

    /// Why the Deployment of this name is not clear, given all that there are.
    fn unclear(&self, name: &str, places: &[Place]) -> TargetError {
        let named: Vec<&Place> = places.iter().filter(|place| place.name == name).collect();
        match (&self.namespace, named.as_slice()) {
            (_, []) => {
                let all: Vec<String> = places.iter().map(ToString::to_string).collect();
                TargetError::NoDeployment {
                    name: name.to_owned(),
                    available: list(&all),
                }
            }
            (Some(namespace), named)
                if named
                    .iter()
                    .all(|place| place.namespace.as_ref().is_some_and(|is| is != namespace)) =>
            {
                let others: Vec<String> = named
                    .iter()
                    .filter_map(|place| place.namespace.clone())
                    .collect();
                TargetError::OtherNamespace {
                    namespace: namespace.clone(),
                    name: name.to_owned(),
                    others: others.join(", "),
                }
            }
            (_, named) => {
                let several: Vec<String> = named.iter().map(ToString::to_string).collect();
                TargetError::SeveralDeployments {
                    name: name.to_owned(),
                    available: several.join(", "),
                }
            }
        }
    }

    /// The target that a Deployment is.
    pub fn of(&self, deployment: &Deployment) -> Result<Target, TargetError> {
        let name = name_of(deployment);
        let missing = |field, or_given| TargetError::Missing {
            deployment: name.clone(),
            field,
            or_given,
        };
        let namespace = deployment.metadata.namespace.clone();
        let namespace = namespace
            .or_else(|| self.namespace.clone())
            .ok_or_else(|| {
                missing(
                    "metadata.namespace",
                    ", or --namespace (target.namespace) given",
                )
            })?;
        let spec = deployment
            .spec
            .as_ref()
            .ok_or_else(|| missing("spec", ""))?;
        let pod = spec.template.spec.as_ref();
        let pod = pod.ok_or_else(|| missing("spec.template.spec", ""))?;
        let elected = elected(&pod.containers, self.container.as_deref());
        let container = elected.ok_or_else(|| {
            let available: Vec<String> = pod
                .containers
                .iter()
                .map(|container| container.name.clone())
                .collect();
            TargetError::Container {
                deployment: name.clone(),
                available: list(&available),
            }
        })?;
        let account = pod
            .service_account_name
            .as_deref()
            .unwrap_or(DEFAULT_ACCOUNT);
        let lease = self
            .lease
            .as_deref()
            .or_else(|| variable(container, LEASE_NAME));
        Ok(Target {
            user: format!("system:serviceaccount:{namespace}:{account}"),
            lease: lease
                .ok_or_else(|| missing(LEASE_NAME, ", or --lease (target.lease) given"))?
                .to_owned(),
            holder: self.holder,
            container: container.name.clone(),
            image: container.image.clone().unwrap_or_default(),
            selector: spec
                .selector
                .match_labels
                .clone()
                .ok_or_else(|| missing("spec.selector.matchLabels", ""))?,
            first_port: first_port(container),
            deployment: name.clone(),
            namespace,
        })
    }
}

impl Target {
    /// What a report tells of it.
    pub fn info(&self) -> TargetInfo {
        TargetInfo {
            namespace: self.namespace.clone(),
            deployment: self.deployment.clone(),
            container: self.container.clone(),
            lease: self.lease.clone(),
            holder: self.holder,
        }
    }

    /// Where the Lease is in the API.
    pub fn lease_path(&self) -> String {
        format!(
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases/{}",
            self.namespace, self.lease
        )
    }

    /// Where the Deployment is in the API.
    pub fn deployment_path(&self) -> String {
        format!(
            "/apis/apps/v1/namespaces/{}/deployments/{}",
            self.namespace, self.deployment
        )
    }

    /// The selector as the API takes it.
    pub fn label_selector(&self) -> String {
        label_selector(&self.selector)
    }
}

impl Manifests {
    /// Writes into the target's pods which content their image has: an image that was built anew under its old name is
    /// rolled out, and one that is the same is not.
    pub fn identify_image(&mut self, target: &Target, identity: &str) {
        let deployment = self.objects.iter_mut().find(|object| {
            is_a(object, "Deployment")
                && object.metadata.name.as_deref() == Some(&target.deployment)
        });
        let Some(deployment) = deployment else { return };
        let metadata = &mut deployment.data["spec"]["template"]["metadata"];
        metadata["annotations"][IMAGE_ANNOTATION] = identity.into();
    }
}

/// Which Deployment of the manifests, as the user may name it.
struct Place {
    namespace: Option<String>,
    name: String,
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(namespace) = &self.namespace {
            write!(formatter, "{namespace}/")?;
        }
        formatter.write_str(&self.name)
    }
}

fn place(deployment: &Deployment) -> Place {
    Place {
        namespace: deployment.metadata.namespace.clone(),
        name: name_of(deployment),
    }
}

fn read(object: &DynamicObject) -> Result<Deployment, TargetError> {
    let shape = |source| TargetError::Shape {
        name: object.metadata.name.clone().unwrap_or_default(),
        source,
    };
    let value = serde_json::to_value(object).map_err(shape)?;
    serde_json::from_value(value).map_err(shape)
}

fn name_of(deployment: &Deployment) -> String {
    deployment.metadata.name.clone().unwrap_or_default()
}

fn list(names: &[String]) -> String {
    if names.is_empty() {
        "there are none".to_owned()
    } else {
        names.join(", ")
    }
}

#[cfg(test)]
pub(crate) mod tests;

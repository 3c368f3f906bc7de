//! Which Deployment, which Lease, which container: read from the manifests, and changed as a run asks.

use std::{collections::BTreeMap, str::FromStr};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Container, EnvVar},
};

use super::Manifests;
use crate::budget::LeaseSettings;

/// The pod annotation that tells one content of the operator's image from another of the same name.
const IMAGE_ANNOTATION: &str = "five-spot.e2e/image";

/// The environment variable that names the Lease; the container that has it is the one that is elected.
const LEASE_NAME: &str = "LEASE_NAME";

/// What is put to the test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Namespace of the Deployment and its Lease.
    pub namespace: String,
    /// Name of the Deployment.
    pub deployment: String,
    /// Name of the elected container.
    pub container: String,
    /// Name of the Lease.
    pub lease: String,
    /// User name of the ServiceAccount that the replicas run as.
    pub user: String,
    /// The labels by which the Deployment selects its pods.
    pub selector: BTreeMap<String, String>,
    /// The container port that serves `/metrics`, if it has one.
    pub metrics_port: Option<i32>,
}

/// A change of the Deployment's environment, as given with `--set-env NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvOverride {
    /// Name of the variable.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What a run changes in the manifests.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Number of replicas.
    pub replicas: Option<u32>,
    /// Image of the elected container.
    pub image: Option<String>,
    /// Variables of the elected container.
    pub env: Vec<EnvOverride>,
}

/// Why the manifests can't be put to the test.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// None or several Deployments take part in an election.
    #[error(
        "--deploy: exactly one Deployment must have a container with the variable {LEASE_NAME}, found {found}"
    )]
    Deployments {
        /// How many do.
        found: usize,
    },
    /// A Deployment is not one.
    #[error("the manifest of Deployment {name} does not have the shape of apps/v1")]
    Shape {
        /// Its name.
        name: String,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// Something is not said that has to be.
    #[error("Deployment {deployment}: {field} must be set")]
    Missing {
        /// The Deployment.
        deployment: String,
        /// The field.
        field: &'static str,
    },
    /// A lease setting can't be used.
    #[error("Deployment {deployment}: {name}={value} must be a whole number of seconds above 0")]
    Setting {
        /// The Deployment.
        deployment: String,
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
    },
}

impl FromStr for EnvOverride {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let rule = "must be NAME=VALUE, with a name of letters, digits and _ that does not begin with a digit";
        let (name, value) = text.split_once('=').ok_or(rule)?;
        let sound = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
            && name.chars().next().is_some_and(|c| !c.is_ascii_digit());
        if sound {
            Ok(Self {
                name: name.to_owned(),
                value: value.to_owned(),
            })
        } else {
            Err(rule.to_owned())
        }
    }
}

impl Target {
    /// Finds the elected Deployment and applies `overrides` to it.
    pub fn prepare(manifests: &mut Manifests, overrides: &Overrides) -> Result<Self, TargetError> {
        let mut found = Vec::new();
        for (index, object) in manifests.objects.iter().enumerate() {
            let name = object.metadata.name.clone().unwrap_or_default();
            if object
                .types
                .as_ref()
                .is_none_or(|types| types.kind != "Deployment")
            {
                continue;
            }
            let value = serde_json::to_value(object).map_err(|source| TargetError::Shape {
                name: name.clone(),
                source,
            })?;
            let deployment: Deployment = serde_json::from_value(value)
                .map_err(|source| TargetError::Shape { name, source })?;
            if elected(&deployment).is_some() {
                found.push((index, deployment));
            }
        }
        let count = found.len();
        let (Some((index, mut deployment)), 1) = (found.pop(), count) else {
            return Err(TargetError::Deployments { found: count });
        };
        overrides.apply(&mut deployment);
        let target = Self::of(&deployment)?;
        if let Some(object) = manifests.objects.get_mut(index) {
            let shape = |source| TargetError::Shape {
                name: target.deployment.clone(),
                source,
            };
            let value = serde_json::to_value(&deployment).map_err(shape)?;
            *object = serde_json::from_value(value).map_err(shape)?;
        }
        Ok(target)
    }

    fn of(deployment: &Deployment) -> Result<Self, TargetError> {
        let name = deployment.metadata.name.clone().unwrap_or_default();
        let missing = |field| TargetError::Missing {
            deployment: name.clone(),
            field,
        };
        let namespace = deployment
            .metadata
            .namespace
            .clone()
            .ok_or_else(|| missing("metadata.namespace"))?;
        let spec = deployment.spec.as_ref().ok_or_else(|| missing("spec"))?;
        let pod = spec
            .template
            .spec
            .as_ref()
            .ok_or_else(|| missing("spec.template.spec"))?;
        let container = elected(deployment).ok_or_else(|| missing(LEASE_NAME))?;
        let account = pod
            .service_account_name
            .as_ref()
            .ok_or_else(|| missing("serviceAccountName"))?;
        Ok(Self {
            user: format!("system:serviceaccount:{namespace}:{account}"),
            lease: variable(container, LEASE_NAME)
                .ok_or_else(|| missing(LEASE_NAME))?
                .to_owned(),
            container: container.name.clone(),
            selector: spec
                .selector
                .match_labels
                .clone()
                .ok_or_else(|| missing("spec.selector.matchLabels"))?,
            metrics_port: container
                .ports
                .iter()
                .flatten()
                .map(|port| port.container_port)
                .next(),
            deployment: name.clone(),
            namespace,
        })
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
        let pairs: Vec<String> = self
            .selector
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        pairs.join(",")
    }
}

impl Manifests {
    /// Writes into the target's pods which content their image has: an image that was built anew under its old name is
    /// rolled out, and one that is the same is not.
    pub fn identify_image(&mut self, target: &Target, identity: &str) {
        let deployment = self.objects.iter_mut().find(|object| {
            object
                .types
                .as_ref()
                .is_some_and(|types| types.kind == "Deployment")
                && object.metadata.name.as_deref() == Some(&target.deployment)
        });
        let Some(deployment) = deployment else { return };
        let metadata = &mut deployment.data["spec"]["template"]["metadata"];
        metadata["annotations"][IMAGE_ANNOTATION] = identity.into();
    }
}

impl Overrides {
    fn apply(&self, deployment: &mut Deployment) {
        let Some(spec) = deployment.spec.as_mut() else {
            return;
        };
        if let Some(replicas) = self.replicas {
            spec.replicas = i32::try_from(replicas).ok();
        }
        let containers = spec
            .template
            .spec
            .iter_mut()
            .flat_map(|pod| pod.containers.iter_mut());
        for container in containers.filter(|container| variable(container, LEASE_NAME).is_some()) {
            if let Some(image) = &self.image {
                container.image = Some(image.clone());
            }
            let env = container.env.get_or_insert_default();
            for change in &self.env {
                env.retain(|variable| variable.name != change.name);
                env.push(EnvVar {
                    name: change.name.clone(),
                    value: Some(change.value.clone()),
                    value_from: None,
                });
            }
        }
    }
}

/// The election settings of a Deployment as it is in the cluster.
pub fn settings_of(deployment: &Deployment) -> Result<LeaseSettings, TargetError> {
    let name = deployment.metadata.name.clone().unwrap_or_default();
    let seconds = |variable_name: &'static str| {
        let value = elected(deployment)
            .and_then(|container| variable(container, variable_name))
            .ok_or_else(|| TargetError::Missing {
                deployment: name.clone(),
                field: variable_name,
            })?;
        let seconds = value.parse().ok().filter(|seconds: &u32| *seconds > 0);
        seconds.ok_or_else(|| TargetError::Setting {
            deployment: name.clone(),
            name: variable_name,
            value: value.to_owned(),
        })
    };
    Ok(LeaseSettings {
        duration_seconds: seconds("LEASE_DURATION_SECONDS")?,
        renew_deadline_seconds: seconds("LEASE_RENEW_DEADLINE_SECONDS")?,
        retry_period_seconds: seconds("LEASE_RETRY_PERIOD_SECONDS")?,
    })
}

fn elected(deployment: &Deployment) -> Option<&Container> {
    let pod = deployment.spec.as_ref()?.template.spec.as_ref()?;
    pod.containers
        .iter()
        .find(|container| variable(container, LEASE_NAME).is_some())
}

fn variable<'a>(container: &'a Container, name: &str) -> Option<&'a str> {
    container
        .env
        .iter()
        .flatten()
        .find(|variable| variable.name == name)?
        .value
        .as_deref()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEPLOYMENT: &str = r#"
apiVersion: apps/v1
kind: Deployment
metadata: {name: 5spot-controller, namespace: 5spot-system}
spec:
  replicas: 2
  selector: {matchLabels: {app: 5spot-controller}}
  template:
    metadata: {labels: {app: 5spot-controller}}
    spec:
      serviceAccountName: 5spot-controller
      containers:
        - name: controller
          image: ghcr.io/finos/5spot-rs:latest
          ports: [{name: http, containerPort: 8080}]
          env:
            - {name: LEASE_NAME, value: 5spot-leader}
            - {name: LEASE_DURATION_SECONDS, value: "15"}
            - {name: LEASE_RENEW_DEADLINE_SECONDS, value: "10"}
            - {name: LEASE_RETRY_PERIOD_SECONDS, value: "2"}
"#;

    fn manifests(text: &str) -> Manifests {
        let objects: Vec<serde_json::Value> = serde_saphyr::from_multiple(text).unwrap();
        Manifests {
            objects: objects
                .into_iter()
                .map(|object| serde_json::from_value(object).unwrap())
                .collect(),
        }
    }

    fn deployment(manifests: &Manifests) -> Deployment {
        serde_json::from_value(serde_json::to_value(&manifests.objects[0]).unwrap()).unwrap()
    }

    #[test]
    fn the_target_is_read_from_the_deployment_that_is_elected() {
        let target = Target::prepare(&mut manifests(DEPLOYMENT), &Overrides::default()).unwrap();
        assert_eq!(
            (target.lease.as_str(), target.container.as_str()),
            ("5spot-leader", "controller")
        );
        assert_eq!(
            target.user,
            "system:serviceaccount:5spot-system:5spot-controller"
        );
        assert_eq!(
            (target.label_selector().as_str(), target.metrics_port),
            ("app=5spot-controller", Some(8080))
        );
    }

    #[test]
    fn overrides_change_replicas_image_and_environment_and_nothing_else() {
        let mut manifests = manifests(DEPLOYMENT);
        let overrides = Overrides {
            replicas: Some(3),
            image: Some("five-spot/mutant:dev".to_owned()),
            env: vec![
                "LEASE_DURATION_SECONDS=30".parse().unwrap(),
                "FIVE_SPOT_MUTANT=writes-on".parse().unwrap(),
            ],
        };
        Target::prepare(&mut manifests, &overrides).unwrap();
        let deployment = deployment(&manifests);
        let container = elected(&deployment).unwrap();
        assert_eq!(deployment.spec.as_ref().unwrap().replicas, Some(3));
        assert_eq!(container.image.as_deref(), Some("five-spot/mutant:dev"));
        assert_eq!(variable(container, "FIVE_SPOT_MUTANT"), Some("writes-on"));
        assert_eq!(variable(container, "LEASE_NAME"), Some("5spot-leader"));
        assert_eq!(settings_of(&deployment).unwrap().duration_seconds, 30);
        assert_eq!(
            container.env.as_ref().unwrap().len(),
            5,
            "the old value is replaced"
        );
    }

    #[test]
    fn another_content_of_the_image_is_another_pod_template() {
        let mut manifests = manifests(DEPLOYMENT);
        let target = Target::prepare(&mut manifests, &Overrides::default()).unwrap();
        manifests.identify_image(&target, "sha256:0");
        let template = deployment(&manifests).spec.unwrap().template;
        let metadata = template.metadata.unwrap();
        assert_eq!(metadata.annotations.unwrap()[IMAGE_ANNOTATION], "sha256:0");
        assert_eq!(metadata.labels.unwrap()["app"], "5spot-controller");
    }

    #[test]
    fn a_lease_setting_that_is_no_number_is_named_with_its_value() {
        let mut manifests = manifests(DEPLOYMENT);
        let env = vec!["LEASE_DURATION_SECONDS=soon".parse().unwrap()];
        Target::prepare(
            &mut manifests,
            &Overrides {
                env,
                ..Overrides::default()
            },
        )
        .unwrap();
        let message = settings_of(&deployment(&manifests))
            .unwrap_err()
            .to_string();
        assert!(message.contains("LEASE_DURATION_SECONDS=soon"), "{message}");
    }

    #[test]
    fn a_folder_without_an_elected_deployment_is_refused() {
        let text = DEPLOYMENT.replace("LEASE_NAME", "OTHER");
        let error = Target::prepare(&mut manifests(&text), &Overrides::default()).unwrap_err();
        assert!(
            matches!(error, TargetError::Deployments { found: 0 }),
            "{error}"
        );
    }

    #[rstest::rstest]
    #[case("NAME")]
    #[case("=x")]
    #[case("1A=x")]
    #[case("A B=x")]
    fn an_override_without_a_sound_name_is_refused(#[case] text: &str) {
        assert!(text.parse::<EnvOverride>().is_err());
    }
}

//! What a run changes in the Deployment: image, replicas, environment.

use std::{collections::BTreeMap, str::FromStr};

use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Container, EnvVar},
};

/// A change of the Deployment's environment, as given with `--set-env NAME=VALUE`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EnvOverride {
    /// Name of the variable.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// What a run changes in the Deployment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides {
    /// Number of replicas.
    pub replicas: Option<u32>,
    /// Image of the elected container.
    pub image: Option<String>,
    /// Variables of the elected container.
    pub env: Vec<EnvOverride>,
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

impl EnvOverride {
    /// The override, if `name` may be the name of a variable.
    pub fn new(name: &str, value: &str) -> Result<Self, String> {
        format!("{name}={value}").parse()
    }
}

impl Overrides {
    /// Whether the pods are changed, and not only their number.
    pub fn changes_pods(&self) -> bool {
        self.image.is_some() || !self.env.is_empty()
    }

    /// Changes the Deployment, in which `elected` is the name of the elected container.
    pub(super) fn apply(&self, deployment: &mut Deployment, elected: &str) {
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
        for container in containers.filter(|container| container.name == elected) {
            self.apply_to(container);
        }
    }

    fn apply_to(&self, container: &mut Container) {
        if let Some(image) = &self.image {
            container.image = Some(image.clone());
        }
        // The last one of a name counts.
        let last: BTreeMap<&str, &str> = self
            .env
            .iter()
            .map(|change| (change.name.as_str(), change.value.as_str()))
            .collect();
        let env = container.env.get_or_insert_default();
        for (name, value) in last {
            env.retain(|variable| variable.name != name);
            env.push(EnvVar {
                name: name.to_owned(),
                value: Some(value.to_owned()),
                value_from: None,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::deploy::container::variable;

    #[rstest::rstest]
    #[case("NAME")]
    #[case("=x")]
    #[case("1A=x")]
    #[case("A B=x")]
    fn an_override_without_a_sound_name_is_refused(#[case] text: &str) {
        assert!(text.parse::<EnvOverride>().is_err());
    }

    #[test]
    fn the_last_value_of_a_variable_counts() {
        let overrides = Overrides {
            env: vec![
                EnvOverride::new("A", "1").unwrap(),
                EnvOverride::new("A", "2=3").unwrap(),
            ],
            ..Overrides::default()
        };
        let mut container = Container::default();
        overrides.apply_to(&mut container);
        assert_eq!(container.env.as_ref().unwrap().len(), 1);
        assert_eq!(variable(&container, "A"), Some("2=3"));
    }
}

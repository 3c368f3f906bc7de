//! Leaves parts of the operator out, to measure what they are good for.

use clap::ValueEnum;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicy;
use kube::{Api, Client, ResourceExt};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{EnvOverride, Manifests, is_a};

/// The name of the policy, its binding and its probe.
const FENCE: &str = "5spot-fence";

/// The name of the policy for what others write too, and of its binding.
const SHARED: &str = "5spot-fence-shared";

/// The kinds that the fence consists of.
const FENCE_KINDS: [&str; 3] = [
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
    "ConfigMap",
];

/// Something that is there or is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Switch {
    /// It is there.
    On,
    /// It is left out.
    Off,
}

/// What is switched; `None` leaves it as the manifests have it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Switches {
    /// The fence: the API server refuses writes of replicas that do not hold the Lease.
    pub fence: Option<Switch>,
    /// The hint: a standby acts on the end of its connection to the leader.
    pub hint: Option<Switch>,
}

/// Something can't be switched on because it is not there.
#[derive(Debug, thiserror::Error)]
#[error("--fence on: the manifests have no ValidatingAdmissionPolicy {FENCE}")]
pub struct NoFence;

/// Whether the fence is in a cluster. Who may not look is told that it is not: then no hint counts as a reason.
pub async fn has_fence(client: &Client) -> bool {
    let policies: Api<ValidatingAdmissionPolicy> = Api::all(client.clone());
    matches!(policies.get_opt(FENCE).await, Ok(Some(_)))
}

impl Manifests {
    /// Whether the fence is among the objects.
    pub fn has_fence(&self) -> bool {
        self.objects
            .iter()
            .any(|object| object.name_any() == FENCE && is_a(object, FENCE_KINDS[0]))
    }

    /// Leaves out what is switched off; gives the variables that tell the operator.
    pub fn switch(&mut self, switches: Switches) -> Result<Vec<EnvOverride>, NoFence> {
        let mut env = Vec::new();
        let mut set = |name: &str, value: &str| {
            env.push(EnvOverride {
                name: name.to_owned(),
                value: value.to_owned(),
            });
        };
        match switches.fence {
            Some(Switch::On) if !self.has_fence() => return Err(NoFence),
            Some(Switch::Off) => {
                self.objects.retain(|object| {
                    ![FENCE, SHARED].contains(&object.name_any().as_str())
                        || !FENCE_KINDS.iter().any(|kind| is_a(object, kind))
                });
                set("FENCE_PROBE", "");
            }
            Some(Switch::On) | None => {}
        }
        match switches.hint {
            Some(Switch::On) => set("ENABLE_HINT", "true"),
            Some(Switch::Off) => set("ENABLE_HINT", "false"),
            None => {}
        }
        Ok(env)
    }
}

#[cfg(test)]
mod tests {
    use kube::api::DynamicObject;
    use serde_json::json;

    use super::*;

    fn manifests(objects: &[(&str, &str)]) -> Manifests {
        let object = |(kind, name): &(&str, &str)| -> DynamicObject {
            serde_json::from_value(
                json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name}}),
            )
            .unwrap()
        };
        Manifests {
            objects: objects.iter().map(object).collect(),
        }
    }

    fn fenced() -> Manifests {
        manifests(&[
            ("ConfigMap", "other"),
            ("ValidatingAdmissionPolicy", FENCE),
            ("ValidatingAdmissionPolicyBinding", FENCE),
            ("ConfigMap", FENCE),
            ("Service", FENCE),
        ])
    }

    #[test]
    fn a_fence_that_is_off_is_left_out_and_not_looked_for() {
        let mut manifests = fenced();
        let off = Switches {
            fence: Some(Switch::Off),
            hint: None,
        };
        let env = manifests.switch(off).unwrap();
        assert_eq!(manifests.objects.len(), 2);
        assert!(!manifests.has_fence());
        assert_eq!(
            (env[0].name.as_str(), env[0].value.as_str()),
            ("FENCE_PROBE", "")
        );
    }

    #[test]
    fn what_is_not_switched_stays_as_it_is() {
        let mut manifests = fenced();
        assert!(manifests.switch(Switches::default()).unwrap().is_empty());
        assert!(manifests.has_fence());
    }

    #[test]
    fn a_fence_that_is_not_there_can_not_be_on() {
        let on = Switches {
            fence: Some(Switch::On),
            hint: None,
        };
        assert!(fenced().switch(on).is_ok());
        assert!(manifests(&[("ConfigMap", FENCE)]).switch(on).is_err());
    }

    #[rstest::rstest]
    #[case(Switch::On, "true")]
    #[case(Switch::Off, "false")]
    fn the_hint_is_a_variable(#[case] hint: Switch, #[case] value: &str) {
        let switches = Switches {
            fence: None,
            hint: Some(hint),
        };
        let env = fenced().switch(switches).unwrap();
        assert_eq!(
            (env[0].name.as_str(), env[0].value.as_str()),
            ("ENABLE_HINT", value)
        );
    }
}

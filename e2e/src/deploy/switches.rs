//! Leaves parts of the operator out, to measure what they are good for.

use clap::ValueEnum;
use k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicyBinding;
use kube::{
    Api, Client, ResourceExt,
    api::{DynamicObject, ListParams},
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{EnvOverride, Manifests, Target, is_a};

/// A fence is made of admission policies that decide by the Lease.
const POLICY: &str = "ValidatingAdmissionPolicy";

/// The kinds that belong to it, each by the name of a policy.
const FENCE_KINDS: [&str; 3] = [POLICY, "ValidatingAdmissionPolicyBinding", "ConfigMap"];

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
#[error("--fence on: the manifests have no {POLICY} with the paramKind Lease")]
pub struct NoFence;

/// Whether the fence is in a cluster. Who may not look is told that it is not: then no hint counts as a reason.
pub async fn has_fence(client: &Client, target: &Target) -> bool {
    let bindings: Api<ValidatingAdmissionPolicyBinding> = Api::all(client.clone());
    let Ok(bindings) = bindings.list(&ListParams::default()).await else {
        return false;
    };
    bindings.iter().any(|binding| {
        let by = binding
            .spec
            .as_ref()
            .and_then(|spec| spec.param_ref.as_ref());
        by.is_some_and(|by| {
            by.name.as_deref() == Some(&target.lease)
                && by.namespace.as_deref() == Some(&target.namespace)
        })
    })
}

impl Manifests {
    /// Whether the fence is among the objects.
    pub fn has_fence(&self) -> bool {
        !self.fence_policies().is_empty()
    }

    /// The names of the policies that decide by a Lease.
    fn fence_policies(&self) -> Vec<String> {
        let decides_by_lease = |object: &&DynamicObject| {
            let kind = object.data.pointer("/spec/paramKind/kind");
            is_a(object, POLICY) && kind.is_some_and(|kind| kind == "Lease")
        };
        let policies = self.objects.iter().filter(decides_by_lease);
        policies.map(ResourceExt::name_any).collect()
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
                let policies = self.fence_policies();
                self.objects.retain(|object| {
                    !policies.contains(&object.name_any())
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
    use serde_json::json;

    use super::*;

    const FENCE: &str = "a-fence";

    fn manifests(objects: &[(&str, &str)]) -> Manifests {
        let object = |(kind, name): &(&str, &str)| -> DynamicObject {
            let param = if *name == FENCE { "Lease" } else { "ConfigMap" };
            let object = json!({"apiVersion": "v1", "kind": kind, "metadata": {"name": name},
                "spec": {"paramKind": {"kind": param}}});
            serde_json::from_value(object).unwrap()
        };
        Manifests {
            objects: objects.iter().map(object).collect(),
        }
    }

    fn fenced() -> Manifests {
        manifests(&[
            ("ConfigMap", "other"),
            ("ValidatingAdmissionPolicy", "other"),
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
        assert_eq!(manifests.objects.len(), 3);
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

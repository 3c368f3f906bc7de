//! What the operator needs in a cluster, as YAML: its objects, and the fence.

use lease_election::{
    Annotations, Fence, InvalidSetting, SettingNames,
    fence::{Manifest, Policy, Rule, fence_yaml},
    settings::LeaseName,
};

/// Its namespace, Deployment, ServiceAccount and Lease.
pub(crate) const NAME: &str = "kube-rs-peer";
pub(crate) const ANNOTATIONS: &str = "kube-rs-peer.example.com";
pub(crate) const STRICT_FENCE: &str = "kube-rs-peer";
pub(crate) const LENIENT_FENCE: &str = "kube-rs-peer-shared";

/// The ConfigMap that is watched, and the one that is written.
pub(crate) const INPUT: &str = "kube-rs-peer-input";
pub(crate) const OUTPUT: &str = "kube-rs-peer-output";

const OBJECTS: &str = include_str!("objects.yaml");
const DEPLOYMENT: &str = include_str!("deployment.yaml");

/// All of it, in the order in which it has to be applied.
pub(crate) fn yaml() -> Result<String, InvalidSetting> {
    let guard = |policy, name, why| Rule {
        policy,
        group: "",
        resource: "configmaps",
        names: name,
        why,
    };
    let fence = fence_yaml(&Manifest {
        lease: &LeaseName::new(NAME, NAME, &SettingNames::default())?,
        account: NAME,
        policies: &Fence::named(STRICT_FENCE, LENIENT_FENCE).policies,
        annotations: &Annotations::with_prefix(ANNOTATIONS),
        rules: &[
            guard(
                Policy::Strict,
                &[STRICT_FENCE],
                "The fence is tested on it.",
            ),
            guard(Policy::Strict, &[OUTPUT], "What the leader writes."),
            guard(
                Policy::Lenient,
                &[LENIENT_FENCE],
                "The fence is tested on it.",
            ),
        ],
        about: "# The fence: the API server refuses what a replica writes that does not hold the Lease.",
        about_lease: "# The Lease that they go by. Without it the API server would refuse the writes to everybody.",
        lease_setting: "NAME in src/manifests.rs.",
        source: "src/manifests.rs",
    });
    Ok(format!("{OBJECTS}---\n{fence}---\n{DEPLOYMENT}"))
}

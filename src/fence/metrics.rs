//! What the fence tells Prometheus.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{Each, Policy, State};

/// The gauges that say whether the fence is in force.
#[derive(Clone, Debug, Default)]
pub struct FenceMetrics {
    active: Gauge,
    policies: Family<PolicyLabel, Gauge>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PolicyLabel {
    policy: &'static str,
}

impl FenceMetrics {
    /// Registers the gauges, at 0; `registry` gives them their prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "fence_active",
            "1 while the last test has shown that the API server refuses the writes of replicas that do not lead, by both policies of the fence",
            metrics.active.clone(),
        );
        registry.register(
            "fence_policy_active",
            "1 while the last test has shown that this policy of the fence is in force",
            metrics.policies.clone(),
        );
        for policy in Policy::ALL {
            drop(metrics.policies.get_or_create(&PolicyLabel::of(policy)));
        }
        metrics
    }

    pub(super) fn show(&self, states: &Each<State>) {
        self.active.set(i64::from(states.are_active()));
        for policy in Policy::ALL {
            let is_active = *states.of(policy) == State::Active;
            let gauge = self.policies.get_or_create(&PolicyLabel::of(policy));
            gauge.set(i64::from(is_active));
        }
    }
}

impl PolicyLabel {
    fn of(policy: Policy) -> Self {
        Self {
            policy: policy.name(),
        }
    }
}

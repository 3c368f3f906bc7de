//! What the fence tells Prometheus.

use prometheus_client::{metrics::gauge::Gauge, registry::Registry};

use super::State;

/// The gauge that says whether the fence is in force.
#[derive(Clone, Debug, Default)]
pub struct FenceMetrics {
    active: Gauge,
}

impl FenceMetrics {
    /// Registers the gauge, at 0; `registry` gives it its prefix.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        registry.register(
            "fence_active",
            "1 while the last test has shown that the API server refuses the writes of replicas that do not lead",
            metrics.active.clone(),
        );
        metrics
    }

    pub(super) fn show(&self, state: &State) {
        self.active.set(i64::from(*state == State::Active));
    }
}

//! Metrics of the work.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};

use super::{Category, Eviction};
use crate::api::Phase;

/// Counts what the work does, and the objects that there are.
#[derive(Clone, Debug)]
pub struct ControllerMetrics {
    reconciliations: Family<ResultLabels, Counter>,
    duration: Histogram,
    errors: Family<ErrorLabels, Counter>,
    machines: Family<PhaseLabels, Gauge>,
    drains: Family<ResultLabels, Counter>,
    evictions: Family<ResultLabels, Counter>,
    cleanup_timeouts: Counter,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    result: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ErrorLabels {
    category: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabels {
    phase: &'static str,
}

const SUCCESS: &str = "success";
const ERROR: &str = "error";

/// How a drain ends, by the reason that is announced.
const DRAINS: [(&str, &str); 3] = [
    ("NodeDrained", "drained"),
    ("DrainTimedOut", "timed_out"),
    ("NodeOutOfReach", "out_of_reach"),
];

impl ControllerMetrics {
    /// Registers the metrics in `registry`, whose prefix they get.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self {
            reconciliations: Family::default(),
            // From a quarter of a millisecond, a look without a write, to 8 s.
            duration: Histogram::new(exponential_buckets(0.000_25, 2.0, 16)),
            errors: Family::default(),
            machines: Family::default(),
            drains: Family::default(),
            evictions: Family::default(),
            cleanup_timeouts: Counter::default(),
        };
        registry.register(
            "reconciliations",
            "Looks at a ScheduledMachine, by result (success or error)",
            metrics.reconciliations.clone(),
        );
        registry.register_with_unit(
            "reconciliation_duration",
            "Time that a look at a ScheduledMachine took",
            Unit::Seconds,
            metrics.duration.clone(),
        );
        registry.register(
            "errors",
            "Failures of the controller, by category (watch, unreadable, status, action or event)",
            metrics.errors.clone(),
        );
        registry.register(
            "scheduled_machines",
            "ScheduledMachines that this replica knows, by phase",
            metrics.machines.clone(),
        );
        registry.register(
            "node_drains",
            "Drains that came to an end, by result: drained, timed_out, out_of_reach",
            metrics.drains.clone(),
        );
        registry.register(
            "pod_evictions",
            "Evictions that were asked for, by result: evicted, held (by a disruption budget, and asked for again), failed",
            metrics.evictions.clone(),
        );
        registry.register(
            "finalizer_cleanup_timeouts",
            "ScheduledMachines that were let go although objects of theirs were not gone in time",
            metrics.cleanup_timeouts.clone(),
        );
        // A series that appears with its first failure can't be alerted on by its increase.
        for result in [SUCCESS, ERROR] {
            metrics
                .reconciliations
                .get_or_create(&ResultLabels { result })
                .inc_by(0);
        }
        for category in Category::ALL {
            metrics
                .errors
                .get_or_create(&ErrorLabels {
                    category: category.as_str(),
                })
                .inc_by(0);
        }
        for (_reason, result) in DRAINS {
            metrics
                .drains
                .get_or_create(&ResultLabels { result })
                .inc_by(0);
        }
        for outcome in Eviction::ALL {
            let result = outcome.as_str();
            metrics
                .evictions
                .get_or_create(&ResultLabels { result })
                .inc_by(0);
        }
        metrics.recounted(std::iter::empty());
        metrics
    }

    pub(super) fn reconciled(&self, took: Duration, succeeded: bool) {
        let result = if succeeded { SUCCESS } else { ERROR };
        self.reconciliations
            .get_or_create(&ResultLabels { result })
            .inc();
        self.duration.observe(took.as_secs_f64());
    }

    pub(super) fn failed(&self, category: Category) {
        self.errors
            .get_or_create(&ErrorLabels {
                category: category.as_str(),
            })
            .inc();
    }

    /// News went out: what they are about is counted.
    pub(super) fn announced(&self, reason: &str) {
        if reason == "CleanupTimedOut" {
            self.cleanup_timeouts.inc();
        }
        if let Some((_reason, result)) = DRAINS.into_iter().find(|(known, _)| *known == reason) {
            self.drains.get_or_create(&ResultLabels { result }).inc();
        }
    }

    pub(super) fn evicted(&self, outcome: Eviction) {
        let result = outcome.as_str();
        self.evictions.get_or_create(&ResultLabels { result }).inc();
    }

    /// An object went from one phase to another; `None` is outside of the cluster.
    pub(super) fn moved(&self, from: Option<Phase>, to: Option<Phase>) {
        if let Some(from) = from {
            self.machines.get_or_create(&labels(from)).dec();
        }
        if let Some(to) = to {
            self.machines.get_or_create(&labels(to)).inc();
        }
    }

    /// All objects are known anew. A phase without objects is a zero, not a series that is gone.
    pub(super) fn recounted(&self, phases: impl Iterator<Item = Phase>) {
        let mut counts = Phase::ALL.map(|phase| (phase, 0));
        for phase in phases {
            counts
                .iter_mut()
                .filter(|(counted, _)| *counted == phase)
                .for_each(|(_, count)| *count += 1);
        }
        for (phase, count) in counts {
            self.machines.get_or_create(&labels(phase)).set(count);
        }
    }
}

fn labels(phase: Phase) -> PhaseLabels {
    PhaseLabels {
        phase: phase.as_str(),
    }
}

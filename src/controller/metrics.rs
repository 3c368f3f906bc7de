//! Metrics of the work.

use std::{collections::BTreeMap, time::Duration};

use prometheus_client::{
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use strum::VariantArray;

use super::error::{Category, Eviction};
use crate::api::Phase;

/// Counts what the work does, and the objects that there are.
#[derive(Clone, Debug)]
pub struct ControllerMetrics {
    reconciliations: Family<Label, Counter>,
    duration: Histogram,
    errors: Family<Label, Counter>,
    machines: Family<Label, Gauge>,
    drains: Family<Label, Counter>,
    evictions: Family<Label, Counter>,
    cleanup_timeouts: Counter,
}

/// Name and value of the only label.
type Label = [(&'static str, &'static str); 1];

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
            "Reconciles of a ScheduledMachine, by result (success or error)",
            metrics.reconciliations.clone(),
        );
        registry.register_with_unit(
            "reconciliation_duration",
            "Duration of a reconcile of a ScheduledMachine",
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
            "Finished drains, by result: drained, timed_out, out_of_reach",
            metrics.drains.clone(),
        );
        registry.register(
            "pod_evictions",
            "Requested evictions, by result: evicted, held (by a disruption budget, and requested again), failed",
            metrics.evictions.clone(),
        );
        registry.register(
            "finalizer_cleanup_timeouts",
            "ScheduledMachines whose finalizer was removed before all of their objects were gone",
            metrics.cleanup_timeouts.clone(),
        );
        // A series that appears with its first failure can't be alerted on by its increase.
        for result in [SUCCESS, ERROR] {
            let series = metrics.reconciliations.get_or_create(&of_result(result));
            series.inc_by(0);
        }
        for category in Category::VARIANTS {
            let series = metrics.errors.get_or_create(&of_category(*category));
            series.inc_by(0);
        }
        for (_reason, result) in DRAINS {
            metrics.drains.get_or_create(&of_result(result)).inc_by(0);
        }
        for outcome in Eviction::VARIANTS {
            let result = of_result(outcome.into());
            metrics.evictions.get_or_create(&result).inc_by(0);
        }
        metrics.recounted(std::iter::empty());
        metrics
    }

    pub(super) fn reconciled(&self, took: Duration, succeeded: bool) {
        let result = if succeeded { SUCCESS } else { ERROR };
        self.reconciliations.get_or_create(&of_result(result)).inc();
        self.duration.observe(took.as_secs_f64());
    }

    pub(super) fn failed(&self, category: Category) {
        self.errors.get_or_create(&of_category(category)).inc();
    }

    /// News went out: what they are about is counted.
    pub(super) fn announced(&self, reason: &str) {
        if reason == "CleanupTimedOut" {
            self.cleanup_timeouts.inc();
        }
        if let Some((_reason, result)) = DRAINS.into_iter().find(|(known, _)| *known == reason) {
            self.drains.get_or_create(&of_result(result)).inc();
        }
    }

    pub(super) fn evicted(&self, outcome: Eviction) {
        self.evictions
            .get_or_create(&of_result(outcome.into()))
            .inc();
    }

    /// An object went from one phase to another; `None` is outside of the cluster.
    pub(super) fn moved(&self, from: Option<Phase>, to: Option<Phase>) {
        if let Some(from) = from {
            self.machines.get_or_create(&of_phase(from)).dec();
        }
        if let Some(to) = to {
            self.machines.get_or_create(&of_phase(to)).inc();
        }
    }

    /// All objects are known anew. A phase without objects is a zero, not a series that is gone.
    pub(super) fn recounted(&self, phases: impl Iterator<Item = Phase>) {
        let mut counts: BTreeMap<_, _> = Phase::VARIANTS.iter().map(|phase| (*phase, 0)).collect();
        for phase in phases {
            *counts.entry(phase).or_default() += 1;
        }
        for (phase, count) in counts {
            self.machines.get_or_create(&of_phase(phase)).set(count);
        }
    }
}

fn of_result(result: &'static str) -> Label {
    [("result", result)]
}

fn of_category(category: Category) -> Label {
    [("category", category.into())]
}

fn of_phase(phase: Phase) -> Label {
    [("phase", phase.into())]
}

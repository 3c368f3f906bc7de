//! What the election tells Prometheus.
//!
//! Counters and gauges are set when something happens; what passes by itself, such as the time left of a term, is
//! computed when it is scraped.

mod scraped;
#[cfg(test)]
mod tests;

use std::{
    sync::{
        Arc, OnceLock, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicU64},
    },
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use tokio::sync::watch;

use super::{
    announce::Outcome, config::LeaseConfig, ending::Cause, lock::LeaseError, record::Reason,
    standing::Standing,
};
use crate::clock::{Moment, SharedClock};
use scraped::{HintCollector, StandingCollector, TermCollector};

/// What the election counts and measures.
#[derive(Clone, Debug)]
pub struct LeaderMetrics {
    transitions: Family<ReasonLabel, Counter>,
    terms_ended: Family<CauseLabel, Counter>,
    calls: Family<CallLabels, Counter>,
    call_seconds: Family<CallLabel, Histogram, fn() -> Histogram>,
    renew_seconds: Histogram,
    last_takeover: Family<PhaseLabel, Gauge<f64, AtomicU64>>,
    events: Family<OutcomeLabel, Counter>,
    term: Deadline,
    hint: HintConnection,
}

/// Whether the hint connection stands; nothing where there is none to be held.
type HintConnection = Arc<OnceLock<Arc<AtomicBool>>>;

/// Until when the present term runs; none where this replica does not lead.
type Deadline = Arc<RwLock<Option<Moment>>>;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabel {
    cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabel {
    call: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    call: &'static str,
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SettingLabel {
    setting: &'static str,
}

/// What a call can be.
const CALLS: [&str; 3] = ["read", "create", "write"];

/// How a call can end.
const OUTCOMES: [&str; 4] = ["ok", "conflict", "timeout", "error"];

/// From the last sign of life of the predecessor to the acknowledged take.
const LEASE: PhaseLabel = PhaseLabel { phase: "lease" };

/// From the same to the first accepted write.
const WORK: PhaseLabel = PhaseLabel { phase: "work" };

/// From a healthy call to one that costs half of a default renew deadline.
const BUCKETS: [f64; 11] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];

impl LeaderMetrics {
    /// Registers the election's metrics; `registry` gives them their prefix.
    pub fn register(
        registry: &mut Registry,
        pod: &str,
        lease: &LeaseConfig,
        clock: SharedClock,
        standing: watch::Receiver<Standing>,
    ) -> Self {
        let metrics = Self::unregistered();
        registry.register(
            "leader_transitions",
            format!(
                "Leases taken by this replica, by reason: {}",
                list(Reason::ALL.map(Reason::as_str))
            ),
            metrics.transitions.clone(),
        );
        registry.register(
            "leader_terms_ended",
            format!(
                "Terms of this replica that came to their end, by cause: {}",
                list(Cause::ALL.map(Cause::as_str))
            ),
            metrics.terms_ended.clone(),
        );
        registry.register(
            "leader_last_takeover_seconds",
            "Time of the last takeover by this replica, from the last sign of life that it saw of the predecessor (a release is one) to the acknowledged write of the Lease (phase lease) and to the first accepted write of the work (phase work); no series until there was one",
            metrics.last_takeover.clone(),
        );
        registry.register(
            "leader_events",
            format!(
                "Events about the election, by outcome: {}",
                list(Outcome::ALL.map(Outcome::as_str))
            ),
            metrics.events.clone(),
        );
        registry.register(
            "lease_calls",
            format!("Calls about the Lease, by outcome: {}", list(OUTCOMES)),
            metrics.calls.clone(),
        );
        registry.register(
            "lease_call_duration_seconds",
            "Time from sending a call about the Lease to its answer",
            metrics.call_seconds.clone(),
        );
        registry.register(
            "lease_renew_duration_seconds",
            "Time from sending a renewal of the Lease to its acknowledgement; renewals that failed count as calls only",
            metrics.renew_seconds.clone(),
        );
        registry.register(
            "lease_setting_seconds",
            "What the election is set to: duration, renew_deadline, retry_period",
            settings(lease),
        );
        metrics.begin_at_zero();
        registry.register_collector(Box::new(TermCollector::new(
            Arc::clone(&metrics.term),
            clock,
        )));
        registry.register_collector(Box::new(HintCollector::new(
            Arc::clone(&metrics.hint),
            standing.clone(),
        )));
        registry.register_collector(Box::new(StandingCollector::new(pod, standing)));
        metrics
    }

    pub(crate) fn unregistered() -> Self {
        Self {
            transitions: Family::default(),
            terms_ended: Family::default(),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            renew_seconds: Histogram::new(BUCKETS),
            last_takeover: Family::default(),
            events: Family::default(),
            term: Arc::default(),
            hint: Arc::default(),
        }
    }

    /// Whether a confirmed connection to the leader's process stands, for whoever holds it to set. From the first call on a
    /// standby reports it.
    pub fn hint_connection(&self) -> Arc<AtomicBool> {
        Arc::clone(self.hint.get_or_init(Arc::default))
    }

    /// Creates every series of a counter, so that the first event is an increase that a query can see.
    fn begin_at_zero(&self) {
        for reason in Reason::ALL.map(Reason::as_str) {
            drop(self.transitions.get_or_create(&ReasonLabel { reason }));
        }
        for cause in Cause::ALL.map(Cause::as_str) {
            drop(self.terms_ended.get_or_create(&CauseLabel { cause }));
        }
        for outcome in Outcome::ALL.map(Outcome::as_str) {
            drop(self.events.get_or_create(&OutcomeLabel { outcome }));
        }
        for call in CALLS {
            for outcome in OUTCOMES {
                drop(self.calls.get_or_create(&CallLabels { call, outcome }));
            }
            drop(self.call_seconds.get_or_create(&CallLabel { call }));
        }
    }

    /// The Lease was taken; its term runs until `deadline`. `lease_failover` is the time since the predecessor's last
    /// sign of life.
    pub(crate) fn took(&self, reason: Reason, lease_failover: Duration, deadline: Moment) {
        let reason = reason.as_str();
        self.transitions
            .get_or_create(&ReasonLabel { reason })
            .inc();
        // What the work needed last time says nothing about this time.
        self.last_takeover.remove(&WORK);
        self.last_takeover
            .get_or_create(&LEASE)
            .set(lease_failover.as_secs_f64());
        self.set_deadline(Some(deadline));
    }

    /// The work of the term had its first write accepted, this long after the predecessor's last sign of life.
    pub(crate) fn first_write(&self, work_failover: Duration) {
        self.last_takeover
            .get_or_create(&WORK)
            .set(work_failover.as_secs_f64());
    }

    /// A renewal was acknowledged after `lasted`; the term now runs until `deadline`.
    pub(super) fn renewed(&self, lasted: Duration, deadline: Moment) {
        self.renew_seconds.observe(lasted.as_secs_f64());
        self.set_deadline(Some(deadline));
    }

    /// The term is over.
    pub(super) fn ended(&self, cause: Cause) {
        let cause = cause.as_str();
        self.terms_ended.get_or_create(&CauseLabel { cause }).inc();
        self.set_deadline(None);
    }

    /// An Event was published, or was not.
    pub(super) fn announced(&self, outcome: Outcome) {
        let outcome = outcome.as_str();
        self.events.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    pub(super) fn called<T>(
        &self,
        call: &'static str,
        result: &Result<T, LeaseError>,
        lasted: Duration,
    ) {
        let outcome = match result {
            Ok(_) => "ok",
            Err(LeaseError::Conflict { .. }) => "conflict",
            Err(LeaseError::TimedOut { .. }) => "timeout",
            Err(LeaseError::Api { .. }) => "error",
        };
        self.calls
            .get_or_create(&CallLabels { call, outcome })
            .inc();
        self.call_seconds
            .get_or_create(&CallLabel { call })
            .observe(lasted.as_secs_f64());
    }

    fn set_deadline(&self, deadline: Option<Moment>) {
        *self.term.write().unwrap_or_else(PoisonError::into_inner) = deadline;
    }
}

/// What alerts and dashboards compare with, so that they hold for every setting.
fn settings(lease: &LeaseConfig) -> Family<SettingLabel, Gauge<f64, AtomicU64>> {
    let settings = Family::<_, Gauge<f64, AtomicU64>>::default();
    for (setting, value) in [
        ("duration", lease.duration()),
        ("renew_deadline", lease.renew_deadline()),
        ("retry_period", lease.retry_period()),
    ] {
        settings
            .get_or_create(&SettingLabel { setting })
            .set(value.as_secs_f64());
    }
    settings
}

fn list<const N: usize>(words: [&str; N]) -> String {
    words.join(", ")
}

//! Metrics of the election for `prometheus-client`.
//!
//! Counters and gauges are set when something happens; what passes by itself, such as the time left of a term, is
//! computed when it is scraped.

mod scraped;
#[cfg(test)]
mod tests;

use std::{
    sync::{Arc, PoisonError, RwLock, atomic::AtomicU64},
    time::Duration,
};

use prometheus_client::{
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::Registry,
};
use strum::VariantArray;

use super::{Call, CallOutcome, EventOutcome, Observer};
use crate::{
    clock::{Moment, SharedClock},
    fence::{PerPolicy, Policy, State},
    record::{Cause, Reason},
    status::LeadershipStatus,
    timing::Timing,
};
use scraped::{HintCollector, Scraped, StatusCollector, TermCollector};

/// The names of a series' labels, and their values.
type Labels<const N: usize> = [(&'static str, &'static str); N];

type Counters<const N: usize> = Family<Labels<N>, Counter>;

type Seconds = Family<Labels<1>, Gauge<f64, AtomicU64>>;

/// What an election counts and measures.
#[derive(Clone, Debug)]
pub struct PrometheusObserver {
    transitions: Counters<1>,
    terms_ended: Counters<1>,
    calls: Counters<2>,
    call_seconds: Family<Labels<1>, Histogram, fn() -> Histogram>,
    renew_seconds: Histogram,
    last_takeover: Seconds,
    events: Counters<1>,
    scraped: Arc<RwLock<Scraped>>,
    fence: FenceMetrics,
}

/// The gauges that say whether the fence is in force.
#[derive(Clone, Debug, Default)]
pub struct FenceMetrics {
    active: Gauge,
    policies: PerPolicy<Gauge>,
}

/// From the last sign of life of the predecessor to the acknowledged take.
const LEASE: Labels<1> = [("phase", "lease")];

/// From the same to the first accepted write.
const WORK: Labels<1> = [("phase", "work")];

/// From a healthy call to one that costs half of a default renew deadline.
const BUCKETS: [f64; 11] = [0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0];

impl FenceMetrics {
    /// Registers the gauges of the fence with these policies, at 0; `registry` gives them their prefix.
    pub fn register(registry: &mut Registry, policies: &PerPolicy<String>) -> Self {
        let metrics = Self::default();
        registry.register(
            "fence_active",
            "1 while the last test has shown that the API server refuses the writes of replicas that do not lead, by both policies of the fence",
            metrics.active.clone(),
        );
        let by_name = Family::<[(&'static str, String); 1], Gauge>::default();
        registry.register(
            "fence_policy_active",
            "1 while the last test has shown that this policy of the fence is in force",
            by_name.clone(),
        );
        let gauge = |name: &String| by_name.get_or_create_owned(&[("policy", name.clone())]);
        Self {
            policies: PerPolicy {
                strict: gauge(&policies.strict),
                lenient: gauge(&policies.lenient),
            },
            ..metrics
        }
    }

    fn show(&self, states: &PerPolicy<State>) {
        self.active.set(i64::from(states.are_active()));
        for policy in Policy::ALL {
            let is_active = *states.of(policy) == State::Active;
            self.policies.of(policy).set(i64::from(is_active));
        }
    }
}

impl PrometheusObserver {
    /// Registers the metrics of the replica `pod`; `registry` gives them their prefix.
    pub fn register(
        registry: &mut Registry,
        pod: &str,
        timing: &Timing,
        clock: SharedClock,
        fence: FenceMetrics,
    ) -> Self {
        let metrics = Self {
            transitions: Family::default(),
            terms_ended: Family::default(),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(|| Histogram::new(BUCKETS)),
            renew_seconds: Histogram::new(BUCKETS),
            last_takeover: Family::default(),
            events: Family::default(),
            scraped: Arc::default(),
            fence,
        };
        let (reasons, causes) = (words::<Reason>(), words::<Cause>());
        let (calls, outcomes) = (words::<Call>(), words::<CallOutcome>());
        let events = words::<EventOutcome>();
        registry.register(
            "leader_transitions",
            format!(
                "Leases taken by this replica, by reason: {}",
                reasons.join(", ")
            ),
            metrics.transitions.clone(),
        );
        registry.register(
            "leader_terms_ended",
            format!(
                "Terms of this replica that came to their end, by cause: {}",
                causes.join(", ")
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
                events.join(", ")
            ),
            metrics.events.clone(),
        );
        registry.register(
            "lease_calls",
            format!("Calls about the Lease, by outcome: {}", outcomes.join(", ")),
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
            settings(timing),
        );
        let scraped = || Arc::clone(&metrics.scraped);
        registry.register_collector(Box::new(TermCollector(scraped(), clock)));
        registry.register_collector(Box::new(HintCollector(scraped())));
        registry.register_collector(Box::new(StatusCollector(scraped(), pod.to_owned())));
        // Every series of a counter is there from the start, so that the first event is an increase that a query can see.
        for reason in reasons {
            drop(metrics.transitions.get_or_create(&[("reason", reason)]));
        }
        for cause in causes {
            drop(metrics.terms_ended.get_or_create(&[("cause", cause)]));
        }
        for outcome in events {
            drop(metrics.events.get_or_create(&[("outcome", outcome)]));
        }
        for call in calls {
            for outcome in &outcomes {
                drop(
                    metrics
                        .calls
                        .get_or_create(&[("call", call), ("outcome", outcome)]),
                );
            }
            drop(metrics.call_seconds.get_or_create(&[("call", call)]));
        }
        metrics
    }

    fn scraped(&self, change: impl FnOnce(&mut Scraped)) {
        change(&mut self.scraped.write().unwrap_or_else(PoisonError::into_inner));
    }
}

impl Observer for PrometheusObserver {
    fn status(&self, status: &LeadershipStatus) {
        self.scraped(|scraped| scraped.status = status.clone());
    }

    fn took(&self, reason: Reason, failover: Duration, deadline: Moment) {
        let reason = [("reason", reason.into())];
        self.transitions.get_or_create(&reason).inc();
        // What the work needed last time says nothing about this time.
        self.last_takeover.remove(&WORK);
        let lease = self.last_takeover.get_or_create(&LEASE);
        lease.set(failover.as_secs_f64());
        self.scraped(|scraped| scraped.deadline = Some(deadline));
    }

    fn first_write(&self, failover: Duration) {
        let work = self.last_takeover.get_or_create(&WORK);
        work.set(failover.as_secs_f64());
    }

    fn renewed(&self, lasted: Duration, deadline: Moment) {
        self.renew_seconds.observe(lasted.as_secs_f64());
        self.scraped(|scraped| scraped.deadline = Some(deadline));
    }

    fn ended(&self, cause: Cause) {
        let cause = [("cause", cause.into())];
        self.terms_ended.get_or_create(&cause).inc();
        self.scraped(|scraped| scraped.deadline = None);
    }

    fn called(&self, call: Call, outcome: CallOutcome, lasted: Duration) {
        let call = ("call", call.into());
        let outcome = ("outcome", outcome.into());
        self.calls.get_or_create(&[call, outcome]).inc();
        let seconds = self.call_seconds.get_or_create(&[call]);
        seconds.observe(lasted.as_secs_f64());
    }

    fn event(&self, outcome: EventOutcome) {
        let outcome = [("outcome", outcome.into())];
        self.events.get_or_create(&outcome).inc();
    }

    fn hint_connected(&self, connected: bool) {
        self.scraped(|scraped| scraped.hint = Some(connected));
    }

    fn fence(&self, states: &PerPolicy<State>) {
        self.fence.show(states);
    }
}

/// What alerts and dashboards compare with, so that they hold for every setting.
fn settings(timing: &Timing) -> Seconds {
    let settings = Seconds::default();
    for (setting, value) in [
        ("duration", timing.duration()),
        ("renew_deadline", timing.renew_deadline()),
        ("retry_period", timing.retry_period()),
    ] {
        let setting = settings.get_or_create(&[("setting", setting)]);
        setting.set(value.as_secs_f64());
    }
    settings
}

/// The words of an enum, in its order.
fn words<T: VariantArray + Copy + Into<&'static str>>() -> Vec<&'static str> {
    T::VARIANTS.iter().map(|word| (*word).into()).collect()
}

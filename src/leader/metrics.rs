//! What the election tells Prometheus.

use std::{fmt, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric},
    metrics::{
        MetricType, counter::Counter, family::Family, gauge::ConstGauge, histogram::Histogram,
    },
    registry::Registry,
};
use tokio::sync::watch;

use super::{lock::LeaseError, record::Reason, standing::Standing};

/// Counters of the election, and the view of where this replica stands.
#[derive(Clone, Debug)]
pub struct LeaderMetrics {
    takeovers: Family<ReasonLabel, Counter>,
    calls: Family<CallLabels, Counter>,
    call_seconds: Family<CallLabel, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ReasonLabel {
    reason: &'static str,
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

/// What a call can be.
const CALLS: [&str; 3] = ["read", "create", "write"];

/// How a call can end.
const OUTCOMES: [&str; 4] = ["ok", "conflict", "timeout", "error"];

/// Encodes [`Standing`] when it is scraped, so that the series never say two things at once.
#[derive(Debug)]
struct StandingCollector {
    pod: String,
    standing: watch::Receiver<Standing>,
}

impl LeaderMetrics {
    /// Registers the election's metrics; `registry` gives them their prefix.
    pub fn register(
        registry: &mut Registry,
        pod: &str,
        standing: watch::Receiver<Standing>,
    ) -> Self {
        let metrics = Self::unregistered();
        registry.register(
            "leader_takeovers",
            "Leases taken by this replica, by reason",
            metrics.takeovers.clone(),
        );
        registry.register(
            "lease_calls",
            "Calls about the Lease, by outcome",
            metrics.calls.clone(),
        );
        registry.register(
            "lease_call_duration_seconds",
            "Time from sending a call about the Lease to its answer",
            metrics.call_seconds.clone(),
        );
        metrics.begin_at_zero();
        registry.register_collector(Box::new(StandingCollector {
            pod: pod.to_owned(),
            standing,
        }));
        metrics
    }

    pub(super) fn unregistered() -> Self {
        Self {
            takeovers: Family::default(),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(|| {
                Histogram::new([0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0])
            }),
        }
    }

    /// Creates every series, so that the first event is an increase that a query can see.
    fn begin_at_zero(&self) {
        for reason in Reason::ALL {
            let reason = reason.as_str();
            drop(self.takeovers.get_or_create(&ReasonLabel { reason }));
        }
        for call in CALLS {
            for outcome in OUTCOMES {
                drop(self.calls.get_or_create(&CallLabels { call, outcome }));
            }
            drop(self.call_seconds.get_or_create(&CallLabel { call }));
        }
    }

    pub(super) fn took(&self, reason: Reason) {
        self.takeovers
            .get_or_create(&ReasonLabel {
                reason: reason.as_str(),
            })
            .inc();
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
}

impl Collector for StandingCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let standing = self.standing.borrow().clone();
        // One series at a time: an alert on `{is_leader="true"} == 0` must not fire for a standby that has a leader.
        let (is_leader, value, since) = match standing {
            Standing::Leading { since } => ("true", 1_i64, Some(since)),
            Standing::StandingBy { since, .. } => ("false", 1, since),
            Standing::Leaderless => ("true", 0, None),
        };
        let mut status = encoder.encode_descriptor(
            "leader_status",
            "1 with is_leader=true on the leader and with is_leader=false on a standby; 0 with is_leader=true where no live leader is seen",
            None,
            MetricType::Gauge,
        )?;
        let labels = [("pod", self.pod.as_str()), ("is_leader", is_leader)];
        ConstGauge::new(value).encode(status.encode_family(&labels)?)?;
        if let Some(since) = since {
            let timestamp = encoder.encode_descriptor(
                "leader_election_timestamp_seconds",
                "When the present leader took the Lease, in seconds since 1970, by the leader's clock",
                None,
                MetricType::Gauge,
            )?;
            #[expect(
                clippy::cast_precision_loss,
                reason = "a float holds microseconds until the year 2255"
            )]
            let seconds = since.as_microsecond() as f64 / 1e6;
            ConstGauge::new(seconds).encode(timestamp)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use prometheus_client::encoding::text::encode;
    use rstest::rstest;

    use super::*;

    const SINCE: jiff::Timestamp = jiff::Timestamp::constant(1_705_312_800, 500_000_000);

    #[rstest]
    #[case::leading(
        Standing::Leading { since: SINCE },
        &["five_spot_leader_status{pod=\"a\",is_leader=\"true\"} 1", "five_spot_leader_election_timestamp_seconds 1705312800.5"],
        &["is_leader=\"false\""]
    )]
    #[case::standing_by(
        Standing::StandingBy { leader: "b".into(), since: Some(SINCE) },
        &["five_spot_leader_status{pod=\"a\",is_leader=\"false\"} 1", "five_spot_leader_election_timestamp_seconds 1705312800.5"],
        &["is_leader=\"true\""]
    )]
    #[case::leaderless(
        Standing::Leaderless,
        &["five_spot_leader_status{pod=\"a\",is_leader=\"true\"} 0"],
        &["is_leader=\"false\"", "timestamp_seconds 0"]
    )]
    fn the_series_say_one_thing_at_a_time(
        #[case] standing: Standing,
        #[case] expected: &[&str],
        #[case] absent: &[&str],
    ) {
        let (_sender, receiver) = watch::channel(standing);
        let mut registry = Registry::with_prefix("five_spot");
        LeaderMetrics::register(&mut registry, "a", receiver);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in expected {
            assert!(text.contains(line), "{line} is missing in\n{text}");
        }
        for line in absent {
            assert!(!text.contains(line), "{line} is too much in\n{text}");
        }
    }
}

//! What is computed when it is scraped: where this replica stands, how long its term still runs, and whether it is connected
//! to the leader.

use std::{
    fmt,
    sync::{PoisonError, atomic::Ordering},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};
use tokio::sync::watch;

use super::{Deadline, HintConnection, Standing};
use crate::clock::SharedClock;

/// Encodes a [`Standing`], so that the series never say two things at once.
#[derive(Debug)]
pub(super) struct StandingCollector {
    pod: String,
    standing: watch::Receiver<Standing>,
}

/// Encodes the time left of the term.
#[derive(Debug)]
pub(super) struct TermCollector {
    term: Deadline,
    clock: SharedClock,
}

/// Encodes whether a standby is connected to the leader's process. A leader is connected to nobody, and has no series.
#[derive(Debug)]
pub(super) struct HintCollector {
    connection: HintConnection,
    standing: watch::Receiver<Standing>,
}

impl StandingCollector {
    pub(super) fn new(pod: &str, standing: watch::Receiver<Standing>) -> Self {
        let pod = pod.to_owned();
        Self { pod, standing }
    }
}

impl TermCollector {
    pub(super) fn new(term: Deadline, clock: SharedClock) -> Self {
        Self { term, clock }
    }
}

impl HintCollector {
    pub(super) fn new(connection: HintConnection, standing: watch::Receiver<Standing>) -> Self {
        Self {
            connection,
            standing,
        }
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
            "1 with is_leader=true on the leader; 1 with is_leader=false on a standby; 0 with is_leader=true where no live leader is seen",
            None,
            MetricType::Gauge,
        )?;
        let labels = [("pod", self.pod.as_str()), ("is_leader", is_leader)];
        ConstGauge::new(value).encode(status.encode_family(&labels)?)?;
        if let Some(since) = since {
            let timestamp = encoder.encode_descriptor(
                "leader_election_timestamp_seconds",
                "When the present leader took the Lease, in seconds since 1970, by the leader's clock; no series where no live leader is seen",
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

impl Collector for TermCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let deadline = *self.term.read().unwrap_or_else(PoisonError::into_inner);
        let left = deadline.map_or(0.0, |deadline| {
            deadline.since(self.clock.now()).as_secs_f64()
        });
        let remaining = encoder.encode_descriptor(
            "leader_term_remaining_seconds",
            "For how long the leader may work on without another acknowledged renewal; 0 on a replica that does not lead",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(left).encode(remaining)
    }
}

impl Collector for HintCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let Some(connected) = self.connection.get() else {
            return Ok(());
        };
        if !matches!(*self.standing.borrow(), Standing::StandingBy { .. }) {
            return Ok(());
        }
        let gauge = encoder.encode_descriptor(
            "hint_connected",
            "1 while this standby holds a confirmed connection to the leader's process, whose end is a hint; no series on a leader, and where hints are off",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(i64::from(connected.load(Ordering::Relaxed))).encode(gauge)
    }
}

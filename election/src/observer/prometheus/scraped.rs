//! What is computed when it is scraped: whether this replica leads, how long its term still runs, and whether it is connected
//! to the leader.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeMetric},
    metrics::{MetricType, gauge::ConstGauge},
};

use crate::{
    clock::{Moment, SharedClock},
    status::LeadershipStatus,
};

/// What collectors encode.
#[derive(Debug, Default)]
pub(super) struct Scraped {
    pub(super) status: LeadershipStatus,
    /// Until when the present term runs; none where this replica does not lead.
    pub(super) deadline: Option<Moment>,
    /// Whether the hint connection stands; none where there is none to be held.
    pub(super) hint: Option<bool>,
}

type Shared = Arc<RwLock<Scraped>>;

/// Encodes the [`LeadershipStatus`] of a pod, so that the series never say two things at once.
#[derive(Debug)]
pub(super) struct StatusCollector(pub(super) Shared, pub(super) String);

/// Encodes the time left of the term.
#[derive(Debug)]
pub(super) struct TermCollector(pub(super) Shared, pub(super) SharedClock);

/// Encodes whether a standby is connected to the leader's process. A leader is connected to nobody, and has no series.
#[derive(Debug)]
pub(super) struct HintCollector(pub(super) Shared);

fn read(shared: &Shared) -> RwLockReadGuard<'_, Scraped> {
    shared.read().unwrap_or_else(PoisonError::into_inner)
}

impl Collector for StatusCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        let leadership = read(&self.0).status.clone();
        // One series at a time: an alert on `{is_leader="true"} == 0` must not fire for a standby that has a leader.
        let (is_leader, value, since) = match leadership {
            LeadershipStatus::Leading { since } => ("true", 1_i64, Some(since)),
            LeadershipStatus::StandingBy { since, .. } => ("false", 1, since),
            LeadershipStatus::Leaderless => ("true", 0, None),
        };
        let mut status = encoder.encode_descriptor(
            "leader_status",
            "1 with is_leader=true on the leader; 1 with is_leader=false on a standby; 0 with is_leader=true where no live leader is seen",
            None,
            MetricType::Gauge,
        )?;
        let labels = [("pod", self.1.as_str()), ("is_leader", is_leader)];
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
        let deadline = read(&self.0).deadline;
        let left = deadline.map_or(0.0, |deadline| deadline.since(self.1.now()).as_secs_f64());
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
        let (connected, is_standby) = {
            let scraped = read(&self.0);
            let is_standby = matches!(scraped.status, LeadershipStatus::StandingBy { .. });
            (scraped.hint, is_standby)
        };
        let Some(connected) = connected.filter(|_| is_standby) else {
            return Ok(());
        };
        let gauge = encoder.encode_descriptor(
            "hint_connected",
            "1 while this standby holds a confirmed connection to the leader's process, whose end is a hint; no series on a leader, and where hints are off",
            None,
            MetricType::Gauge,
        )?;
        ConstGauge::new(i64::from(connected)).encode(gauge)
    }
}

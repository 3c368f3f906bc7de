//! What the election tells whoever counts and measures it.

#[cfg(feature = "prometheus")]
mod prometheus;
#[cfg(test)]
pub(crate) mod recorder;

use std::time::Duration;

use strum::{IntoStaticStr, VariantArray};

use crate::{
    clock::Moment,
    fence::{PerPolicy, State},
    record::{Cause, Reason},
    status::LeadershipStatus,
};

#[cfg(feature = "prometheus")]
pub use prometheus::{FenceMetrics, PrometheusObserver};

/// Counts and measures the election, as it tells of it. Each call is made from the election's own task and must not block.
///
/// Moments are those of [`BootClock`](crate::clock::BootClock).
pub trait Observer: Send + Sync + 'static {
    /// Whether this replica leads, or who does, has changed.
    fn status(&self, _status: &LeadershipStatus) {}

    /// The Lease was taken; its term runs until `deadline`. `failover` is the time since the predecessor's last sign of life.
    fn took(&self, _reason: Reason, _failover: Duration, _deadline: Moment) {}

    /// The work of the term had its first write accepted, this long after the predecessor's last sign of life.
    fn first_write(&self, _failover: Duration) {}

    /// A renewal was acknowledged after `lasted`; the term now runs until `deadline`.
    fn renewed(&self, _lasted: Duration, _deadline: Moment) {}

    /// The term is over.
    fn ended(&self, _cause: Cause) {}

    /// A call about the Lease ended so after `lasted`.
    fn called(&self, _call: Call, _outcome: CallOutcome, _lasted: Duration) {}

    /// An Event was published, or was not.
    fn event(&self, _outcome: EventOutcome) {}

    /// Whether a confirmed connection to the leader's process stands. Never called where hints are off.
    fn hint_connected(&self, _connected: bool) {}

    /// A test of the fence has found something new.
    fn fence(&self, _states: &PerPolicy<State>) {}
}

/// A call about the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Call {
    /// A GET.
    Read,
    /// A POST.
    Create,
    /// A PUT.
    Write,
}

/// How a call can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum CallOutcome {
    /// It was carried out.
    Ok,
    /// Somebody else wrote in between.
    Conflict,
    /// There was no answer in time.
    Timeout,
    /// Anything else.
    Error,
}

/// What became of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum EventOutcome {
    /// The API server has it.
    Published,
    /// Too many were waiting.
    Dropped,
    /// The API server did not take it.
    Failed,
}

/// Nobody counts or measures.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoObserver;

impl Observer for NoObserver {}

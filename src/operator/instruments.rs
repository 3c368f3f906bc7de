//! All metrics of a replica, registered here and nowhere else: so what is scraped and what is documented can't differ.

use std::{sync::Arc, time::Duration};

use lease_election::{
    Observer, Timing,
    clock::{BootClock, SharedClock},
    observer::{FenceMetrics, PrometheusObserver},
    record::Reason,
    status::LeadershipStatus,
};
use prometheus_client::registry::Registry;

use crate::{controller::ControllerMetrics, leader, metrics};

/// The registry of every replica, and what its work and its tests of the fence measure.
pub(super) fn of_work() -> (Registry, ControllerMetrics, FenceMetrics) {
    let mut registry = metrics::registry();
    let work = ControllerMetrics::register(&mut registry);
    let fence = FenceMetrics::register(&mut registry, &leader::policies());
    (registry, work, fence)
}

/// The registry of a replica to which everything has happened that makes a series appear.
pub(super) fn of_everything() -> Registry {
    let (mut registry, _work, fence) = of_work();
    let clock: SharedClock = Arc::new(BootClock);
    let now = clock.now();
    let timing = Timing::default();
    let election = PrometheusObserver::register(&mut registry, "a", &timing, clock, fence);
    election.hint_connected(false);
    election.took(Reason::Released, Duration::ZERO, now);
    election.first_write(Duration::ZERO);
    election.status(&LeadershipStatus::StandingBy {
        leader: "b".to_owned(),
        since: Some(jiff::Timestamp::UNIX_EPOCH),
    });
    registry
}

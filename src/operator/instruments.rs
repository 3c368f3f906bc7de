//! All metrics of a replica, registered here and nowhere else: so what is scraped and what is documented can't differ.

use std::{sync::Arc, time::Duration};

use prometheus_client::registry::Registry;
use tokio::sync::watch;

use crate::{
    clock::{BootClock, SharedClock},
    controller::ControllerMetrics,
    fence::FenceMetrics,
    leader::{LeaderMetrics, LeaseConfig, Reason, Standing},
    metrics,
};

/// The registry of every replica, and what its work and its tests of the fence measure.
pub(super) fn of_work() -> (Registry, ControllerMetrics, FenceMetrics) {
    let mut registry = metrics::registry();
    let work = ControllerMetrics::register(&mut registry);
    let fence = FenceMetrics::register(&mut registry);
    (registry, work, fence)
}

/// What a replica measures that takes part in an election; the sender says where it stands.
pub(super) fn of_election(
    registry: &mut Registry,
    pod: &str,
    lease: &LeaseConfig,
    clock: SharedClock,
) -> (LeaderMetrics, watch::Sender<Standing>) {
    let (sender, standing) = watch::channel(Standing::default());
    let metrics = LeaderMetrics::register(registry, pod, lease, clock, standing);
    (metrics, sender)
}

/// The registry of a replica to which everything has happened that makes a series appear.
pub(super) fn of_everything() -> Registry {
    let (mut registry, _work, _fence) = of_work();
    let clock: SharedClock = Arc::new(BootClock);
    let now = clock.now();
    let lease = LeaseConfig::default();
    let (election, standing) = of_election(&mut registry, "a", &lease, clock);
    let _ = election.hint_connection();
    election.took(Reason::Released, Duration::ZERO, now);
    election.first_write(Duration::ZERO);
    // The sender may go: the collector keeps what was sent last.
    standing.send_replace(Standing::StandingBy {
        leader: "b".to_owned(),
        since: Some(jiff::Timestamp::UNIX_EPOCH),
    });
    registry
}

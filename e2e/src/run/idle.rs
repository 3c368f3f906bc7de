//! Counts what the replicas ask of the API server while nothing changes.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    context::Scene,
    observe::{canary::Pace, observers},
};
use failover_judging::{
    judge::idle::{Idle, count, judge},
    observed::{audit::ClockMap, trial::RigFault},
};

/// How long the replicas get to finish what the canary gave them to do.
const SETTLE: Duration = Duration::from_secs(3);

/// Counts for `window` while the canary is silent.
pub(super) async fn measure(
    scene: &Scene<'_>,
    leader: &str,
    replicas: u32,
    window: Duration,
) -> Result<Idle, RigFault> {
    scene.hush().await;
    sleep(SETTLE).await;
    let mark = scene.target.lease_path();
    observers::catch_up(&scene.requests, &scene.journal, &mark).await?;
    let begun = scene.journal.now();
    sleep(window).await;
    let ended = scene.journal.now();
    observers::catch_up(&scene.requests, &scene.journal, &mark).await?;
    let (map, calls) = scene.journal.read(|seen| {
        (
            ClockMap::measure(&seen.own, &seen.calls),
            seen.calls.clone(),
        )
    });
    scene.pace(Pace::Idle);
    let map = map.ok_or_else(|| RigFault::AuditLost {
        detail: "no own request in the audit log".to_owned(),
    })?;
    let (from, to) = (map.wall(begun), map.wall(ended));
    let mut counted = count(&calls, &scene.target.user, &scene.work, from, to);
    for name in scene.replicas().into_keys() {
        counted.entry(name).or_default();
    }
    let window_ms = to.since(from);
    let checks = judge(&counted, leader, replicas, window_ms, &scene.settings);
    Ok(Idle {
        window_ms,
        leader: leader.to_owned(),
        calls: counted,
        checks,
    })
}

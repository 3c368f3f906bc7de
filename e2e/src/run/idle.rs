//! Counts what the replicas ask of the API server while nothing changes.

use std::time::Duration;

use tokio::time::sleep;

use crate::{
    context::RunContext,
    observe::{Pace, observers},
};
use failover_judging::{
    judge::idle::{Idle, count, judge},
    observed::{ClockMap, RigFault},
};

/// How long the replicas get to finish what the canary gave them to do.
const SETTLE: Duration = Duration::from_secs(3);

/// Counts for `window` while the canary is silent.
pub(super) async fn measure(
    context: &RunContext<'_>,
    leader: &str,
    replicas: u32,
    window: Duration,
) -> Result<Idle, RigFault> {
    context.pause().await;
    sleep(SETTLE).await;
    let mark = context.target.lease_path();
    observers::catch_up(&context.requests, &context.observations, &mark).await?;
    let begun = context.observations.now();
    sleep(window).await;
    let ended = context.observations.now();
    observers::catch_up(&context.requests, &context.observations, &mark).await?;
    let (map, calls) = context.observations.read(|seen| {
        (
            ClockMap::measure(&seen.own, &seen.calls),
            seen.calls.clone(),
        )
    });
    context.pace(Pace::Idle);
    let map = map.ok_or_else(|| RigFault::AuditLost {
        detail: "no own request in the audit log".to_owned(),
    })?;
    let (from, to) = (map.wall(begun), map.wall(ended));
    let mut counted = count(&calls, &context.target.user, &context.work, from, to);
    for name in context.replicas().into_keys() {
        counted.entry(name).or_default();
    }
    let window_ms = to.since(from);
    let checks = judge(&counted, leader, replicas, window_ms, &context.settings);
    Ok(Idle {
        window_ms,
        leader: leader.to_owned(),
        calls: counted,
        checks,
    })
}

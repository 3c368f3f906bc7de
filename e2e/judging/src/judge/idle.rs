//! What the replicas ask of the API server while nothing changes: counted from the audit log, over a window on the API
//! server's own clock.
//!
//! The leader renews once per retry period and nobody else writes. A standby may look at the Lease once per retry
//! period, beside its watch.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clock::{Millis, duration_millis},
    observed::{ApiCall, Wall, WorkRule},
    settings::LeaseSettings,
    verdict::{Check, CheckId, Verdict},
};

/// Calls of one replica within the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CallCount {
    /// Writes to Leases, accepted or not.
    pub lease_writes: usize,
    /// Reads of Leases.
    pub lease_reads: usize,
    /// Watches on Leases begun.
    pub lease_watches: usize,
    /// Work writes, accepted or not.
    pub work_writes: usize,
    /// Other requests: reads, and writes that are no work.
    pub other_reads: usize,
    /// Other watches begun.
    pub other_watches: usize,
}

/// The measurement.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Idle {
    /// Length of the window in milliseconds.
    pub window_ms: Millis,
    /// The leader.
    pub leader: String,
    /// By replica.
    pub calls: BTreeMap<String, CallCount>,
    /// What was checked.
    pub checks: Vec<Check>,
}

impl Idle {
    /// Takes back what is held against the operator: the rig was in trouble meanwhile.
    pub fn excuse(&mut self, trouble: &str) {
        let broken = self.checks.iter_mut();
        for check in broken.filter(|check| check.verdict == Verdict::Fail) {
            check.verdict = Verdict::Inconclusive;
            check.detail = format!("{}; but {trouble}", check.detail);
        }
    }
}

/// The calls of the replicas, which have the user name `user`, between two moments.
pub fn count(
    calls: &[ApiCall],
    user: &str,
    work: &WorkRule,
    from: Wall,
    to: Wall,
) -> BTreeMap<String, CallCount> {
    let mut counted: BTreeMap<String, CallCount> = BTreeMap::new();
    for call in calls
        .iter()
        .filter(|call| call.user == user && call.received >= from && call.received < to)
    {
        let pod = call
            .pod
            .clone()
            .unwrap_or_else(|| "(no pod named)".to_owned());
        let count = counted.entry(pod).or_default();
        let field = match (call.is_lease(), call.verb.as_str()) {
            (true, "watch") => &mut count.lease_watches,
            (true, _) if call.is_write() => &mut count.lease_writes,
            (true, _) => &mut count.lease_reads,
            (false, "watch") => &mut count.other_watches,
            (false, _) if work.is_work(call) => &mut count.work_writes,
            (false, _) => &mut count.other_reads,
        };
        *field += 1;
    }
    counted
}

/// Whether the calls within a window of `window_ms` are those that the settings ask for.
pub fn judge(
    counted: &BTreeMap<String, CallCount>,
    leader: &str,
    replicas: u32,
    window_ms: Millis,
    settings: &LeaseSettings,
) -> Vec<Check> {
    let scope = format!("{replicas} replicas, idle for {:.0} s", window_ms / 1000.0);
    let periods = window_ms / duration_millis(settings.retry_period());
    let per_minute = |count: usize| per_minute(count, window_ms);
    let mut checks = Vec::new();
    let mut check = |kept, detail: String| {
        checks.push(Check::of(CheckId::Idle, &scope, kept, detail));
    };
    for (pod, count) in counted {
        let is_leader = pod == leader;
        let role = if is_leader { "leader" } else { "standby" };
        if is_leader {
            // One renewal may fall on either side of each edge of the window.
            let kept = (as_float(count.lease_writes) - periods).abs() <= 2.0;
            let detail = format!(
                "leader {pod} wrote the Lease {} times ({:.1}/min), expected {periods:.1} ±2 at one per \
                 LEASE_RETRY_PERIOD_SECONDS={}",
                count.lease_writes,
                per_minute(count.lease_writes),
                settings.retry_period_seconds
            );
            check(kept, detail);
        } else {
            let detail = format!(
                "standby {pod} wrote the Lease {} times, expected 0",
                count.lease_writes
            );
            check(count.lease_writes == 0, detail);
            let kept = as_float(count.lease_reads) <= periods + 2.0;
            let detail = format!(
                "standby {pod} read the Lease {} times ({:.1}/min) and began {} watches, allowed {periods:.1} +2 reads",
                count.lease_reads,
                per_minute(count.lease_reads),
                count.lease_watches
            );
            check(kept, detail);
        }
        let detail = format!(
            "{role} {pod} wrote {} times while nothing changed, expected 0",
            count.work_writes
        );
        check(count.work_writes == 0, detail);
    }
    if !counted.contains_key(leader) {
        checks.push(Check::inconclusive(
            CheckId::Idle,
            &scope,
            format!("no call of the leader {leader} in the audit log"),
        ));
    }
    checks
}

/// Calls per minute.
pub fn per_minute(count: usize, window_ms: Millis) -> f64 {
    as_float(count) * 60_000.0 / window_ms
}

#[expect(clippy::cast_precision_loss, reason = "counts of calls within minutes")]
fn as_float(count: usize) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::{SETTINGS, call};

    fn renewals(count: usize) -> CallCount {
        CallCount {
            lease_writes: count,
            ..CallCount::default()
        }
    }

    fn verdicts(leader: CallCount, standby: CallCount) -> Vec<Verdict> {
        let counted = BTreeMap::from([("a".to_owned(), leader), ("b".to_owned(), standby)]);
        judge(&counted, "a", 2, 30_000.0, &SETTINGS)
            .into_iter()
            .map(|check| check.verdict)
            .collect()
    }

    #[rstest::rstest]
    #[case::a_renewing_leader_and_a_silent_standby(
        renewals(15),
        CallCount::default(),
        Verdict::Pass
    )]
    #[case(renewals(30), CallCount::default(), Verdict::Fail)]
    #[case(renewals(7), CallCount::default(), Verdict::Fail)]
    #[case(CallCount { work_writes: 1, ..renewals(15) }, CallCount::default(), Verdict::Fail)]
    #[case(renewals(15), CallCount { lease_writes: 1, ..CallCount::default() }, Verdict::Fail)]
    #[case(renewals(15), CallCount { lease_reads: 40, ..CallCount::default() }, Verdict::Fail)]
    fn too_many_or_too_few_calls_fail(
        #[case] leader: CallCount,
        #[case] standby: CallCount,
        #[case] worst: Verdict,
    ) {
        assert_eq!(verdicts(leader, standby).into_iter().max(), Some(worst));
    }

    #[test]
    fn what_is_counted_on_a_troubled_rig_is_not_held_against_the_operator() {
        let counted = BTreeMap::from([("a".to_owned(), renewals(7))]);
        let mut idle = Idle {
            window_ms: 30_000.0,
            leader: "a".to_owned(),
            checks: judge(&counted, "a", 2, 30_000.0, &SETTINGS),
            calls: counted,
        };
        let verdicts = |idle: &Idle| -> Vec<Verdict> {
            idle.checks.iter().map(|check| check.verdict).collect()
        };
        assert_eq!(verdicts(&idle), [Verdict::Fail, Verdict::Pass]);
        idle.excuse("a request took 4000 ms");
        assert_eq!(verdicts(&idle), [Verdict::Inconclusive, Verdict::Pass]);
        assert!(
            idle.checks[0]
                .detail
                .ends_with("; but a request took 4000 ms")
        );
    }

    #[test]
    fn calls_are_counted_by_pod_and_kind_within_the_window() {
        let mut renewal = call("a", "update", "leases");
        renewal.received = Wall(10);
        let mut early = renewal.clone();
        early.received = Wall(9);
        let mut watch = call("b", "watch", "leases");
        watch.received = Wall(12);
        let mut work = call("a", "patch", "scheduledmachines");
        work.received = Wall(19);
        let mut foreign = work.clone();
        foreign.user = "somebody".to_owned();
        let user = renewal.user.clone();
        let counted = count(
            &[renewal, early, watch, work, foreign],
            &user,
            &WorkRule::default(),
            Wall(10),
            Wall(20),
        );
        assert_eq!(
            counted["a"],
            CallCount {
                lease_writes: 1,
                work_writes: 1,
                ..CallCount::default()
            }
        );
        assert_eq!(
            counted["b"],
            CallCount {
                lease_watches: 1,
                ..CallCount::default()
            }
        );
    }
}

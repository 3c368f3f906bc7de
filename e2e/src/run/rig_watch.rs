//! Whether the rig was in trouble while the run waited for something that did not come: then the operator can't be blamed.

use crate::{
    context::RunContext,
    observe::{Observers, Seen},
};
use failover_judging::{
    clock::Stamp,
    judge::{LATENCY_LIMIT_MS, STALL_LIMIT_MS},
    observed::OwnCall,
};
use failover_rig::progress::chain;

/// Looks at the rig from a moment on.
#[derive(Clone, Copy, Debug)]
pub(super) struct RigWatch {
    since: Stamp,
    /// How many faults of the rig belong to what was before.
    known: usize,
}

impl RigWatch {
    pub(super) fn begin(context: &RunContext<'_>) -> Self {
        Self {
            since: context.observations.now(),
            known: context.observations.read(|seen| seen.rig.len()),
        }
    }

    /// What was wrong since, if anything; asks the API server once more to find out.
    pub(super) async fn trouble(
        &self,
        context: &RunContext<'_>,
        observers: &mut Observers,
    ) -> Option<String> {
        if let Some(error) = observers.ended() {
            return Some(chain(error));
        }
        if !context.undo_log.is_clear() {
            return Some("what an earlier fault did is not undone".to_owned());
        }
        let path = context.target.lease_path();
        if let Err(error) = context.requests.get("rig_watch", &path).await {
            return Some(chain(&error));
        }
        context
            .observations
            .read(|seen| trouble_in(seen, self.since, self.known))
    }
}

fn trouble_in(seen: &Seen, since: Stamp, known: usize) -> Option<String> {
    if let Some(fault) = seen.rig.get(known..).and_then(<[_]>::first) {
        return Some(fault.to_string());
    }
    let own = seen.own.iter().filter(|own| own.sent >= since);
    let slowest = own.map(OwnCall::latency_ms).fold(0.0, f64::max);
    if slowest > LATENCY_LIMIT_MS {
        return Some(format!(
            "a request of the harness itself took {slowest:.0} ms (limit {LATENCY_LIMIT_MS:.0} ms)"
        ));
    }
    let stalls = seen.stalls.iter().filter(|stall| stall.at >= since);
    let longest = stalls.map(|stall| stall.lasted_ms).fold(0.0, f64::max);
    (longest > STALL_LIMIT_MS).then(|| {
        format!(
            "the harness itself waited {longest:.0} ms for a processor (limit {STALL_LIMIT_MS:.0} ms)"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use failover_judging::{
        observed::{OwnCall, RigFault, Stall},
        samples::{own, says, stamp},
    };

    fn request(sent: i64, answered: i64) -> OwnCall {
        own("canary", sent, answered - sent)
    }

    fn stall(at: i64, lasted_ms: f64) -> Stall {
        Stall {
            at: stamp(at),
            lasted_ms,
        }
    }

    fn trouble(seen: &Seen) -> Option<String> {
        trouble_in(seen, stamp(1000), 1)
    }

    /// What had gone wrong before, and what is harmless.
    fn quiet() -> Seen {
        Seen {
            rig: vec![RigFault::AuditLost {
                detail: "before".to_owned(),
            }],
            own: vec![request(0, 5000), request(2000, 2900)],
            stalls: vec![stall(900, 800.0), stall(2000, 200.0)],
            ..Seen::default()
        }
    }

    #[test]
    fn what_went_wrong_before_explains_nothing_now() {
        assert_eq!(trouble(&quiet()), None);
    }

    #[test]
    fn what_goes_wrong_while_it_waits_is_told_with_its_measurement() {
        let mut seen = quiet();
        seen.stalls.push(stall(3000, 300.0));
        says(
            &trouble(&seen).unwrap(),
            &["waited 300 ms for a processor (limit 250 ms)"],
        );
        seen.own.push(request(3000, 4200));
        says(&trouble(&seen).unwrap(), &["took 1200 ms (limit 1000 ms)"]);
        seen.rig.push(RigFault::WatchGap {
            resource: "pods".to_owned(),
            lasted_ms: 400.0,
        });
        says(
            &trouble(&seen).unwrap(),
            &["the watch on pods was broken for 400 ms"],
        );
    }
}

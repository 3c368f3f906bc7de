//! The checks of a trial: each names what was seen, against which limit, and why that is the limit.

mod afterwards;
mod finding;
mod led;
mod reason;
mod rollout;
mod timing;
mod writes;

use super::{
    reading::Reading,
    result::{LATENCY_LIMIT_MS, Promise},
};
use crate::{
    clock::duration_millis,
    observed::{RigFault, Unobserved, audit::purpose::LOOK_PERIOD},
    verdict::{Check, CheckId},
};

pub(super) fn all(reading: &Reading<'_>, promise: Promise) -> Vec<Check> {
    let mut checks = vec![evidence(reading)];
    if reading
        .data
        .rig
        .iter()
        .any(|fault| matches!(fault, RigFault::FaultFailed { .. }))
    {
        // Without a fault there is nothing to judge the operator by; the evidence check says so.
        return checks;
    }
    checks.extend(takeover(reading));
    checks.extend(reason::reasons(reading));
    let works = reading.data.observes(Unobserved::Work);
    // A cluster that warms up is no measure for the operator.
    if reading.takeover.is_some() && !reading.data.warm_up {
        checks.push(timing::lease_failover(reading));
        // What a gray failure may take is a promise of its own.
        if !reading.data.id.fault.entry().is_gray {
            checks.push(timing::within(reading, promise));
        }
        if works {
            checks.push(timing::work_failover(reading));
        }
    }
    checks.extend(led::led(reading));
    // Work without a canary is judged as well, where there is any.
    if works || reading.exclusion.writes > 0 {
        checks.push(writes::overlap(reading));
        checks.push(writes::only_holder_writes(reading));
        checks.extend(writes::stepped_down(reading));
    }
    if works {
        checks.push(afterwards::canary(reading));
    }
    if reading.data.observes(Unobserved::Roles) {
        checks.push(afterwards::one_leader(reading));
    }
    checks.extend(afterwards::survived(reading));
    checks.extend(afterwards::drained(reading));
    checks.push(afterwards::restored(reading));
    checks
}

fn evidence(reading: &Reading<'_>) -> Check {
    let missing = reading
        .rig_faults()
        .filter(|fault| !fault.only_slows())
        .map(ToString::to_string)
        .chain(
            (reading.is_audited() && reading.map.is_none())
                .then(|| "none of the harness's own requests is in the audit log".to_owned()),
        )
        .chain(
            (reading.exclusion.writes == 0 && reading.data.observes(Unobserved::Work))
                .then(|| "no work write is in the audit log".to_owned()),
        )
        .chain((reading.exclusion.unnamed > 0).then(|| {
            format!(
                "{} work writes in the audit log do not name a pod",
                reading.exclusion.unnamed
            )
        }))
        .chain(
            (!reading.is_audited() && reading.error.total_ms > LATENCY_LIMIT_MS).then(|| {
                format!(
                    "the Lease was not looked at for up to {:.0} ms (limit {LATENCY_LIMIT_MS:.0} ms)",
                    reading.error.total_ms
                )
            }),
        )
        .collect::<Vec<_>>();
    if missing.is_empty() && !reading.is_audited() {
        let detail = format!(
            "no audit log: {} states of the Lease by a watch with a read every {:.0} ms beside it, up to {:.1} ms late, \
             slowest own request {:.0} ms",
            reading.data.leases.len(),
            duration_millis(LOOK_PERIOD),
            reading.error.watch_lag_ms,
            reading.slowest_own_call_ms()
        );
        reading.pass(CheckId::Evidence, detail)
    } else if missing.is_empty() {
        let samples = reading.map.map_or(0, |map| map.samples);
        let detail = format!(
            "{} work writes and {samples} own requests in the audit log, clocks to ±{:.1} ms, Lease watch up to {:.1} ms late, \
             slowest own request {:.0} ms, longest wait for a processor {:.0} ms",
            reading.exclusion.writes,
            reading.error.clock_ms.unwrap_or_default(),
            reading.error.watch_lag_ms,
            reading.slowest_own_call_ms(),
            reading.longest_stall_ms()
        );
        reading.pass(CheckId::Evidence, detail)
    } else {
        reading.inconclusive(CheckId::Evidence, missing.join("; "))
    }
}

fn takeover(reading: &Reading<'_>) -> Vec<Check> {
    let data = reading.data;
    let waited = data.ended.since(data.strike.issued);
    let hops: Vec<String> = reading
        .takeovers
        .iter()
        .map(|takeover| format!("{} by {}", takeover.reason, takeover.to.holder))
        .collect();
    let allowed = 1 + data.strike.repeated.len() + rollout::forced_handovers(reading);
    match hops.len() {
        0 if reading.takeover.is_some() => {
            let leader = &data.before.holder;
            let detail = format!("{leader} went on");
            vec![reading.pass(CheckId::Takeover, detail)]
        }
        0 => vec![reading.timing(
            CheckId::Takeover,
            false,
            format!(
                "no other term began within {waited:.0} ms of the fault: the Lease still names {}",
                data.before.holder
            ),
        )],
        _ if reading.takeover.is_none() => vec![reading.timing(
            CheckId::Takeover,
            false,
            format!(
                "no other replica took over within {waited:.0} ms of the fault: {}",
                hops.join(", then ")
            ),
        )],
        hops_made if hops_made > allowed => vec![reading.fail(
            CheckId::Takeover,
            format!(
                "{hops_made} takeovers after one fault: {}",
                hops.join(", then ")
            ),
        )],
        _ => vec![reading.pass(CheckId::Takeover, hops.join(", then "))],
    }
}

//! Whether the takeover and the work after it came in time.

use crate::{
    judge::{reading::Reading, result::Promise},
    verdict::{Check, CheckId},
};

pub(super) fn lease_failover(reading: &Reading<'_>) -> Check {
    let limit = &reading.limits.lease;
    let took = reading.lease_failover_ms();
    let kept = took <= limit.limit_ms + reading.error.since_fault_ms();
    let relation = if kept { "within" } else { "over" };
    let detail = format!(
        "lease failover took {took:.0} ms, {relation} the {} bound of {:.0} ms (+{}): {}",
        reading.data.id.fault, limit.limit_ms, reading.error, limit.reason
    );
    reading.timing(CheckId::LeaseFailover, kept, detail)
}

pub(super) fn within(reading: &Reading<'_>, promise: Promise) -> Check {
    let took = reading.lease_failover_ms();
    let kept = took <= promise.within_ms + reading.error.since_fault_ms();
    let relation = if kept { "within" } else { "over" };
    let detail = format!(
        "the takeover took {took:.0} ms, {relation} the promised {:.0} ms (--within) (+{})",
        promise.within_ms, reading.error
    );
    reading.timing(CheckId::Within, kept, detail)
}

pub(super) fn work_failover(reading: &Reading<'_>) -> Check {
    let limit = &reading.limits.work;
    let lease_ms = reading.phases.lease_ms.unwrap_or_default();
    match (reading.first_write, reading.phases.work_ms) {
        (Some(_), Some(work_ms)) => {
            let after = work_ms - lease_ms;
            if let Some(total) = &reading.limits.total {
                let kept = work_ms <= total.limit_ms + reading.error.since_fault_ms();
                let relation = if kept { "within" } else { "over" };
                let detail = format!(
                    "the new leader's first write came {work_ms:.0} ms after the fault and {after:.0} ms after it took \
                     the Lease, {relation} {:.0} ms (+{}): {}",
                    total.limit_ms, reading.error, total.reason
                );
                // A fault that hit more than once has its limit for the Lease alone.
                if reading.data.strike.repeated.is_empty() {
                    return reading.timing(CheckId::WorkFailover, kept, detail);
                }
            }
            let kept = after <= limit.limit_ms + reading.error.total_ms;
            let relation = if kept { "within" } else { "over" };
            let detail = format!(
                "the new leader's first write came {after:.0} ms after it took the Lease, {relation} {:.0} ms: {}",
                limit.limit_ms, limit.reason
            );
            reading.timing(CheckId::WorkFailover, kept, detail)
        }
        // An audit log that shows nobody's writes says nothing about this leader's.
        _ if reading.exclusion.writes == 0 => reading.inconclusive(
            CheckId::WorkFailover,
            "the audit log shows no work write of any replica",
        ),
        _ => reading.timing(
            CheckId::WorkFailover,
            false,
            "the new leader holds the Lease but no work write of it was accepted",
        ),
    }
}

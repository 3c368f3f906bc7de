//! Whether anybody wrote without a right to.

use crate::{
    clock::duration_millis,
    fault::Renewals,
    judge::reading::{Reading, by_operator},
    observed::Wall,
    verdict::{Check, CheckId},
};

pub(super) fn overlap(reading: &Reading<'_>) -> Check {
    let found = &reading.exclusion.overlap;
    match found.first() {
        Some(first) => reading.fail(CheckId::Overlap, format!(
                "{} accepted work writes by the old leader {} after the first one of the new leader, such as {} \
                 {:.0} ms after it (audit event {})",
                found.len(),
                first.pod,
                first.what,
                first.late_ms,
                first.audit_id
            ),
        ),
        None if reading.exclusion.writes == 0 => {
            reading.inconclusive(CheckId::Overlap, "no work write to look at")
        }
        None => reading.pass(CheckId::Overlap, "0 work writes of the old leader after the first one of the new leader",
        ),
    }
}

pub(super) fn only_holder_writes(reading: &Reading<'_>) -> Check {
    let found = &reading.exclusion.by_non_holder;
    match found.first() {
        Some(first) => reading.fail(CheckId::OnlyHolderWrites, format!(
                "{} accepted work writes by a replica that did not hold the Lease, such as {} by {} (audit event {})",
                found.len(),
                first.what,
                first.pod,
                first.audit_id
            ),
        ),
        None if reading.exclusion.writes == 0 => {
            reading.inconclusive(CheckId::OnlyHolderWrites, "no work write to look at")
        }
        None => reading.pass(CheckId::OnlyHolderWrites, format!(
                "all {} accepted work writes by the holder of the Lease; {} were refused to their writer, {} ended \
                 with an error of the API server",
                reading.exclusion.writes, reading.exclusion.refused, reading.exclusion.unanswered
            ),
        ),
    }
}

/// Whether a leader that could not renew, and whose Lease nobody could take, stopped working by its renew deadline.
///
/// Only of faults that let requests arrive at once: where packets were held up, a write may be sent in time and arrive
/// late. Where answers are lost, a renewal that takes place is none that the leader may count on.
pub(super) fn stepped_down(reading: &Reading<'_>) -> Option<Check> {
    let data = reading.data;
    let renewals = data.id.fault.entry().renewals?;
    let leader = data.before.pod();
    let own = |call: &&crate::observed::ApiCall| call.pod.as_deref() == Some(leader);
    let accepted: Vec<_> = by_operator(data)
        .filter(own)
        .filter(|call| call.is_lease() && call.is_write() && call.accepted())
        .collect();
    let map = reading.map.as_ref()?;
    let strike = map.wall(data.strike.returned);
    let last = accepted
        .iter()
        .map(|call| call.received)
        .filter(|received| *received <= strike)
        .max()?;
    let answered_from = match (renewals, data.strike.undone) {
        (Renewals::Refused, _) => strike,
        (Renewals::Unanswered, Some(undone)) => map.wall(undone),
        (Renewals::Unanswered, None) => Wall(i64::MAX),
    };
    let again = accepted
        .iter()
        .map(|call| call.received)
        .filter(|received| *received > answered_from)
        .min()
        .unwrap_or(Wall(i64::MAX));
    let deadline_ms = duration_millis(data.settings.renew_deadline());
    let late: Vec<f64> = by_operator(data)
        .filter(own)
        .filter(|call| call.accepted() && data.is_work(call) && call.received < again)
        .map(|call| call.received.since(last) - deadline_ms)
        .filter(|late| *late > reading.error.total_ms)
        .collect();
    let seconds = data.settings.renew_deadline_seconds;
    Some(match late.iter().copied().reduce(f64::max) {
        Some(latest) => reading.fail(CheckId::SteppedDown, format!(
                "{leader} could not renew and went on: {} accepted work writes after \
                 LEASE_RENEW_DEADLINE_SECONDS={seconds} since its last renewal, the last one {latest:.0} ms late",
                late.len()
            ),
        ),
        None => reading.pass(CheckId::SteppedDown, format!("{leader} wrote nothing after LEASE_RENEW_DEADLINE_SECONDS={seconds} since its last renewal"),
        ),
    })
}

//! Whether somebody led through a gray failure.
//!
//! A Lease that is renewed shows no leader: a holder whose renewals take place without an answer does not know that it
//! leads. Its work does, which has something to follow all the time: the canary.

use crate::{
    clock::{Millis, Stamp},
    judge::reading::{Reading, by_operator},
    observed::{Unobserved, audit::purpose::CANARY},
    verdict::{Check, CheckId},
};

/// Whether the time without a leader was never longer than one takeover may take, up to its first write.
pub(super) fn led(reading: &Reading<'_>) -> Option<Check> {
    let data = reading.data;
    if !data.id.fault.entry().is_gray || data.warm_up {
        return None;
    }
    let works = data.observes(Unobserved::Work);
    let (signs, until, what) = if works {
        (
            work_writes(reading),
            last_change(reading),
            "an accepted work write",
        )
    } else {
        (
            renewals(reading),
            Some(data.ended),
            "a renewal of the Lease",
        )
    };
    let Some(until) = until.filter(|_| !works || reading.map.is_some()) else {
        let detail = "nothing shows for how long the canary was followed".to_owned();
        return Some(reading.inconclusive(CheckId::Led, detail));
    };
    let longest = longest_gap_ms(signs, data.strike.issued, until);
    let limit = if works {
        reading.limits.work_limit_ms()
    } else {
        reading.limits.lease.limit_ms
    };
    let kept = longest <= limit + reading.error.since_fault_ms();
    let relation = if kept { "within" } else { "over" };
    let detail = format!(
        "from the fault on there was no more than {longest:.0} ms without {what}, {relation} {limit:.0} ms (+{}): {}",
        reading.error, reading.limits.lease.reason
    );
    Some(reading.timing(CheckId::Led, kept, detail))
}

/// When work writes were accepted; that they are the leader's is another check's to say.
fn work_writes(reading: &Reading<'_>) -> Vec<Stamp> {
    let Some(map) = &reading.map else {
        return Vec::new();
    };
    by_operator(reading.data)
        .filter(|call| call.accepted() && reading.data.is_work(call))
        .map(|call| map.stamp(call.completed))
        .collect()
}

/// The last moment at which there was something to follow.
fn last_change(reading: &Reading<'_>) -> Option<Stamp> {
    let changes = reading.data.own.iter();
    let changes = changes.filter(|own| own.purpose == CANARY && own.is_accepted());
    changes.map(|own| own.sent).max()
}

/// When the Lease was written with a holder in it.
fn renewals(reading: &Reading<'_>) -> Vec<Stamp> {
    let leases = reading.data.leases.iter();
    let held = leases.filter(|seen| !seen.deleted && !seen.record.is_free());
    held.map(|seen| seen.at).collect()
}

/// The longest time between `from` and `until` without a sign.
fn longest_gap_ms(mut signs: Vec<Stamp>, from: Stamp, until: Stamp) -> Millis {
    signs.retain(|at| (from..=until).contains(at));
    signs.extend([from, until]);
    signs.sort();
    let pairs = signs.windows(2);
    pairs
        .map(|pair| match pair {
            [before, after] => after.since(*before),
            _ => 0.0,
        })
        .fold(0.0, f64::max)
}

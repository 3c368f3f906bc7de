//! The exact instant at which a window opens or shuts next.
//!
//! Between two transitions of a zone local time runs evenly, so the next change is found by counting hours in the
//! week; at a transition local time jumps, so the window is looked at again there. Walking from one to the other is
//! exact for every zone, whatever its offset, and takes a few steps where a walk over hours would take hundreds.

use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use super::week::{HOURS_PER_DAY, Week};

/// How far ahead a change is looked for.
///
/// A window that opens or shuts at all does so every week, unless a zone's transition swallows the hour or day; no
/// zone does that to the same hour for weeks on end, so five weeks are ample.
const HORIZON: SignedDuration = SignedDuration::from_hours(5 * 7 * 24);

const SECONDS_PER_HOUR: i64 = 3600;

/// The hour of the week in local time, counted from Monday 00:00.
pub(super) fn hour_of_week(zone: &TimeZone, at: Timestamp) -> u32 {
    let local = zone.to_datetime(at);
    let day = local.weekday().to_monday_zero_offset().unsigned_abs();
    u32::from(day) * HOURS_PER_DAY + u32::from(local.hour().unsigned_abs())
}

/// The first instant after `after` at which `week`, seen in `zone`, changes.
pub(super) fn next(week: Week, zone: &TimeZone, after: Timestamp) -> Option<Timestamp> {
    let active = week.contains(hour_of_week(zone, after));
    // A week without any change can't be told apart by any jump of local time either.
    week.hours_to_change(0)?;
    let horizon = after.checked_add(HORIZON).ok()?;
    let mut at = after;
    while at <= horizon {
        let hour = hour_of_week(zone, at);
        let even = week
            .hours_to_change(hour)
            .and_then(|hours| hour_start(zone, at, hours));
        let jump = zone
            .following(at)
            .next()
            .map(|transition| transition.timestamp());
        at = match (even, jump) {
            (Some(even), None) => even,
            (Some(even), Some(jump)) => even.min(jump),
            (None, jump) => jump?,
        };
        if week.contains(hour_of_week(zone, at)) != active {
            return Some(at);
        }
    }
    None
}

/// The instant at which, local time running evenly, the `ahead`th hour after the one of `at` starts.
fn hour_start(zone: &TimeZone, at: Timestamp, ahead: u32) -> Option<Timestamp> {
    let local = at
        .as_second()
        .checked_add(i64::from(zone.to_offset(at).seconds()))?;
    let into_hour = local.rem_euclid(SECONDS_PER_HOUR);
    let start = at.as_second() - into_hour + i64::from(ahead) * SECONDS_PER_HOUR;
    Timestamp::from_second(start).ok()
}

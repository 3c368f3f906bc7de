//! How days, hours and zones are written.

use std::sync::LazyLock;

use jiff::tz::{TimeZone, TimeZoneDatabase};

use super::week::HOURS_PER_DAY;

/// A part of a schedule that can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScheduleError {
    /// An item of `daysOfWeek` is neither a day nor a range of days.
    #[error(
        "schedule.daysOfWeek: {item:?} must be days (mon, tue, wed, thu, fri, sat, sun) or ranges of them \
         (mon-fri), joined by commas"
    )]
    Days {
        /// The item as it was written.
        item: String,
    },
    /// An item of `hoursOfDay` is neither an hour nor a range of hours.
    #[error(
        "schedule.hoursOfDay: {item:?} must be hours from 0 to 23 or ranges of them (9-17), joined by commas"
    )]
    Hours {
        /// The item as it was written.
        item: String,
    },
    /// `timezone` is not in the time zone database.
    #[error(
        "schedule.timezone: {zone:?} must be a name of the IANA time zone database, such as Europe/Berlin"
    )]
    Zone {
        /// The zone as it was written.
        zone: String,
    },
}

pub(super) const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// The database that is compiled in: every replica decides by the same one, whatever its file system holds.
static ZONES: LazyLock<TimeZoneDatabase> = LazyLock::new(TimeZoneDatabase::bundled);

/// The days as bits, Monday first.
pub(super) fn days<T: AsRef<str>>(items: &[T]) -> Result<u8, ScheduleError> {
    let day = |text: &str| DAYS.iter().position(|day| *day == text);
    let mut set = 0;
    for item in items.iter().map(AsRef::as_ref) {
        let hit = union(item, DAYS.len(), day, |index| set |= 1 << index);
        hit.ok_or_else(|| ScheduleError::Days {
            item: item.to_owned(),
        })?;
    }
    Ok(set)
}

/// The hours as bits, midnight first.
pub(super) fn hours<T: AsRef<str>>(items: &[T]) -> Result<u32, ScheduleError> {
    let size = HOURS_PER_DAY as usize;
    let hour = |text: &str| {
        // `usize::from_str` would take a sign and any number of zeros, which the schema refuses.
        let digits = matches!(text.len(), 1 | 2) && text.bytes().all(|byte| byte.is_ascii_digit());
        digits
            .then(|| text.parse().ok())
            .flatten()
            .filter(|hour| *hour < size)
    };
    let mut set = 0;
    for item in items.iter().map(AsRef::as_ref) {
        let hit = union(item, size, hour, |index| set |= 1 << index);
        hit.ok_or_else(|| ScheduleError::Hours {
            item: item.to_owned(),
        })?;
    }
    Ok(set)
}

/// The zone by its name.
pub(super) fn zone(name: &str) -> Result<TimeZone, ScheduleError> {
    ZONES
        .get(name)
        .ok()
        // `Etc/Unknown` is how the library spells "no zone"; taking it would mean UTC in silence.
        .filter(|zone| !zone.is_unknown())
        .ok_or_else(|| ScheduleError::Zone {
            zone: name.to_owned(),
        })
}

/// Hands every value that `item` names to `add`; `None` when it can't be read.
fn union(
    item: &str,
    size: usize,
    value: impl Fn(&str) -> Option<usize>,
    mut add: impl FnMut(usize),
) -> Option<()> {
    for part in item.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (value(first)?, value(last)?);
        let length = (last + size - first) % size;
        (0..=length).for_each(|step| add((first + step) % size));
    }
    Some(())
}

//! When a window is open: weekly sets of days and hours in a time zone.
//!
//! Pure: no Kubernetes, no clock; the caller says which instant it asks about.
//!
//! # Meaning
//! A window is open at an instant whose local weekday is one of the days *and* whose local hour is one of the hours.
//! The two are tested apart, so an overnight range belongs to the day that each of its hours falls on: `mon-fri` with
//! `22-6` is open on Monday from 00:00 and shut on Saturday at 00:00. The end hour of a range is included: `9-17` is
//! open until 17:59:59.
//!
//! Daylight saving time follows from asking the zone about instants: an hour that a zone skips never comes, an hour
//! that it repeats comes twice, and a day that it skips (Samoa, 2011-12-30) is not there at all.

mod boundary;
mod grammar;
mod week;

use jiff::{Timestamp, tz::TimeZone};

pub use grammar::ScheduleError;

use week::Week;

/// A weekly window in a time zone.
#[derive(Clone, Debug)]
pub struct Schedule {
    week: Week,
    zone: TimeZone,
}

impl Schedule {
    /// Reads the texts of a `spec.schedule`.
    ///
    /// `days` holds items like `mon`, `mon-fri` or `mon-wed,fri-sun`, `hours` items like `9`, `9-17` or `0-8,18-23`.
    /// Ranges include both ends and wrap (`fri-mon`, `22-6`); items are united. `zone` is a name of the IANA time
    /// zone database. No items at all are a schedule whose window never opens.
    pub fn parse<D: AsRef<str>, H: AsRef<str>>(
        days: &[D],
        hours: &[H],
        zone: &str,
    ) -> Result<Self, ScheduleError> {
        let days = grammar::days(days)?;
        let hours = grammar::hours(hours)?;
        Ok(Self {
            week: Week::of(days, hours),
            zone: grammar::zone(zone)?,
        })
    }

    /// Whether the window is open at `at`.
    pub fn is_active(&self, at: Timestamp) -> bool {
        self.week.contains(boundary::hour_of_week(&self.zone, at))
    }

    /// The first instant after `after` at which the window opens or shuts; `None` when it never does again.
    pub fn next_boundary(&self, after: Timestamp) -> Option<Timestamp> {
        boundary::next(self.week, &self.zone, after)
    }

    /// The first instant after `after` at which the window opens.
    pub fn next_activation(&self, after: Timestamp) -> Option<Timestamp> {
        self.next_change_to(true, after)
    }

    /// The first instant after `after` at which the window shuts.
    pub fn next_deactivation(&self, after: Timestamp) -> Option<Timestamp> {
        self.next_change_to(false, after)
    }

    fn next_change_to(&self, active: bool, after: Timestamp) -> Option<Timestamp> {
        let first = self.next_boundary(after)?;
        // Boundaries alternate, so it is either the next one or the one after.
        if self.is_active(first) == active {
            Some(first)
        } else {
            self.next_boundary(first)
        }
    }
}

#[cfg(test)]
mod tests;

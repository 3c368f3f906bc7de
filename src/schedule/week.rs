//! The hours of a week.

/// The hours that belong to the window: one bit for each, one number for each day from Monday on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Week([u32; 7]);

pub(super) const HOURS_PER_DAY: u32 = 24;
const HOURS_PER_WEEK: u32 = 7 * HOURS_PER_DAY;

impl Week {
    pub(super) fn of(days: u8, hours: u32) -> Self {
        Self(std::array::from_fn(|day| {
            if days & (1 << day) == 0 { 0 } else { hours }
        }))
    }

    pub(super) fn contains(self, hour: u32) -> bool {
        let day = self.0.get((hour / HOURS_PER_DAY) as usize);
        day.is_some_and(|hours| hours & (1 << (hour % HOURS_PER_DAY)) != 0)
    }

    /// How many hours after `hour` the week first differs from what it is at `hour`; `None` when it never does.
    pub(super) fn hours_to_change(self, hour: u32) -> Option<u32> {
        let now = self.contains(hour);
        (1..HOURS_PER_WEEK).find(|ahead| self.contains((hour + ahead) % HOURS_PER_WEEK) != now)
    }
}

//! What a replica knows of the Lease, and since when.

use std::{cmp::Ordering, time::Duration};

use super::{lease::Record, waits::Waits};
use crate::{
    clock::Moment,
    mutation::{self, Mutation},
};

/// What a replica knows of the Lease, and since when.
#[derive(Clone, Debug)]
pub(crate) struct Observed {
    pub(super) record: Option<Record>,
    exists: bool,
    /// When a read or the watch last told whether it exists.
    told_at: Moment,
    pub(super) changed_at: Moment,
    /// Since when nobody holds it; meaningless while somebody does.
    pub(super) vacant_since: Moment,
    pub(super) waits: Waits,
}

impl Observed {
    /// What was read first: it counts as new as of `now`, however old it says it is.
    pub(crate) fn first(record: Option<Record>, now: Moment, waits: Waits) -> Self {
        let unseen = mutation::is(Mutation::TakesWhatItSeesFirst);
        Self {
            exists: record.is_some(),
            told_at: now,
            record,
            changed_at: if unseen {
                Moment::from_start(Duration::ZERO)
            } else {
                now
            },
            vacant_since: now,
            waits,
        }
    }

    /// Takes in what was read at `now`; whether it is news. Only a change of the record itself restarts the clock.
    pub(crate) fn update(&mut self, read: Option<Record>, now: Moment) -> bool {
        let existed = std::mem::replace(&mut self.exists, read.is_some());
        self.told_at = now;
        let Some(record) = read else {
            return existed;
        };
        let known = self.record.as_ref();
        let changed = !known.is_some_and(|known| known.says_the_same_as(&record));
        let held = known.filter(|known| known.holder().is_some());
        // Once: an edit of a free Lease does not hold anybody up.
        if let Some(held) = held.filter(|_| record.holder().is_none()) {
            // A release is written over the Lease that was held. An empty one that was put in its place is none: the
            // holder may not know yet, so its last record is waited out.
            self.vacant_since = if held.uid() == record.uid() {
                now
            } else {
                now.max(self.changed_at + self.waits.patience(held).duration())
            };
        }
        if changed {
            self.changed_at = now;
        }
        self.record = Some(record);
        changed || !existed
    }

    /// The record last seen, even if the Lease was deleted since.
    pub(crate) fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// The resourceVersion of the Lease, if it exists.
    pub(crate) fn version(&self) -> Option<&str> {
        self.existing()?.version()
    }

    /// The record that a PUT can be based on: none where the Lease does not exist.
    pub(crate) fn existing(&self) -> Option<&Record> {
        self.record.as_ref().filter(|_| self.exists)
    }

    /// Whether `record`, as the watch told it, is a state that came before what is known.
    pub(crate) fn is_newer_than(&self, record: &Record) -> bool {
        match self.version_of(record) {
            Some(Ordering::Less) => true,
            // Of a Lease that was deleted the last state is old too.
            Some(Ordering::Equal) => !self.exists,
            Some(Ordering::Greater) | None => false,
        }
    }

    /// Whether what a read found that was sent at `asked` came before what is known.
    ///
    /// A Lease that does not exist has no version, so there the moment decides: what was told after the read was sent may
    /// be newer than its answer.
    pub(crate) fn has_overtaken(&self, read: Option<&Record>, asked: Moment) -> bool {
        let order = read.map_or(Some(Ordering::Equal), |record| self.version_of(record));
        match order {
            Some(Ordering::Less) => true,
            Some(Ordering::Equal) => self.exists != read.is_some() && asked < self.told_at,
            Some(Ordering::Greater) | None => false,
        }
    }

    /// The version of `record` against the one that is known.
    ///
    /// By resourceVersion, which can be compared since Kubernetes 1.35 (KEP-5504) and has always been the store's revision.
    /// `None` where it is no number.
    fn version_of(&self, record: &Record) -> Option<Ordering> {
        let revision = |version: &str| version.parse::<u64>().ok();
        let known = self.record.as_ref().and_then(Record::version);
        Some(
            record
                .version()
                .and_then(revision)?
                .cmp(&known.and_then(revision)?),
        )
    }

    /// When the holder of the record has been silent for as long as it is waited for.
    pub(crate) fn runs_out_at(&self) -> Option<Moment> {
        let record = self.record.as_ref()?;
        Some(self.changed_at + self.waits.patience(record).duration())
    }

    /// When the wait is over that the record states for leaders before its holder.
    pub(crate) fn unproven_until(&self) -> Option<Moment> {
        let left = self.record.as_ref()?.unproven(self.waits.duration)?;
        Some(self.changed_at + left)
    }

    /// When the record last changed, as far as this replica saw.
    pub(crate) fn changed_at(&self) -> Moment {
        self.changed_at
    }
}

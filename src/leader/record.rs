//! What the Lease says, since when this replica knows it, and what follows from that.
//!
//! Nothing here does I/O or reads a clock: [`decide`] is a function of what was observed, of who asks, and of the
//! moment. It is the one place where leadership is decided.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};

use super::identity::{Identity, Incarnation};
use crate::clock::Moment;

/// The annotation of the Lease that carries the holder's [`Incarnation`].
pub const INCARNATION: &str = "5spot.finos.org/incarnation";

/// `leaseDurationSeconds` of a released Lease, and the least that the API accepts.
const RELEASED_DURATION: i32 = 1;

/// A Lease as it was read, with a typed view of what matters.
///
/// The object is kept whole, so that a write changes our fields and leaves everybody else's alone.
#[derive(Clone, Debug)]
pub struct Record {
    object: Lease,
}

/// What a replica knows of the Lease, and since when.
#[derive(Clone, Debug)]
pub struct Observed {
    record: Option<Record>,
    exists: bool,
    changed_at: Moment,
    vacant_until: Moment,
}

/// Why a Lease may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nobody holds it: it was released, or never held.
    Released,
    /// The holder has been silent for the duration that its record states.
    Expired,
    /// The holder was an earlier life of this same pod.
    Reclaimed,
    /// The record names this very process: an answer was lost, or a term ended without a release.
    Own,
}

/// What to do about the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Write this replica into it.
    Take(Reason),
    /// Another replica leads, at the longest until the given moment unless it renews.
    Wait {
        /// When the Lease expires if nothing is heard.
        until: Moment,
    },
}

/// Decides what `me` does about the Lease at `now`.
pub fn decide(observed: &Observed, me: &Identity, now: Moment) -> Verdict {
    let Some(record) = &observed.record else {
        let until = observed.vacant_until;
        return if now >= until {
            Verdict::Take(Reason::Released)
        } else {
            Verdict::Wait { until }
        };
    };
    let Some(holder) = record.holder() else {
        return Verdict::Take(Reason::Released);
    };
    if holder == me.pod_name
        && let Some(incarnation) = record.incarnation()
    {
        if incarnation == me.incarnation {
            return Verdict::Take(Reason::Own);
        }
        if incarnation.is_another_life_of(&me.incarnation) {
            return Verdict::Take(Reason::Reclaimed);
        }
    }
    // A deleted Lease does not free it either: the holder may not know yet, so its last record is waited out.
    let until = observed.changed_at + record.duration();
    if now >= until {
        Verdict::Take(Reason::Expired)
    } else {
        Verdict::Wait { until }
    }
}

impl Observed {
    /// What was read first: it counts as new as of `now`, however old it says it is.
    ///
    /// Where there is no Lease, there may be a leader whose Lease was deleted a moment ago; `patience` is how long
    /// such a leader gets to find out, which it does when it next renews.
    pub fn first(record: Option<Record>, now: Moment, patience: Duration) -> Self {
        Self {
            exists: record.is_some(),
            record,
            changed_at: now,
            vacant_until: now + patience,
        }
    }

    /// Takes in what was read at `now`; whether it is news. Only a change of the record itself restarts the clock.
    pub fn update(&mut self, read: Option<Record>, now: Moment) -> bool {
        let existed = std::mem::replace(&mut self.exists, read.is_some());
        let Some(record) = read else {
            return existed;
        };
        let changed = !self
            .record
            .as_ref()
            .is_some_and(|known| known.says_the_same_as(&record));
        if changed {
            self.changed_at = now;
        }
        self.record = Some(record);
        changed || !existed
    }

    /// The record last seen, even if the Lease was deleted since.
    pub fn record(&self) -> Option<&Record> {
        self.record.as_ref()
    }

    /// The resourceVersion of the Lease, if it exists.
    pub(super) fn version(&self) -> Option<&str> {
        self.existing()?.version()
    }

    /// The record that a PUT can be based on: none where the Lease does not exist.
    pub fn existing(&self) -> Option<&Record> {
        self.record.as_ref().filter(|_| self.exists)
    }

    /// When the record last changed, as far as this replica saw.
    pub fn changed_at(&self) -> Moment {
        self.changed_at
    }
}

impl Reason {
    /// Every reason there is.
    pub const ALL: [Self; 4] = [Self::Released, Self::Expired, Self::Reclaimed, Self::Own];

    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Reclaimed => "reclaimed",
            Self::Own => "own",
        }
    }
}

impl Record {
    /// The view of a Lease that was read or acknowledged.
    pub fn new(object: Lease) -> Self {
        Self { object }
    }

    /// The holder's name, if anybody holds it.
    pub fn holder(&self) -> Option<&str> {
        self.spec()?
            .holder_identity
            .as_deref()
            .filter(|holder| !holder.is_empty())
    }

    /// The holder's process life, where the record has one that can be read.
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.object
            .metadata
            .annotations
            .as_ref()?
            .get(INCARNATION)?
            .parse()
            .ok()
    }

    /// Whether exactly this process holds it.
    pub fn is_held_by(&self, me: &Identity) -> bool {
        self.holder() == Some(me.pod_name.as_str())
            && self.incarnation().as_ref() == Some(&me.incarnation)
    }

    /// How long the holder promised to be silent at most. A record without a duration, which no elector writes,
    /// promises the shortest one.
    pub fn duration(&self) -> Duration {
        let seconds = self
            .spec()
            .and_then(|spec| spec.lease_duration_seconds)
            .unwrap_or(RELEASED_DURATION);
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0).max(1))
    }

    /// The resourceVersion that a write has to name.
    pub(super) fn version(&self) -> Option<&str> {
        self.object.metadata.resource_version.as_deref()
    }

    /// The UID of the Lease object, which a deleted and recreated one changes.
    pub(super) fn uid(&self) -> Option<&str> {
        self.object.metadata.uid.as_deref()
    }

    /// How often the Lease went from one holder to another.
    pub fn transitions(&self) -> i32 {
        self.spec()
            .and_then(|spec| spec.lease_transitions)
            .unwrap_or(0)
    }

    /// When the holder took it, by the holder's wall clock.
    pub fn acquired(&self) -> Option<Timestamp> {
        Some(self.spec()?.acquire_time.as_ref()?.0)
    }

    fn spec(&self) -> Option<&LeaseSpec> {
        self.object.spec.as_ref()
    }

    /// Equal in everything that a holder changes when it renews, takes or releases.
    ///
    /// A label that somebody adds is not a sign of life, so resourceVersion does not count.
    fn says_the_same_as(&self, other: &Self) -> bool {
        self.spec() == other.spec() && self.incarnation() == other.incarnation()
    }

    /// The object to write when `me` takes the Lease from `seen`, over `existing` if the Lease exists.
    pub(super) fn taken(
        existing: Option<&Self>,
        seen: Option<&Self>,
        me: &Identity,
        duration: Duration,
        wall: Timestamp,
    ) -> Lease {
        let mut object = existing
            .map(|record| record.object.clone())
            .unwrap_or_default();
        let same_holder = seen.is_some_and(|record| record.holder() == Some(me.pod_name.as_str()));
        let transitions = match seen {
            None => 0,
            Some(record) if same_holder => record.transitions(),
            Some(record) => record.transitions().saturating_add(1),
        };
        object
            .metadata
            .annotations
            .get_or_insert_default()
            .insert(INCARNATION.to_owned(), me.incarnation.to_string());
        let spec = object.spec.get_or_insert_default();
        spec.holder_identity = Some(me.pod_name.clone());
        spec.lease_duration_seconds = Some(whole_seconds(duration));
        spec.acquire_time = Some(MicroTime(wall));
        spec.renew_time = Some(MicroTime(wall));
        spec.lease_transitions = Some(transitions);
        object
    }

    /// The object to write when the holder renews. It states the duration anew: the promise is the holder's own,
    /// whatever somebody may have edited.
    pub(super) fn renewed(&self, duration: Duration, wall: Timestamp) -> Lease {
        let mut object = self.object.clone();
        let spec = object.spec.get_or_insert_default();
        spec.lease_duration_seconds = Some(whole_seconds(duration));
        spec.renew_time = Some(MicroTime(wall));
        object
    }

    /// The object to write when the holder gives the Lease back.
    pub(super) fn released(&self, wall: Timestamp) -> Lease {
        let mut object = self.object.clone();
        if let Some(annotations) = &mut object.metadata.annotations {
            annotations.remove(INCARNATION);
        }
        let spec = object.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(RELEASED_DURATION);
        spec.renew_time = Some(MicroTime(wall));
        object
    }
}

fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

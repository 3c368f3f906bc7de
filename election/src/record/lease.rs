//! The Lease as it is read and written: a typed view of what matters in it.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};

use super::{annotations::Annotations, reason::Reason};
use crate::{
    identity::{Identity, Incarnation},
    timing::LONGEST,
};

/// `leaseDurationSeconds` of a released Lease, and the least that the API accepts.
const RELEASED_DURATION: i32 = 1;

/// A Lease as it was read, with a typed view of what matters.
///
/// The object is kept whole, so that a write changes our fields and leaves everybody else's alone.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    object: Lease,
    names: Arc<Annotations>,
}

impl Record {
    /// The view of a Lease that was read or acknowledged.
    pub(crate) fn new(object: Lease, names: &Arc<Annotations>) -> Self {
        let names = Arc::clone(names);
        Self { object, names }
    }

    /// The Lease to write.
    pub(crate) fn into_object(self) -> Lease {
        self.object
    }

    /// The holder's name, if anybody holds it.
    pub(crate) fn holder(&self) -> Option<&str> {
        self.spec()?
            .holder_identity
            .as_deref()
            .filter(|holder| !holder.is_empty())
    }

    /// The holder's process life, where the record has one that can be read.
    pub(crate) fn incarnation(&self) -> Option<Incarnation> {
        self.annotation(&self.names.incarnation)?.parse().ok()
    }

    /// The pod that should take it; only where nobody holds it.
    pub(crate) fn successor(&self) -> Option<&str> {
        self.annotation(&self.names.successor)
            .filter(|_| self.holder().is_none())
    }

    /// Why the holder could take it, where it says so.
    pub(crate) fn takeover(&self) -> Option<Reason> {
        self.annotation(&self.names.takeover)?.parse().ok()
    }

    /// Whether exactly this process holds it.
    pub(crate) fn is_held_by(&self, me: &Identity) -> bool {
        self.holder() == Some(me.pod_name.as_str())
            && self.incarnation().as_ref() == Some(&me.incarnation)
    }

    /// How long the holder promised to be silent at most, in seconds, as it is written. How long it is waited for is
    /// another matter: see [`Waits`](super::Waits).
    pub(crate) fn stated_duration(&self) -> Option<i32> {
        self.spec()?.lease_duration_seconds
    }

    /// Whether it states exactly this duration.
    pub(crate) fn states(&self, duration: Duration) -> bool {
        self.stated_duration() == Some(whole_seconds(duration))
    }

    /// The resourceVersion that a write has to name.
    pub(crate) fn version(&self) -> Option<&str> {
        self.object.metadata.resource_version.as_deref()
    }

    /// The UID of the Lease object, which a deleted and recreated one changes.
    pub(crate) fn uid(&self) -> Option<&str> {
        self.object.metadata.uid.as_deref()
    }

    /// How often the Lease went from one holder to another.
    pub(crate) fn transitions(&self) -> i32 {
        self.spec()
            .and_then(|spec| spec.lease_transitions)
            .unwrap_or(0)
    }

    /// When the holder took it, by the holder's wall clock.
    pub(crate) fn acquired(&self) -> Option<Timestamp> {
        Some(self.spec()?.acquire_time.as_ref()?.0)
    }

    /// Says in the next write that a take on a hint was right: the predecessor's death is proven by now.
    pub(crate) fn prove(&mut self) {
        if self.takeover() == Some(Reason::Hint) {
            let names = Arc::clone(&self.names);
            self.annotate(&names.takeover, Some(Reason::Proof.to_string()));
        }
    }

    /// For how long a leader before the holder may still write where nothing is fenced.
    ///
    /// No replica waits longer for another than an hour, so no more is believed; what can't be read counts as one lease
    /// duration.
    pub(crate) fn unproven(&self, duration: Duration) -> Option<Duration> {
        let text = self.annotation(&self.names.unproven)?;
        let longest = Duration::from_secs(LONGEST.unsigned_abs());
        let stated = text.parse().map(Duration::from_secs);
        Some(stated.unwrap_or(duration).min(longest))
    }

    /// Says so in the next write, in whole seconds.
    pub(crate) fn state_unproven(&mut self, left: Duration) {
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        let names = Arc::clone(&self.names);
        self.annotate(&names.unproven, (seconds > 0).then(|| seconds.to_string()));
    }

    /// When the holder last wrote, by the holder's wall clock. Nothing may be concluded from it, except by its writer: it
    /// knows its own writes again by it.
    pub(crate) fn renewed_at(&self) -> Option<Timestamp> {
        Some(self.spec()?.renew_time.as_ref()?.0)
    }

    fn annotation(&self, name: &str) -> Option<&str> {
        let annotations = self.object.metadata.annotations.as_ref()?;
        annotations.get(name).map(String::as_str)
    }

    fn spec(&self) -> Option<&LeaseSpec> {
        self.object.spec.as_ref()
    }

    /// Equal in everything that a holder changes when it renews, takes or releases.
    ///
    /// A label that somebody adds is not a sign of life, so resourceVersion does not count.
    pub(crate) fn says_the_same_as(&self, other: &Self) -> bool {
        self.spec() == other.spec()
            && self.incarnation() == other.incarnation()
            && self.successor() == other.successor()
    }

    /// What to write when `me` takes the Lease from `seen` for `reason`, over `existing` if the Lease exists.
    pub(crate) fn taken(
        names: &Arc<Annotations>,
        (existing, seen): (Option<&Self>, Option<&Self>),
        reason: Reason,
        me: &Identity,
        duration: Duration,
        wall: Timestamp,
    ) -> Self {
        let object = existing.map(|record| record.object.clone());
        let mut record = Self::new(object.unwrap_or_default(), names);
        let same_holder = seen.is_some_and(|record| record.holder() == Some(me.pod_name.as_str()));
        let transitions = match seen {
            None => 0,
            Some(record) if same_holder => record.transitions(),
            Some(record) => record.transitions().saturating_add(1),
        };
        record.annotate(&names.incarnation, Some(me.incarnation.to_string()));
        record.annotate(&names.takeover, Some(reason.to_string()));
        record.annotate(&names.successor, None);
        let spec = record.object.spec.get_or_insert_default();
        spec.holder_identity = Some(me.pod_name.clone());
        spec.acquire_time = Some(MicroTime(wall));
        spec.lease_transitions = Some(transitions);
        record.renewed(me, duration, wall)
    }

    /// What to write when the holder renews. It states the duration and its pod anew: the promise is the holder's own,
    /// whatever somebody may have edited.
    pub(crate) fn renewed(&self, me: &Identity, duration: Duration, wall: Timestamp) -> Self {
        let mut record = self.clone();
        let (name, uid) = (&me.pod_name, &me.incarnation.pod_uid);
        let pod = (!uid.is_empty()).then(|| format!("{name}/{uid}"));
        record.annotate(&self.names.holder_pod, pod);
        let spec = record.object.spec.get_or_insert_default();
        spec.lease_duration_seconds = Some(whole_seconds(duration));
        spec.renew_time = Some(MicroTime(wall));
        record
    }

    /// What to write when the holder gives the Lease back, to `successor` if there is one.
    pub(crate) fn released(&self, successor: Option<&str>, wall: Timestamp) -> Self {
        let mut record = self.clone();
        let names = &self.names;
        for of_the_holder in [&names.incarnation, &names.holder_pod, &names.takeover] {
            record.annotate(of_the_holder, None);
        }
        if let Some(successor) = successor {
            record.annotate(&names.successor, Some(successor.to_owned()));
        }
        let spec = record.object.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(RELEASED_DURATION);
        spec.renew_time = Some(MicroTime(wall));
        record
    }

    fn annotate(&mut self, name: &str, value: Option<String>) {
        let annotations = self.object.metadata.annotations.get_or_insert_default();
        match value {
            Some(value) => drop(annotations.insert(name.to_owned(), value)),
            None => drop(annotations.remove(name)),
        }
    }
}

fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

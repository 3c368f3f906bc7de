//! What the Lease says, since when this replica knows it, and what follows from that.
//!
//! Nothing here does I/O or reads a clock: [`decide`] is a function of what was observed, of who asks, and of the
//! moment. It is the one place where leadership is decided.

use std::{cmp::Ordering, collections::BTreeMap, time::Duration};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};

use super::{
    config::LONGEST,
    identity::{Identity, Incarnation},
    waits::Waits,
};
use crate::{
    clock::Moment,
    mutation::{self, Mutation},
};

/// The annotation of the Lease that carries the holder's [`Incarnation`].
pub const INCARNATION: &str = "5spot.finos.org/incarnation";

/// The annotation that names the holder's pod with its UID, as `<name>/<uid>`. The fence compares both with the pod that a
/// request's token is of.
///
/// An elector that does not know it leaves it as it is, so it says something only of a holder of that name. Nobody writes it
/// who does not know its UID.
pub const HOLDER_POD: &str = "5spot.finos.org/holder-pod";

/// The annotation of a released Lease that names the pod which should take it.
pub const SUCCESSOR: &str = "5spot.finos.org/successor";

/// The annotation that says why the holder could take the Lease: a [`Reason`].
pub const TAKEOVER: &str = "5spot.finos.org/takeover";

/// The annotation that says for how many more seconds an earlier leader, whose end is not proven, may go on to write where
/// nothing is fenced; none where there is no such leader.
pub(super) const UNPROVEN: &str = "5spot.finos.org/unproven-seconds";

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
    /// When a read or the watch last told whether it exists.
    told_at: Moment,
    changed_at: Moment,
    /// Since when nobody holds it; meaningless while somebody does.
    vacant_since: Moment,
    waits: Waits,
}

/// What is known of the holder beside what the Lease says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Evidence {
    /// The process that is proven to be dead.
    pub dead: Option<Incarnation>,
    /// The process that seems to be gone, while the fence was seen to stand: a hint, good enough to act on because of
    /// the fence.
    pub gone: Option<Incarnation>,
    /// The record is of this very process, which heard of that write too late to lead on it: writing on and on would
    /// only keep others out, so the Lease is left to them for a while.
    pub unheard: bool,
}

/// Why a Lease may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// Nobody holds it: it was released, or never held.
    Released,
    /// The holder has been silent for the duration that its record states.
    Expired,
    /// The holder's process is proven to be dead.
    Proof,
    /// The holder's process seems to be gone, and the fence stands.
    Hint,
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
pub fn decide(observed: &Observed, me: &Identity, evidence: &Evidence, now: Moment) -> Verdict {
    let Some(record) = &observed.record else {
        // There may be a leader whose Lease was deleted a moment ago, and which finds out when it next renews.
        return from(
            observed.vacant_since + observed.waits.retry_period * 2,
            Reason::Released,
            now,
        );
    };
    let Some(holder) = record.holder() else {
        // Whoever was named goes first; nobody waits for it longer than one retry period.
        let patience = match record.successor() {
            Some(successor) if successor != me.pod_name => observed.waits.retry_period,
            _ => Duration::ZERO,
        };
        return from(observed.vacant_since + patience, Reason::Released, now);
    };
    if mutation::is(Mutation::ReclaimsByName) && holder == me.pod_name {
        return Verdict::Take(Reason::Reclaimed);
    }
    if let Some(incarnation) = record.incarnation() {
        if holder == me.pod_name && incarnation == me.incarnation {
            let left = if evidence.unheard && !mutation::is(Mutation::NeverLeavesTheLease) {
                observed.waits.leave
            } else {
                Duration::ZERO
            };
            return from(observed.changed_at + left, Reason::Own, now);
        }
        if holder == me.pod_name && incarnation.is_another_life_of(&me.incarnation) {
            return Verdict::Take(Reason::Reclaimed);
        }
        if evidence.dead.as_ref() == Some(&incarnation) {
            return Verdict::Take(Reason::Proof);
        }
        if evidence.gone.as_ref() == Some(&incarnation) {
            return Verdict::Take(Reason::Hint);
        }
    }
    #[cfg(feature = "mutants")]
    if crate::mutant::is(crate::mutant::IMPATIENT) {
        let soon = observed.changed_at + crate::mutant::PATIENCE;
        return from(soon, Reason::Expired, now);
    }
    // A deleted Lease does not free it either: the holder may not know yet, so its last record is waited out.
    let patience = observed.waits.patience(record).duration();
    from(observed.changed_at + patience, Reason::Expired, now)
}

/// Take it from `start` on, for `reason`.
fn from(start: Moment, reason: Reason, now: Moment) -> Verdict {
    if now >= start {
        Verdict::Take(reason)
    } else {
        Verdict::Wait { until: start }
    }
}

impl Observed {
    /// What was read first: it counts as new as of `now`, however old it says it is.
    pub fn first(record: Option<Record>, now: Moment, waits: Waits) -> Self {
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
    pub fn update(&mut self, read: Option<Record>, now: Moment) -> bool {
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

    /// Whether `record`, as the watch told it, is a state that came before what is known.
    pub(super) fn is_newer_than(&self, record: &Record) -> bool {
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
    pub(super) fn has_overtaken(&self, read: Option<&Record>, asked: Moment) -> bool {
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
    pub(super) fn runs_out_at(&self) -> Option<Moment> {
        let record = self.record.as_ref()?;
        Some(self.changed_at + self.waits.patience(record).duration())
    }

    /// When the wait is over that the record states for leaders before its holder.
    pub(super) fn unproven_until(&self) -> Option<Moment> {
        let left = self.record.as_ref()?.unproven(self.waits)?;
        Some(self.changed_at + left)
    }

    /// When the record last changed, as far as this replica saw.
    pub fn changed_at(&self) -> Moment {
        self.changed_at
    }
}

impl Reason {
    /// Every reason there is.
    pub const ALL: [Self; 6] = [
        Self::Released,
        Self::Expired,
        Self::Proof,
        Self::Hint,
        Self::Reclaimed,
        Self::Own,
    ];

    /// The word for logs and metrics.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Proof => "proof",
            Self::Hint => "hint",
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

    /// The Lease to write.
    pub(super) fn into_object(self) -> Lease {
        self.object
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
        self.annotation(INCARNATION)?.parse().ok()
    }

    /// The pod that should take it; only where nobody holds it.
    pub fn successor(&self) -> Option<&str> {
        self.annotation(SUCCESSOR)
            .filter(|_| self.holder().is_none())
    }

    /// Why the holder could take it, where it says so.
    pub fn takeover(&self) -> Option<Reason> {
        let word = self.annotation(TAKEOVER)?;
        Reason::ALL
            .into_iter()
            .find(|reason| reason.as_str() == word)
    }

    /// Whether exactly this process holds it.
    pub fn is_held_by(&self, me: &Identity) -> bool {
        self.holder() == Some(me.pod_name.as_str())
            && self.incarnation().as_ref() == Some(&me.incarnation)
    }

    /// How long the holder promised to be silent at most, in seconds, as it is written. How long it is waited for is
    /// another matter: see [`Waits`].
    pub fn stated_duration(&self) -> Option<i32> {
        self.spec()?.lease_duration_seconds
    }

    /// Whether it states exactly this duration.
    pub(super) fn states(&self, duration: Duration) -> bool {
        self.stated_duration() == Some(whole_seconds(duration))
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

    /// Says in the next write that a take on a hint was right: the predecessor's death is proven by now.
    pub(super) fn prove(&mut self) {
        if self.takeover() == Some(Reason::Hint)
            && let Some(annotations) = &mut self.object.metadata.annotations
        {
            annotations.insert(TAKEOVER.to_owned(), Reason::Proof.as_str().to_owned());
        }
    }

    /// For how long a leader before the holder may still write where nothing is fenced.
    ///
    /// No replica waits longer for another than an hour, so no more is believed; what can't be read counts as one lease
    /// duration.
    fn unproven(&self, waits: Waits) -> Option<Duration> {
        let text = self.annotation(UNPROVEN)?;
        let longest = Duration::from_secs(LONGEST.unsigned_abs());
        let stated = text.parse().map(Duration::from_secs);
        Some(stated.unwrap_or(waits.duration).min(longest))
    }

    /// Says so in the next write, in whole seconds.
    pub(super) fn state_unproven(&mut self, left: Duration) {
        let annotations = &mut self.object.metadata.annotations;
        if left.is_zero() {
            if let Some(annotations) = annotations {
                annotations.remove(UNPROVEN);
            }
            return;
        }
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        annotations
            .get_or_insert_default()
            .insert(UNPROVEN.to_owned(), seconds.to_string());
    }

    /// When the holder last wrote, by the holder's wall clock. Nothing may be concluded from it, except by its writer: it
    /// knows its own writes again by it.
    pub(super) fn renewed_at(&self) -> Option<Timestamp> {
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
    fn says_the_same_as(&self, other: &Self) -> bool {
        self.spec() == other.spec()
            && self.incarnation() == other.incarnation()
            && self.successor() == other.successor()
    }

    /// The object to write when `me` takes the Lease from `seen` for `reason`, over `existing` if the Lease exists.
    pub(super) fn taken(
        existing: Option<&Self>,
        seen: Option<&Self>,
        reason: Reason,
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
        let annotations = object.metadata.annotations.get_or_insert_default();
        annotations.insert(INCARNATION.to_owned(), me.incarnation.to_string());
        name_pod(annotations, me);
        annotations.insert(TAKEOVER.to_owned(), reason.as_str().to_owned());
        annotations.remove(SUCCESSOR);
        let spec = object.spec.get_or_insert_default();
        spec.holder_identity = Some(me.pod_name.clone());
        spec.lease_duration_seconds = Some(whole_seconds(duration));
        spec.acquire_time = Some(MicroTime(wall));
        spec.renew_time = Some(MicroTime(wall));
        spec.lease_transitions = Some(transitions);
        object
    }

    /// The object to write when the holder renews. It states the duration and its pod anew: the promise is the holder's
    /// own, whatever somebody may have edited.
    pub(super) fn renewed(&self, me: &Identity, duration: Duration, wall: Timestamp) -> Lease {
        let mut object = self.object.clone();
        name_pod(object.metadata.annotations.get_or_insert_default(), me);
        let spec = object.spec.get_or_insert_default();
        spec.lease_duration_seconds = Some(whole_seconds(duration));
        spec.renew_time = Some(MicroTime(wall));
        object
    }

    /// The object to write when the holder gives the Lease back, to `successor` if there is one.
    pub(super) fn released(&self, successor: Option<&str>, wall: Timestamp) -> Lease {
        let mut object = self.object.clone();
        let annotations = object.metadata.annotations.get_or_insert_default();
        for of_the_holder in [INCARNATION, HOLDER_POD, TAKEOVER] {
            annotations.remove(of_the_holder);
        }
        if let Some(successor) = successor {
            annotations.insert(SUCCESSOR.to_owned(), successor.to_owned());
        }
        let spec = object.spec.get_or_insert_default();
        spec.holder_identity = Some(String::new());
        spec.lease_duration_seconds = Some(RELEASED_DURATION);
        spec.renew_time = Some(MicroTime(wall));
        object
    }
}

fn name_pod(annotations: &mut BTreeMap<String, String>, me: &Identity) {
    let (name, uid) = (&me.pod_name, &me.incarnation.pod_uid);
    if uid.is_empty() {
        annotations.remove(HOLDER_POD);
    } else {
        annotations.insert(HOLDER_POD.to_owned(), format!("{name}/{uid}"));
    }
}

fn whole_seconds(duration: Duration) -> i32 {
    i32::try_from(duration.as_secs()).unwrap_or(i32::MAX)
}

//! The API server: one Lease with its versions and its history, the objects of the work, and the fence.

use k8s_openapi::api::coordination::v1::Lease;

use super::{
    objects::Objects,
    settings::{PREFIX, Settings},
    time::Millis,
};
use crate::fence::{PerPolicy, Policy};

/// The part of the API server that the election and the work meet.
#[derive(Debug)]
pub(super) struct Server {
    pub(super) up: bool,
    pub(super) lease: Option<Lease>,
    pub(super) history: Vec<Held>,
    pub(super) objects: Objects,
    /// What lies between admission and storage takes up to this long: webhooks, quota, the storage itself.
    pub(super) commit_takes: Millis,
    version: u64,
    fence: bool,
    /// How many have switched each policy of the fence off.
    off: PerPolicy<u32>,
    informer_lag: Millis,
}

/// Who held the Lease from a moment on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) since: Millis,
    /// `holderIdentity`; empty where nobody holds it.
    pub(super) holder: String,
    /// The incarnation annotation; empty where there is none.
    pub(super) incarnation: String,
}

/// What is counted of a Lease.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Says {
    pub(super) holder: String,
    pub(super) transitions: i32,
    /// `leaseDurationSeconds`, if there is one.
    pub(super) duration: Option<i32>,
    /// Whether the holder has just taken it: it was not renewed since.
    pub(super) is_take: bool,
}

/// A write that was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Conflict;

impl Server {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            up: true,
            lease: None,
            history: Vec::new(),
            objects: Objects::default(),
            commit_takes: 0,
            version: 0,
            fence: settings.fence,
            off: PerPolicy::default(),
            informer_lag: settings.informer_lag,
        }
    }

    /// A POST: the Lease must not exist.
    pub(super) fn create(&mut self, now: Millis, lease: Lease) -> Result<Lease, Conflict> {
        if self.lease.is_some() {
            return Err(Conflict);
        }
        Ok(self.store(now, lease))
    }

    /// A PUT: the version must be the one that is stored. Without a version it is accepted, as by the real API.
    pub(super) fn replace(&mut self, now: Millis, lease: Lease) -> Result<Lease, Conflict> {
        let Some(stored) = &self.lease else {
            return Err(Conflict);
        };
        let given = &lease.metadata.resource_version;
        if given.is_some() && *given != stored.metadata.resource_version {
            return Err(Conflict);
        }
        Ok(self.store(now, lease))
    }

    /// An administrator's edit, which is subject to no check.
    pub(super) fn edit(&mut self, now: Millis, lease: Option<Lease>) {
        if let Some(lease) = lease {
            self.store(now, lease);
        } else {
            self.version += 1;
            self.lease = None;
            self.note(now);
        }
    }

    fn store(&mut self, now: Millis, mut lease: Lease) -> Lease {
        self.version += 1;
        lease.metadata.resource_version = Some(self.version.to_string());
        self.lease = Some(lease.clone());
        self.note(now);
        lease
    }

    fn note(&mut self, now: Millis) {
        let lease = self.lease.as_ref();
        let holder = lease
            .and_then(|lease| lease.spec.as_ref()?.holder_identity.as_deref())
            .unwrap_or_default();
        let incarnation = lease.and_then(|lease| {
            lease
                .metadata
                .annotations
                .as_ref()?
                .get(&format!("{PREFIX}/incarnation"))
        });
        let incarnation = incarnation.map(String::as_str).unwrap_or_default();
        let news = self
            .history
            .last()
            .is_none_or(|held| held.holder != holder || held.incarnation != incarnation);
        if news {
            let held = Held {
                since: now,
                holder: holder.to_owned(),
                incarnation: incarnation.to_owned(),
            };
            self.history.push(held);
        }
    }

    /// The holder and the transitions that the Lease has; `None` where there is no Lease.
    pub(super) fn says(&self) -> Option<Says> {
        let spec = self.lease.as_ref()?.spec.as_ref();
        let holder = spec
            .and_then(|spec| spec.holder_identity.clone())
            .unwrap_or_default();
        Some(Says {
            holder,
            transitions: spec.and_then(|spec| spec.lease_transitions).unwrap_or(0),
            duration: spec.and_then(|spec| spec.lease_duration_seconds),
            is_take: spec.is_some_and(|spec| spec.acquire_time == spec.renew_time),
        })
    }

    /// Who holds the Lease now.
    pub(super) fn held(&self) -> Option<&Held> {
        self.history.last()
    }

    /// Switches a policy of the fence off, or on again.
    pub(super) fn switch(&mut self, policy: Policy, is_on: bool) {
        let off = self.off.of_mut(policy);
        *off = if is_on {
            off.saturating_sub(1)
        } else {
            *off + 1
        };
    }

    /// Whether this policy is in force.
    pub(super) fn guards(&self, policy: Policy) -> bool {
        self.fence && *self.off.of(policy) == 0
    }

    /// Whether the fence, whose view of the Lease lags behind, lets a work write of this pod pass to what `policy` guards.
    pub(super) fn admits(&self, now: Millis, pod: &str, policy: Policy) -> bool {
        !self.guards(policy)
            || self
                .held_at(now.saturating_sub(self.informer_lag))
                .is_some_and(|held| held.holder == pod)
    }

    /// Whether every policy of the fence refuses the work writes of this pod.
    pub(super) fn refuses(&self, now: Millis, pod: &str) -> bool {
        Policy::ALL
            .into_iter()
            .all(|policy| !self.admits(now, pod, policy))
    }

    /// Whether a pod of this name held the Lease at any time since `from`.
    pub(super) fn named_since(&self, from: Millis, pod: &str) -> bool {
        let earlier = self.held_at(from);
        let later = self
            .history
            .iter()
            .rev()
            .take_while(|held| held.since > from);
        earlier
            .into_iter()
            .chain(later)
            .any(|held| held.holder == pod)
    }

    fn held_at(&self, moment: Millis) -> Option<&Held> {
        self.history.iter().rev().find(|held| held.since <= moment)
    }
}

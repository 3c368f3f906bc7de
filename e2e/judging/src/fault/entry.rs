//! An entry of the table: each question about a fault is a field.

use std::time::Duration;

use crate::{
    limit::{Limit, OBSERVATION_ALLOWANCE},
    settings::LeaseSettings,
};

/// How long the old leader is watched for late writes, unless a fault says otherwise.
pub(super) const AFTERMATH: Duration = Duration::from_millis(1500);

/// What a fault is, and what is promised after it.
#[derive(Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent questions about a fault"
)]
pub struct Fault {
    /// What it does, in one line for the user.
    pub about: &'static str,
    /// What it proves, in one line for the user.
    pub proves: &'static str,
    /// What becomes of the leader's process.
    pub fate: Fate,
    /// Who may lead next.
    pub successor: Successor,
    /// The longest time until the Lease names its next holder, where no death is proven.
    pub limit: fn(&LeaseSettings) -> Limit,
    /// From when on that counts.
    pub onset: Onset,
    /// How long it lasts.
    pub hold: fn(&LeaseSettings) -> Hold,
    /// How long the old leader is watched for late writes after the new leader's first and after the fault is undone.
    pub aftermath: fn(&LeaseSettings) -> Duration,
    /// Whether kubelet reports the end of the leader's process to a replica that lives, so that its death can be proven.
    pub provable: bool,
    /// Whether the leader may have renewed once more while the fault was being done, which then takes as long as its call.
    pub takes_time: bool,
    /// What becomes of the leader's renewals, where it has to step down by its renew deadline.
    pub renewals: Option<Renewals>,
    /// Whether calls still take place, slowly or without an answer, so that an elector may mistake a Lease that is written
    /// for one that is led. Somebody has to lead all the while, but for the time that one takeover takes.
    pub is_gray: bool,
    /// Whether the leader's container is started again in its pod: an elector without incarnations then renews as if
    /// nothing had happened.
    pub restarts_in_place: bool,
    /// Whether the Lease is deleted, which ends no term by itself.
    pub deletes_lease: bool,
    /// Whether every replica is replaced, so that leadership may have to move more than once.
    pub replaces_all: bool,
    /// Whether nobody can reach the API server meanwhile, the harness included.
    pub stops_api: bool,
    /// Whether the leader's pod can't come back by itself.
    pub leaves_broken_pod: bool,
}

/// What becomes of the leader's process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is asked to stop, and may hand over.
    AskedToStop,
    /// It is killed.
    Killed,
    /// It is killed, and nothing tells of its end: no kubelet reports it, and no connection is closed.
    KilledInSilence,
    /// It lives on and has no reason to end: it is to step down and stand by.
    Survives,
}

/// Who may lead next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Successor {
    /// Whoever takes the Lease, in a term of its own.
    Anyone,
    /// Only another replica.
    Another,
    /// Whoever takes the Lease, and the old leader in its old term: nobody had a better right to the Lease.
    OldLeaderToo,
}

/// The moment from which what is promised after a fault counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Onset {
    /// When the fault was done.
    Fault,
    /// When it was undone: before that, nobody could have taken the Lease.
    Undone,
    /// When the leader's pod was asked to stop: before that, the cluster's own controllers decide what happens.
    AskedToStop,
    /// When the old leader last worked, or where it went on leading when the fault was undone.
    LastTerm,
}

/// How long a fault lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hold {
    /// It is over as soon as it is done.
    Done,
    /// It is undone when another leader works, but not before this time has passed.
    UntilTakeover(Duration),
    /// It is undone after this time: nobody can take over before.
    For(Duration),
    /// It is over when the Deployment has been rolled out.
    UntilRolledOut,
}

/// What becomes of the leader's renewals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Renewals {
    /// They are refused from the fault on.
    Refused,
    /// They take place without an answer until the fault is undone, so none of them counts before.
    Unanswered,
}

impl Fault {
    /// What holds of most faults: the leader is cut short, lives on, and its Lease has to be waited out.
    pub(super) const USUAL: Self = Self {
        about: "",
        proves: "",
        fate: Fate::Survives,
        successor: Successor::Anyone,
        limit: |settings| {
            Limit::of_silence(settings, |d| {
                format!(
                    "a standby takes the Lease LEASE_DURATION_SECONDS={d} after it saw the last renewal, which came \
                     before the fault"
                )
            })
        },
        onset: Onset::Fault,
        hold: |_| Hold::Done,
        aftermath: |_| AFTERMATH,
        provable: false,
        takes_time: true,
        renewals: None,
        is_gray: false,
        restarts_in_place: false,
        deletes_lease: false,
        replaces_all: false,
        stops_api: false,
        leaves_broken_pod: false,
    };

    /// By how much a limit for a takeover after this fault is extended because a standby only observes the renewals.
    ///
    /// A release is seen by a standby as well, but its limit leaves room for that: it is a whole retry period.
    pub fn observation_allowance(&self) -> Duration {
        if self.fate == Fate::AskedToStop {
            Duration::ZERO
        } else {
            OBSERVATION_ALLOWANCE
        }
    }

    /// Whether it kills the leader's process.
    pub fn kills(&self) -> bool {
        matches!(self.fate, Fate::Killed | Fate::KilledInSilence)
    }
}

impl Hold {
    /// Until another leader works, but at least for `beyond` more than the lease lasts.
    pub(super) fn beyond_lease(settings: &LeaseSettings, beyond: Duration) -> Self {
        Self::UntilTakeover(settings.duration() + beyond)
    }
}

//! The names of the faults, and what kind of takeover each leads to.

use std::time::Duration;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::OBSERVATION_ALLOWANCE;

/// What is done to the leader.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    ValueEnum,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// The leader's pod is deleted; it may release the Lease.
    Graceful,
    /// The leader's process gets SIGKILL; kubelet restarts it in the same pod.
    Crash,
    /// The leader's process gets SIGKILL and its pod can't run it again.
    CrashLoop,
    /// The leader and one standby get SIGKILL together.
    PairCrash,
    /// The leader's process is stopped for longer than the lease, and goes on.
    Zombie,
    /// The leader's pod is cut off from the API server, and reached again.
    Partition,
    /// The answers to the leader's requests are lost for a while; its requests arrive.
    LostAnswers,
    /// A write of the leader is held back, and the leader stopped, until another one leads.
    LateWrite,
    /// The Lease is deleted.
    LeaseDeleted,
    /// A stranger's name is written into the Lease.
    HolderOverwritten,
    /// An admission policy denies the leader's renewals for a while.
    RenewalsDenied,
    /// The operator may not touch its Lease for a while.
    RbacRevoked,
    /// Every write of the Lease takes seconds for a while, because of an admission webhook that does not answer.
    SlowWebhook,
    /// The API server is stopped for longer than the lease, and goes on.
    ApiStop,
    /// The pod template is changed.
    RollingUpdate,
    /// One replica less, which is the leader, and one more again.
    Scale,
    /// The leader's node is lost in silence with everything on it, and comes back.
    NodeLoss,
    /// The leader's node is cordoned and drained of the replicas, and uncordoned.
    Drain,
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

impl FaultKind {
    /// The name as it is typed and printed.
    pub fn name(self) -> &'static str {
        match self {
            Self::Graceful => "graceful",
            Self::Crash => "crash",
            Self::CrashLoop => "crash-loop",
            Self::PairCrash => "pair-crash",
            Self::Zombie => "zombie",
            Self::Partition => "partition",
            Self::LostAnswers => "lost-answers",
            Self::LateWrite => "late-write",
            Self::LeaseDeleted => "lease-deleted",
            Self::HolderOverwritten => "holder-overwritten",
            Self::RenewalsDenied => "renewals-denied",
            Self::RbacRevoked => "rbac-revoked",
            Self::SlowWebhook => "slow-webhook",
            Self::ApiStop => "api-stop",
            Self::RollingUpdate => "rolling-update",
            Self::Scale => "scale",
            Self::NodeLoss => "node-loss",
            Self::Drain => "drain",
        }
    }

    /// Whether it kills the leader's process.
    pub fn kills(self) -> bool {
        matches!(
            self,
            Self::Crash | Self::CrashLoop | Self::PairCrash | Self::NodeLoss
        )
    }

    /// Whether nothing tells of the end of the leader's process: no kubelet reports it, and no connection is closed.
    pub fn is_silent_death(self) -> bool {
        self == Self::NodeLoss
    }

    /// Whether the leader is asked to stop and may hand over.
    pub fn asks_to_stop(self) -> bool {
        matches!(
            self,
            Self::Graceful | Self::RollingUpdate | Self::Scale | Self::Drain
        )
    }

    /// Whether the leader's process lives through it, and has no reason to end: it is to step down and stand by.
    pub fn is_survived(self) -> bool {
        !self.kills() && !self.asks_to_stop()
    }

    /// Whether the old leader may go on leading: nobody had a better right to the Lease.
    pub fn may_be_kept(self) -> bool {
        matches!(
            self,
            Self::LeaseDeleted | Self::RbacRevoked | Self::SlowWebhook | Self::ApiStop
        )
    }

    /// Whether calls still take place, slowly or without an answer, so that an elector may mistake a Lease that is
    /// written for one that is led. Somebody has to lead all the while, but for the time that one takeover takes.
    pub fn is_gray(self) -> bool {
        matches!(self, Self::SlowWebhook | Self::LostAnswers)
    }

    /// Whether only another replica can be the next leader.
    pub fn moves_away(self) -> bool {
        matches!(
            self,
            Self::CrashLoop
                | Self::Zombie
                | Self::Partition
                | Self::LostAnswers
                | Self::LateWrite
                | Self::RenewalsDenied
                | Self::NodeLoss
        )
    }

    /// From when on its limits count.
    pub fn onset(self) -> Onset {
        match self {
            Self::ApiStop | Self::RbacRevoked => Onset::Undone,
            Self::RollingUpdate | Self::Scale | Self::Drain => Onset::AskedToStop,
            Self::SlowWebhook => Onset::LastTerm,
            _ => Onset::Fault,
        }
    }

    /// Whether the leader may have renewed once more while the fault was being done, which then takes as long as its
    /// call.
    pub fn strikes_for_a_while(self) -> bool {
        self.kills()
            || matches!(
                self,
                Self::Zombie
                    | Self::Partition
                    | Self::LostAnswers
                    | Self::LateWrite
                    | Self::RenewalsDenied
                    | Self::HolderOverwritten
            )
    }

    /// By how much a limit for a takeover after this fault is extended because a standby only observes the renewals.
    ///
    /// A release is seen by a standby as well, but its bound leaves room for that: it is a whole retry period.
    pub fn observation_allowance(self) -> Duration {
        if self.asks_to_stop() {
            Duration::ZERO
        } else {
            OBSERVATION_ALLOWANCE
        }
    }
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::duration_millis;

    #[rstest::rstest]
    #[case(FaultKind::Graceful, 0.0)]
    #[case(FaultKind::RollingUpdate, 0.0)]
    #[case(FaultKind::Drain, 0.0)]
    #[case(FaultKind::NodeLoss, 100.0)]
    #[case(FaultKind::Crash, 100.0)]
    #[case(FaultKind::Partition, 100.0)]
    fn only_an_expiry_is_allowed_the_time_to_observe_it(
        #[case] fault: FaultKind,
        #[case] allowed: f64,
    ) {
        assert_eq!(duration_millis(fault.observation_allowance()), allowed);
    }

    #[test]
    fn the_name_printed_is_the_name_typed() {
        for fault in FaultKind::value_variants() {
            assert_eq!(fault.to_possible_value().unwrap().get_name(), fault.name());
            assert_eq!(serde_json::to_value(fault).unwrap(), fault.name());
        }
    }

    #[test]
    fn a_leader_that_is_not_killed_and_not_asked_to_stop_lives_on() {
        for fault in FaultKind::value_variants() {
            let ways = [fault.kills(), fault.asks_to_stop(), fault.is_survived()];
            assert_eq!(ways.iter().filter(|way| **way).count(), 1, "{fault}");
        }
    }

    #[test]
    fn a_death_that_nothing_tells_of_is_one_by_a_kill() {
        for fault in FaultKind::value_variants() {
            assert!(fault.kills() || !fault.is_silent_death(), "{fault}");
        }
    }

    #[test]
    fn who_must_move_away_can_not_be_kept() {
        for fault in FaultKind::value_variants() {
            assert!(!(fault.moves_away() && fault.may_be_kept()), "{fault}");
        }
    }
}

//! The table of faults: what each is, and what is promised after it. One fault, one file, one line of the table.
//!
//! How a fault is done to a cluster is no matter of the judge.

mod api_stop;
mod crash;
mod crash_loop;
mod drain;
mod entry;
mod graceful;
mod holder_overwritten;
mod late_write;
mod lease_deleted;
mod lost_answers;
mod node_loss;
mod pair_crash;
mod partition;
mod rbac_revoked;
mod renewals_denied;
mod rolling_update;
mod scale;
mod slow_webhook;
mod zombie;

use clap::ValueEnum;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    limit::{Limit, TakeoverLimits},
    settings::LeaseSettings,
};

pub use entry::{Fate, Fault, Hold, Onset, Renewals, Successor};
pub use holder_overwritten::STRANGER;

/// Makes the enum of the faults and the way from each to its entry.
macro_rules! table {
    ($($(#[$about:meta])+ $kind:ident: $file:ident,)+) => {
        /// What is done to the leader.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, ValueEnum, strum::Display, strum::IntoStaticStr,
            Serialize, Deserialize, JsonSchema,
        )]
        #[serde(rename_all = "kebab-case")]
        #[strum(serialize_all = "kebab-case")]
        pub enum FaultKind {
            $($(#[$about])+ $kind,)+
        }

        impl FaultKind {
            /// What is known of it.
            pub fn entry(self) -> &'static Fault {
                match self {
                    $(Self::$kind => &$file::FAULT,)+
                }
            }
        }
    };
}

table! {
    /// The leader's pod is deleted; it may release the Lease.
    Graceful: graceful,
    /// The leader's process gets SIGKILL; kubelet restarts it in the same pod.
    Crash: crash,
    /// The leader's process gets SIGKILL and its pod can't run it again.
    CrashLoop: crash_loop,
    /// The leader and one standby get SIGKILL together.
    PairCrash: pair_crash,
    /// The leader's process is stopped for longer than the lease, and goes on.
    Zombie: zombie,
    /// The leader's pod is cut off from the API server, and reached again.
    Partition: partition,
    /// The answers to the leader's requests are lost for a while; its requests arrive.
    LostAnswers: lost_answers,
    /// A write of the leader is held back, and the leader stopped, until another one leads.
    LateWrite: late_write,
    /// The Lease is deleted.
    LeaseDeleted: lease_deleted,
    /// A stranger's name is written into the Lease.
    HolderOverwritten: holder_overwritten,
    /// An admission policy denies the leader's renewals for a while.
    RenewalsDenied: renewals_denied,
    /// The operator may not touch its Lease for a while.
    RbacRevoked: rbac_revoked,
    /// Every write of the Lease takes seconds for a while, because of an admission webhook that does not answer.
    SlowWebhook: slow_webhook,
    /// The API server is stopped for longer than the lease, and goes on.
    ApiStop: api_stop,
    /// The pod template is changed.
    RollingUpdate: rolling_update,
    /// One replica less, which is the leader, and one more again.
    Scale: scale,
    /// The leader's node is lost in silence with everything on it, and comes back.
    NodeLoss: node_loss,
    /// The leader's node is cordoned and drained of the replicas, and uncordoned.
    Drain: drain,
}

impl FaultKind {
    /// The name as it is typed and printed.
    pub fn name(self) -> &'static str {
        self.into()
    }

    /// What a takeover after it is held against. `provable` says whether the elector is one that can prove a death.
    pub fn limits(self, settings: &LeaseSettings, provable: bool) -> TakeoverLimits {
        let entry = self.entry();
        let proven = provable && entry.provable;
        TakeoverLimits {
            lease: if proven {
                Limit::of_proof(settings)
            } else {
                (entry.limit)(settings)
            },
            work: Limit::of_work(settings),
            total: proven.then(|| Limit::of_proof(settings)),
        }
    }
}

#[cfg(test)]
mod tests;

//! Why a term begins, and why it ends: the words for the Lease, metrics, Events and log lines, and the sentence for people.

use strum::{Display, EnumString, IntoStaticStr, VariantArray};

/// Why a Lease may be taken.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, EnumString, Display, IntoStaticStr, VariantArray,
)]
#[strum(serialize_all = "kebab-case")]
pub enum Reason {
    /// Nobody holds it: it was released, or never held.
    Released,
    /// The holder has been silent for the duration that its record states.
    Expired,
    /// The holder's process is proven to be dead.
    Proof,
    /// The holder's process seems to be gone, and the fence is in force.
    Hint,
    /// The holder was an earlier life of this same pod.
    Reclaimed,
    /// The record names this very process: an answer was lost, or a term ended without a release.
    Own,
}

/// Why a term came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Display, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum Cause {
    /// The replica was told to stop and wound up its work, so that the Lease can be given back.
    Released,
    /// The Lease is somebody else's, or was deleted.
    Lost,
    /// No renewal was acknowledged before the renew deadline.
    Deadline,
    /// The work ended by itself.
    WorkEnded,
    /// The work panicked.
    WorkFailed,
    /// The work made no progress.
    WorkStuck,
    /// The work could not be stopped, and the process ends.
    WorkOutlived,
}

impl Cause {
    /// The sentence for people.
    pub fn why(self) -> &'static str {
        match self {
            Self::Released => "it was told to stop",
            Self::Lost => "the Lease was taken away or deleted",
            Self::Deadline => "the Lease could not be renewed before the renew deadline",
            Self::WorkEnded => "the work ended by itself",
            Self::WorkFailed => "the work failed",
            Self::WorkStuck => "the work made no progress",
            Self::WorkOutlived => "the work could not be stopped, so the process ends",
        }
    }
}

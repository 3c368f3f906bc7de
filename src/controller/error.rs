//! What can go wrong in the work, and how it is counted.

use std::{error::Error, iter};

use lease_election::term::Fenced;
use strum::{IntoStaticStr, VariantArray};

/// An operation of the controller that failed.
#[derive(Debug, thiserror::Error)]
pub enum ControllerError {
    /// The status of an object could not be written.
    #[error("failed to apply the status of ScheduledMachine {object}")]
    WriteStatus {
        /// Namespace and name.
        object: String,
        /// What the API server or the way there said.
        #[source]
        source: Box<kube::Error>,
    },
    /// Something in the cluster could not be changed.
    #[error("failed to {action} for ScheduledMachine {object}")]
    Act {
        /// Namespace and name.
        object: String,
        /// What was to be done.
        action: String,
        /// What the API server or the way there said.
        #[source]
        source: Box<kube::Error>,
    },
    /// There is an object of the same name that belongs to somebody else.
    #[error("the {part} of ScheduledMachine {object} can't be created: {}", name_taken(.part))]
    NameTaken {
        /// Namespace and name.
        object: String,
        /// Which object.
        part: &'static str,
    },
    /// The watch that fills the caches is over, though it should never end.
    #[error("the watch on ScheduledMachines ended")]
    FeedEnded,
}

/// There is an object of the name that is somebody else's.
pub(super) fn name_taken(part: &str) -> String {
    format!("another {part} of this name has a different owner; it is not changed")
}

/// Kinds of failures, as a metric's label.
#[derive(Clone, Copy, Debug, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub enum Category {
    /// Listing or watching failed and is retried.
    Watch,
    /// An object that can't be read at all.
    Unreadable,
    /// Writing a status failed and is retried.
    Status,
    /// Changing something else in a cluster failed and is retried.
    Action,
    /// An Event could not be written.
    Event,
}

/// What an eviction came to, as a metric's label.
#[derive(Clone, Copy, Debug, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "lowercase")]
pub(super) enum Eviction {
    /// The pod is on its way out.
    Evicted,
    /// A disruption budget forbids it for now.
    Held,
    /// It was refused for another reason, or not answered.
    Failed,
}

impl ControllerError {
    /// Whether the API server's fence refused it.
    pub fn is_fenced(&self) -> bool {
        let first: Option<&(dyn Error + 'static)> = Some(self);
        iter::successors(first, |&error| error.source()).any(<dyn Error>::is::<Fenced>)
    }

    /// How the failure is counted.
    pub fn category(&self) -> Category {
        match self {
            Self::WriteStatus { .. } => Category::Status,
            Self::Act { .. } | Self::NameTaken { .. } => Category::Action,
            Self::FeedEnded => Category::Watch,
        }
    }
}

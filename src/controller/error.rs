//! What can go wrong in the work, and how it is counted.

use std::{error::Error, iter};

use crate::{machine::WorkloadError, term::Fenced};

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
    /// A step on an object that a `ScheduledMachine` consists of, or on its Node, failed.
    #[error("failed to {action} {object}")]
    Step {
        /// In one word, for people.
        reason: &'static str,
        /// What was attempted.
        action: String,
        /// On what.
        object: String,
        /// What the API server or the way there said.
        #[source]
        source: Box<kube::Error>,
    },
    /// An object of somebody else has a name that is needed.
    #[error(
        "{object} is there already and is not of this ScheduledMachine; it is left alone. Delete it, or name the \
         ScheduledMachine differently"
    )]
    NameTaken {
        /// What it is, with namespace and name.
        object: String,
    },
    /// The cluster of the Node can't be reached.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// The watch that fills the caches is over, though it should never end.
    #[error("the watch on ScheduledMachines ended")]
    FeedEnded,
}

/// Kinds of failures, as a metric's label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Category {
    /// Listing or watching failed and is retried.
    Watch,
    /// An object that can't be read at all.
    Unreadable,
    /// Writing a status failed and is retried.
    Status,
    /// An Event could not be written.
    Event,
    /// A step on an object of Cluster API or on a Node failed and is retried.
    Machine,
    /// A deleted object was let go before all that it consisted of was gone.
    Cleanup,
}

impl ControllerError {
    /// Whether the API server's fence refused it.
    pub fn is_fenced(&self) -> bool {
        let first: Option<&(dyn Error + 'static)> = Some(self);
        iter::successors(first, |&error| error.source()).any(<dyn Error>::is::<Fenced>)
    }

    pub(super) fn step(
        reason: &'static str,
        action: &str,
        object: String,
        source: kube::Error,
    ) -> Self {
        Self::Step {
            reason,
            action: action.to_owned(),
            object,
            source: Box::new(source),
        }
    }

    /// The failure in one word, for people.
    pub(super) fn reason(&self) -> &'static str {
        match self {
            Self::Step { reason, .. } => reason,
            Self::NameTaken { .. } => "NameTaken",
            Self::Workload(_) => "ClusterUnreachable",
            Self::WriteStatus { .. } | Self::FeedEnded => "ReconcileFailed",
        }
    }

    /// How the failure is counted.
    pub fn category(&self) -> Category {
        match self {
            Self::WriteStatus { .. } => Category::Status,
            Self::FeedEnded => Category::Watch,
            Self::Step { .. } | Self::NameTaken { .. } | Self::Workload(_) => Category::Machine,
        }
    }
}

impl Category {
    /// All of them.
    pub(super) const ALL: [Self; 6] = [
        Self::Watch,
        Self::Unreadable,
        Self::Status,
        Self::Event,
        Self::Machine,
        Self::Cleanup,
    ];

    /// The category as a label's value.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Watch => "watch",
            Self::Unreadable => "unreadable",
            Self::Status => "status",
            Self::Event => "event",
            Self::Machine => "machine",
            Self::Cleanup => "cleanup",
        }
    }
}

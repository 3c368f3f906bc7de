//! What a plan is made of.

use super::action::Action;
use crate::api::ScheduledMachineStatus;

/// One thing to do.
///
/// A status that a crash left unwritten is written after planning again. A change of phase that a crash left
/// unannounced stays so: the status that it is recognised by is written before.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::controller) enum Step {
    /// Write the status.
    WriteStatus(Box<ScheduledMachineStatus>),
    /// Tell people what happened.
    Announce(Announcement),
    /// Change something in the cluster, then look again. The last step of a plan, if any.
    Act(Action),
}

/// News for an Event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) struct Announcement {
    /// What happened, in one word.
    pub(in crate::controller) reason: &'static str,
    /// What was done.
    pub(in crate::controller) action: &'static str,
    /// What happened, in words.
    pub(in crate::controller) note: String,
    /// Whether somebody should do something about it.
    pub(in crate::controller) is_warning: bool,
}

//! `graceful`: the leader's pod is deleted, as in a rolling update or a drain.

use super::entry::{Fate, Fault};
use crate::limit::Limit;

pub(super) const FAULT: Fault = Fault {
    about: "deletes the leader's pod",
    proves: "a leader that is asked to stop stops its work, releases, and a standby takes over at once",
    fate: Fate::AskedToStop,
    limit: |settings| Limit::of_release(settings, ""),
    takes_time: false,
    ..Fault::USUAL
};

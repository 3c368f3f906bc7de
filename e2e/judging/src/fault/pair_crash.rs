//! `pair-crash`: SIGKILL for the process of one standby and for the leader's, one right after the other.

use super::entry::{Fate, Fault};
use crate::limit::Limit;

pub(super) const FAULT: Fault = Fault {
    about: "kills the leader's process and a standby's with SIGKILL, together",
    proves: "a takeover does not depend on the standby that was there: a restarted one finds out that the leader is dead",
    fate: Fate::Killed,
    limit: |settings| {
        Limit::of_silence(settings, |d| {
            format!(
                "whoever runs first takes the Lease, at the latest LEASE_DURATION_SECONDS={d} after the last renewal"
            )
        })
    },
    ..Fault::USUAL
};

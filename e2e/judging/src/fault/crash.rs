//! `crash`: SIGKILL for the leader's process, sent from its node.

use super::entry::{Fate, Fault};
use crate::limit::Limit;

pub(super) const FAULT: Fault = Fault {
    about: "kills the leader's process with SIGKILL; kubelet may restart it",
    proves: "a leader that dies without a word is followed by another term, by proof of its death, a hint, or its own pod",
    fate: Fate::Killed,
    limit: |settings| {
        Limit::of_silence(settings, |d| {
            format!(
                "the restarted pod reclaims its own Lease, or a standby takes it LEASE_DURATION_SECONDS={d} after it \
                 saw the last renewal"
            )
        })
    },
    provable: true,
    restarts_in_place: true,
    ..Fault::USUAL
};

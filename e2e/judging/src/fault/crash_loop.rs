//! `crash-loop`: SIGKILL for the leader's process, and its pod can't run it again.

use super::entry::{Fate, Fault, Successor};

pub(super) const FAULT: Fault = Fault {
    about: "kills the leader's process with SIGKILL and keeps its pod down",
    proves: "another replica takes over from a dead leader: nobody released, and nobody can reclaim",
    fate: Fate::Killed,
    successor: Successor::Another,
    provable: true,
    leaves_broken_pod: true,
    ..Fault::USUAL
};

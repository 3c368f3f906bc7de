//! `zombie`: the leader's process is stopped by SIGSTOP for longer than the lease, and goes on.

use std::time::Duration;

use super::entry::{Fault, Hold, Successor};

pub(super) const FAULT: Fault = Fault {
    about: "stops the leader's process with SIGSTOP for longer than the lease, then SIGCONT",
    proves: "a leader that wakes up after its lease writes nothing that is accepted, and stands by without a restart",
    successor: Successor::Another,
    hold: |settings| Hold::beyond_lease(settings, Duration::from_millis(500)),
    // Long enough to see it write, if it does, and contend again.
    aftermath: |settings| settings.retry_period() * 2,
    ..Fault::USUAL
};

//! `partition`: the leader's pod is cut off from the API server, and reached again.

use std::time::Duration;

use super::entry::{Fault, Hold, Successor};

/// How much longer than the lease it lasts.
const BEYOND_LEASE: Duration = Duration::from_secs(1);

pub(super) const FAULT: Fault = Fault {
    about: "drops all packets between the leader's pod and the API server for longer than the lease",
    proves: "a leader that can't renew gives up in time, and a write of it that arrives late is refused",
    successor: Successor::Another,
    hold: |settings| Hold::beyond_lease(settings, BEYOND_LEASE),
    // The pause before the next repetition of a packet doubles each time, so it comes at the latest when the same time has
    // passed once more.
    aftermath: |settings| settings.duration() + BEYOND_LEASE * 2,
    ..Fault::USUAL
};

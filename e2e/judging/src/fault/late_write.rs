//! `late-write`: a write of the leader is held up on its way, the leader is stopped, and the write arrives when another
//! one leads.

use std::time::Duration;

use super::entry::{Fault, Hold, Successor};

pub(super) const FAULT: Fault = Fault {
    about: "holds a write of the leader back on its way and stops the leader; both go on when another one leads",
    proves: "a write that was sent in time and arrives too late is refused by the API server",
    successor: Successor::Another,
    hold: |settings| Hold::beyond_lease(settings, Duration::from_millis(500)),
    // Long enough for what was held back, and for the leader to contend again.
    aftermath: |settings| settings.retry_period() * 2,
    ..Fault::USUAL
};

//! `renewals-denied`: an admission policy denies the leader's pod every update of the Lease.

use std::time::Duration;

use super::entry::{Fault, Hold, Renewals, Successor};

pub(super) const FAULT: Fault = Fault {
    about: "denies the leader's pod every update of the Lease, by an admission policy",
    proves: "a leader whose renewals are refused gives up at its renew deadline, and a standby follows",
    successor: Successor::Another,
    hold: |_| Hold::UntilTakeover(Duration::ZERO),
    renewals: Some(Renewals::Refused),
    ..Fault::USUAL
};

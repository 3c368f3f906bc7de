//! `node-loss`: the leader's node falls silent and everything on it ends, as when a machine loses its power.

use std::time::Duration;

use super::entry::{Fate, Fault, Hold, Successor};
use crate::limit::Limit;

pub(super) const FAULT: Fault = Fault {
    about: "cuts the leader's node off, kills everything on it, and starts it again when another replica leads",
    proves: "a leader lost in silence, of which nothing tells, is followed when its Lease has expired and not before",
    fate: Fate::KilledInSilence,
    successor: Successor::Another,
    limit: |settings| {
        Limit::of_silence(settings, |d| {
            format!(
                "a lost node says nothing, neither that the leader's process has ended nor that it goes on: a standby \
                 takes the Lease LEASE_DURATION_SECONDS={d} after it saw the last renewal"
            )
        })
    },
    hold: |_| Hold::UntilTakeover(Duration::ZERO),
    ..Fault::USUAL
};

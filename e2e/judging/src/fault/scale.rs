//! `scale`: one replica less, and that one is the leader, then one more again.

use std::time::Duration;

use super::entry::{Fate, Fault, Hold, Onset};
use crate::limit::Limit;

pub(super) const FAULT: Fault = Fault {
    about: "scales down by one replica, the leader, and up again",
    proves: "scaling down hands over once, and a replica that joins takes nothing from the leader",
    fate: Fate::AskedToStop,
    limit: |settings| Limit::of_release(settings, ", which its pod is seen to be,"),
    onset: Onset::AskedToStop,
    hold: |_| Hold::UntilTakeover(Duration::ZERO),
    takes_time: false,
    ..Fault::USUAL
};

//! `drain`: the leader's node is cordoned and its replicas are evicted, as `kubectl drain` does.

use super::entry::{Fate, Fault, Hold, Onset};
use crate::limit::Limit;

pub(super) const FAULT: Fault = Fault {
    about: "cordons the leader's node, evicts the replicas on it against the disruption budget, and uncordons it",
    proves: "a node can be emptied within the disruption budget, and leadership moves once, to a replica that stays",
    fate: Fate::AskedToStop,
    limit: |settings| Limit::of_release(settings, ", which its pod is seen to be,"),
    onset: Onset::AskedToStop,
    hold: |_| Hold::UntilRolledOut,
    takes_time: false,
    ..Fault::USUAL
};

//! `rolling-update`: the pod template is changed, and every replica is replaced.

use super::entry::{Fate, Fault, Hold, Onset};
use crate::limit::Limit;

pub(super) const FAULT: Fault = Fault {
    about: "changes the pod template, so that every replica is replaced",
    proves: "a rollout moves leadership exactly once, to a replica that stays",
    fate: Fate::AskedToStop,
    limit: |settings| Limit::of_release(settings, ", which its pod is seen to be,"),
    onset: Onset::AskedToStop,
    hold: |_| Hold::UntilRolledOut,
    takes_time: false,
    replaces_all: true,
    ..Fault::USUAL
};

//! Handovers that a rollout makes necessary.
//!
//! A rollout that may go below the wanted replicas (`maxUnavailable` above 0) may take the leader before any replica of the
//! new template is Ready. Then leadership can only go to a replica that is itself replaced next, and has to move once more.

use crate::{
    judge::{
        reading::Reading,
        takeover::{Reason, Takeover},
    },
    observed::{PodSeen, Presence, trial::present},
};

/// How many handovers, beyond the one that every rollout makes, could not be avoided. One that was not announced could.
pub(super) fn forced_handovers(reading: &Reading<'_>) -> usize {
    if !reading.data.id.fault.entry().replaces_all {
        return 0;
    }
    let old = replica_set(reading.data.before.pod());
    let before_the_last = reading.takeovers.iter().rev().skip(1);
    let is_forced = |takeover: &&Takeover| {
        takeover.reason == Reason::Released
            && replica_set(takeover.to.pod()) == old
            && !has_new_replica(reading, takeover, old)
    };
    before_the_last.filter(is_forced).count()
}

/// Whether a replica of another template than the old one was Ready when the leader was asked to stop.
fn has_new_replica(reading: &Reading<'_>, takeover: &Takeover, old: &str) -> bool {
    let pods = &reading.data.pods;
    let is_asked =
        |pod: &&PodSeen| pod.name == takeover.from.pod() && pod.presence != Presence::Staying;
    let asked = pods
        .iter()
        .find(is_asked)
        .map_or(takeover.seen, |pod| pod.at);
    let until_then: Vec<PodSeen> = pods.iter().filter(|pod| pod.at <= asked).cloned().collect();
    present(&until_then)
        .into_values()
        .any(|pod| pod.ready && pod.presence == Presence::Staying && replica_set(&pod.name) != old)
}

/// The replica set of a pod, which names its pods after itself, with a dash and five characters of its own.
fn replica_set(pod: &str) -> &str {
    pod.rsplit_once('-').map_or(pod, |(set, _)| set)
}

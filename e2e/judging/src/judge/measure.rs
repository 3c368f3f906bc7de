//! The numbers of a trial, and by how much each may be wrong.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clock::{Millis, Stamp, duration_millis},
    fault::Onset,
    judge::takeover::{Reason, Takeover},
    observed::{
        ApiCall, ClockMap, LeaseSeen, OwnCall, Presence, TrialData, Unobserved,
        audit::purpose::{CANARY, LOOK, LOOK_PERIOD},
    },
};

/// A change of the canary that took longer than this to be seen by the operator counts as late.
const LATE_MS: Millis = 1000.0;

/// When each phase was reached, in milliseconds after the onset: the moment from which the promise counts. For most
/// faults that is when the fault was issued.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Phases {
    /// How long after the fault was issued the onset came; 0 for most faults.
    #[serde(default)]
    pub onset_ms: Millis,
    /// The call that does the fault was back.
    pub fault_returned_ms: Option<Millis>,
    /// What the fault did was undone, where it lasted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undone_ms: Option<Millis>,
    /// The old leader's process was dead: for a kill the call is back, else its pod is seen without a running container.
    pub process_dead_ms: Option<Millis>,
    /// The Lease was released.
    pub released_ms: Option<Millis>,
    /// Lease failover: the Lease named another holder or another process life.
    pub lease_ms: Option<Millis>,
    /// From the last blow that the old leader got to the new holder: what the limits are for. A fault that keeps the pod
    /// down may hit more than once.
    pub lease_since_last_blow_ms: Option<Millis>,
    /// From the release to the new holder.
    pub release_to_holder_ms: Option<Millis>,
    /// Work failover: the new leader's first work write was accepted, by the audit log.
    pub work_ms: Option<Millis>,
    /// All replicas were Ready again.
    pub replicas_restored_ms: Option<Millis>,
    /// The disruption budget allowed a disruption again.
    pub budget_restored_ms: Option<Millis>,
}

/// By how much the numbers of a trial may be wrong, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct MeasuringError {
    /// Of a time from the audit log: half of what the harness's own requests leave open; absent when none was found.
    pub clock_ms: Option<Millis>,
    /// The longest delay of the Lease watch behind the audit log; without an audit log the longest that it can have been.
    /// Not an error where both saw every state of the Lease, for then the audit log's moment counts.
    pub watch_lag_ms: Millis,
    /// How long the call took within which the process died; 0 where the fault is the call itself. The leader may have
    /// renewed once more meanwhile.
    pub kill_ms: Millis,
    /// What an expiry is allowed beyond the lease duration because a standby only observes the renewals; 0 where the
    /// takeover is not by expiry.
    pub observation_ms: Millis,
    /// Of every number of the trial, and granted to every limit.
    pub total_ms: Millis,
}

impl MeasuringError {
    /// By how much a limit for a time since the fault is extended.
    pub fn since_fault_ms(&self) -> Millis {
        self.total_ms + self.kill_ms + self.observation_ms
    }
}

impl std::fmt::Display for MeasuringError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.1} ms measuring error", self.total_ms)?;
        if self.kill_ms > 0.0 {
            write!(f, ", {:.0} ms for the kill", self.kill_ms)?;
        }
        if self.observation_ms > 0.0 {
            write!(
                f,
                ", {:.0} ms for a standby to see the last renewal and take the Lease",
                self.observation_ms
            )?;
        }
        Ok(())
    }
}

/// What became of the changes that the harness made to the canary.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct CanaryCount {
    /// Changes that the API server accepted.
    pub changed: usize,
    /// Of these, covered by an accepted status write of this or a later generation.
    pub covered: usize,
    /// Never covered.
    pub lost: usize,
    /// Covered later than a second after the change.
    pub late: usize,
    /// The longest that a change waited to be covered, in milliseconds.
    pub longest_ms: Option<Millis>,
}

/// The measuring error of a trial.
pub(super) fn error(
    data: &TrialData,
    history: &[LeaseSeen],
    map: Option<&ClockMap>,
) -> MeasuringError {
    let strike = &data.strike;
    let kill_ms = if data.id.fault.entry().takes_time {
        strike.returned.since(strike.issued)
    } else {
        0.0
    };
    let observation_ms = duration_millis(data.id.fault.entry().observation_allowance());
    if !data.observes(Unobserved::Audit) {
        let watch_lag_ms = watch_error_ms(data);
        return MeasuringError {
            clock_ms: None,
            watch_lag_ms,
            kill_ms,
            observation_ms,
            total_ms: watch_lag_ms,
        };
    }
    let Some(map) = map else {
        return MeasuringError {
            kill_ms,
            observation_ms,
            ..MeasuringError::default()
        };
    };
    let write_of = |seen: &LeaseSeen| {
        let version = Some(seen.record.resource_version);
        data.calls.iter().find(|call| {
            call.is_lease()
                && call.is_write()
                && call.accepted()
                && call.resource_version == version
        })
    };
    let lag = |seen: &LeaseSeen| Some(seen.at.since(map.stamp(write_of(seen)?.completed)));
    // A watch may be ahead of the answer to the writer; that is no delay.
    let watch_lag_ms = data.leases.iter().filter_map(lag).fold(0.0, f64::max);
    let mut judged = history
        .iter()
        .filter(|seen| seen.record.resource_version >= data.before.resource_version);
    let audited = !map.stepped && judged.all(|seen| write_of(seen).is_some());
    let total_ms = if audited {
        map.error_ms
    } else {
        map.error_ms + watch_lag_ms
    };
    MeasuringError {
        clock_ms: Some(map.error_ms),
        watch_lag_ms,
        kill_ms,
        observation_ms,
        total_ms,
    }
}

pub(super) fn phases(
    data: &TrialData,
    takeover: Option<&Takeover>,
    first_write: Option<&ApiCall>,
    map: Option<&ClockMap>,
) -> Phases {
    let onset = onset(data, takeover, map);
    let after = |stamp: Option<Stamp>| stamp.map(|stamp| stamp.since(onset));
    let released = takeover.and_then(|takeover| takeover.released);
    Phases {
        onset_ms: onset.since(data.strike.issued),
        fault_returned_ms: after(Some(data.strike.returned)),
        undone_ms: after(data.strike.undone),
        process_dead_ms: after(process_dead(data)),
        released_ms: after(released),
        lease_ms: after(takeover.map(|takeover| takeover.seen)),
        lease_since_last_blow_ms: takeover
            .map(|takeover| takeover.seen.since(last_blow(data, takeover, onset))),
        release_to_holder_ms: takeover
            .and_then(|takeover| Some(takeover.seen.since(takeover.released?))),
        work_ms: first_write
            .zip(map)
            .map(|(call, map)| map.stamp(call.completed).since(onset)),
        replicas_restored_ms: after(data.recovery.replicas),
        budget_restored_ms: after(data.recovery.budget),
    }
}

/// The moment from which what is promised counts.
fn onset(data: &TrialData, takeover: Option<&Takeover>, map: Option<&ClockMap>) -> Stamp {
    let issued = data.strike.issued;
    match data.id.fault.entry().onset {
        Onset::Fault => issued,
        Onset::Undone => data.strike.undone.unwrap_or(issued),
        Onset::LastTerm => match takeover {
            Some(takeover) if takeover.reason != Reason::Own => {
                last_sign(data, takeover, map).max(issued)
            }
            _ => data.strike.undone.unwrap_or(issued),
        },
        Onset::AskedToStop => {
            let leader = takeover.map_or(data.before.pod(), |takeover| takeover.from.pod());
            let audited = data
                .calls
                .iter()
                .find(|call| call.is_end_of_pod() && call.name == leader);
            let audited = audited.zip(map).map(|(call, map)| map.stamp(call.received));
            let watched = data.pods.iter().find(|pod| {
                pod.name == leader && pod.at >= issued && pod.presence != Presence::Staying
            });
            audited
                .or(watched.map(|pod| pod.at))
                .map_or(issued, |asked| asked.max(issued))
        }
    }
}

/// When the old leader last showed before the takeover that its term went on: by its last work write, and where work is
/// not looked at by its last renewal.
fn last_sign(data: &TrialData, takeover: &Takeover, map: Option<&ClockMap>) -> Stamp {
    let renewed = Stamp::from(f64::from(takeover.seen) - takeover.silence_ms);
    let Some(map) = map.filter(|_| data.observes(Unobserved::Work)) else {
        return renewed;
    };
    let leader = takeover.from.pod();
    let works = |call: &&ApiCall| {
        call.pod.as_deref() == Some(leader) && call.accepted() && data.is_work(call)
    };
    let writes = data.calls.iter().filter(works);
    let worked = writes
        .map(|call| map.stamp(call.completed))
        .filter(|at| *at <= takeover.seen)
        .max();
    worked.unwrap_or(renewed)
}

/// The last blow that the old leader got before the takeover.
fn last_blow(data: &TrialData, takeover: &Takeover, onset: Stamp) -> Stamp {
    let strike = &data.strike;
    let before = strike.repeated.iter().copied();
    before
        .filter(|blow| *blow <= takeover.seen)
        .max()
        .unwrap_or(onset)
}

fn process_dead(data: &TrialData) -> Option<Stamp> {
    if data.id.fault.entry().kills() {
        // SIGKILL is delivered before the call is back, and no process outlives it.
        return Some(data.strike.returned);
    }
    data.pods
        .iter()
        .find(|pod| {
            pod.name == data.before.pod()
                && pod.at >= data.strike.issued
                && (pod.presence == Presence::Gone || !pod.running)
        })
        .map(|pod| pod.at)
}

/// What became of the canary's changes.
pub(super) fn canary(data: &TrialData, writes: &[&ApiCall], map: Option<&ClockMap>) -> CanaryCount {
    let mut answers: Vec<(&ApiCall, Stamp)> = map.map_or_else(Vec::new, |map| {
        writes
            .iter()
            .filter(|call| data.work.may_answer(call))
            .map(|call| (*call, map.stamp(call.completed)))
            .collect()
    });
    answers.sort_by_key(|(_, at)| *at);
    let mut count = CanaryCount::default();
    for change in data
        .own
        .iter()
        .filter(|own| own.purpose == CANARY && own.is_accepted())
    {
        count.changed += 1;
        let answer = answers
            .iter()
            .find(|(call, _)| data.work.answers(call, change, map));
        match answer {
            Some((_, at)) => {
                let waited = at.since(change.sent);
                count.covered += 1;
                count.late += usize::from(waited > LATE_MS);
                count.longest_ms = Some(
                    count
                        .longest_ms
                        .map_or(waited, |longest: f64| longest.max(waited)),
                );
            }
            None => count.lost += 1,
        }
    }
    count
}

/// Without an audit log: by how much the watch may have been late.
///
/// Beside the watch the Lease is read again and again. What was stored before a read was sent is in its answer, so it
/// was seen at the latest when the first read that began after it was answered.
fn watch_error_ms(data: &TrialData) -> Millis {
    let looks: Vec<&OwnCall> = data
        .own
        .iter()
        .filter(|own| own.purpose == LOOK && own.code != 0)
        .collect();
    looks
        .windows(2)
        .filter_map(|pair| match pair {
            [before, after] if !data.was_stopped_between(before.sent, after.answered) => {
                Some(after.answered.since(before.sent))
            }
            _ => None,
        })
        .fold(duration_millis(LOOK_PERIOD), f64::max)
}

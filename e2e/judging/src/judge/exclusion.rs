//! Finds writes by replicas that did not hold the Lease: the split brain that an election exists to exclude.
//!
//! Two writes are ordered by their `resourceVersion` where the audit log has it, else by the API server's clock alone;
//! the harness's clock takes no part. A write is accused only when it can't have been within a term of its pod: one
//! that was on its way while the Lease changed is given the benefit of the doubt.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Millis,
    judge::takeover::Takeover,
    observed::{ApiCall, ClockMap, LeaseSeen, Wall},
};

/// How long before its arrival on the watch a Lease write may have been received, where the audit log does not say.
const UNSEEN_WRITE_MICROS: i64 = 1_000_000;

/// A stretch of time in which one pod held the Lease.
#[derive(Clone, Debug, PartialEq)]
pub struct Tenure {
    /// The holder.
    pub pod: String,
    /// The write that took the Lease; `None` when that was before the history begins.
    pub begins: Option<Boundary>,
    /// The write that ended it; `None` when it lasts.
    pub ends: Option<Boundary>,
}

/// A takeover, and the write that made it as a point in the order of all writes.
#[derive(Clone, Copy, Debug)]
pub struct Take<'a> {
    /// The takeover.
    pub takeover: &'a Takeover,
    /// Its write.
    pub at: Boundary,
}

/// A Lease write as a point in the order of all writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Boundary {
    /// Revision of the store.
    pub resource_version: u64,
    /// Not earlier than this was it received.
    pub received: Wall,
    /// Not later than this was it stored.
    pub completed: Wall,
}

/// A write that should not have been accepted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StrayWrite {
    /// Who wrote.
    pub pod: String,
    /// What was written.
    pub what: String,
    /// How long after the write that made it wrong it was answered, in milliseconds; negative when it came before the
    /// pod took the Lease.
    pub late_ms: Millis,
    /// Its audit event.
    pub audit_id: String,
}

/// What the audit log says about who wrote when.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Exclusion {
    /// Accepted work writes by the old leader after the first one of the new leader.
    pub overlap: Vec<StrayWrite>,
    /// Accepted work writes by a pod while it certainly did not hold the Lease.
    pub by_non_holder: Vec<StrayWrite>,
    /// Accepted work writes whose pod the audit log does not name.
    pub unnamed: usize,
    /// Accepted work writes that were looked at.
    pub writes: usize,
    /// Work writes that the API server refused to their writer: what a fence is for. They did no harm.
    #[serde(default)]
    pub refused: usize,
    /// Work writes that ended with an error of the API server: whether they were stored is not told.
    #[serde(default)]
    pub unanswered: usize,
}

/// The tenures in a Lease history in store order, bounded by the writes in the audit log.
pub fn tenures(history: &[LeaseSeen], calls: &[ApiCall], map: Option<&ClockMap>) -> Vec<Tenure> {
    let mut found: Vec<Tenure> = Vec::new();
    let mut current: Option<&LeaseSeen> = None;
    for seen in history {
        let same = current.is_some_and(|last| {
            !last.deleted && !seen.deleted && last.record.same_term(&seen.record)
        });
        if !same {
            let boundary = boundary(seen, calls, map);
            if let Some(last) = found.last_mut().filter(|last| last.ends.is_none()) {
                last.ends = Some(boundary);
            }
            if !seen.deleted && !seen.record.is_free() {
                let begins = current.is_some().then_some(boundary);
                found.push(Tenure {
                    pod: seen.record.pod().to_owned(),
                    begins,
                    ends: None,
                });
            }
        }
        current = Some(seen);
    }
    found
}

fn boundary(seen: &LeaseSeen, calls: &[ApiCall], map: Option<&ClockMap>) -> Boundary {
    let resource_version = seen.record.resource_version;
    let write = calls.iter().find(|call| {
        call.is_lease()
            && call.is_write()
            && call.accepted()
            && call.resource_version == Some(resource_version)
    });
    match (write, map) {
        (Some(call), _) => Boundary {
            resource_version,
            received: call.received,
            completed: call.completed,
        },
        (None, Some(map)) => {
            #[expect(clippy::cast_possible_truncation, reason = "an error of milliseconds")]
            let error = (map.error_ms * 1000.0).ceil() as i64;
            let arrived = map.wall(seen.at);
            Boundary {
                resource_version,
                received: Wall(arrived.0 - UNSEEN_WRITE_MICROS - error),
                completed: Wall(arrived.0 + error),
            }
        }
        // Ordered by revision alone.
        (None, None) => Boundary {
            resource_version,
            received: Wall(i64::MIN),
            completed: Wall(i64::MAX),
        },
    }
}

impl<'a> Take<'a> {
    /// The takeover, placed by its write in the audit log, or by its arrival.
    pub fn of(takeover: &'a Takeover, calls: &[ApiCall], map: Option<&ClockMap>) -> Self {
        let seen = LeaseSeen {
            at: takeover.seen,
            record: takeover.to.clone(),
            deleted: false,
        };
        Self {
            takeover,
            at: boundary(&seen, calls, map),
        }
    }
}

impl Boundary {
    /// Whether `call` was certainly executed after this write.
    ///
    /// An answer never shows a revision older than what was stored when it was made, so a higher one proves it even
    /// for a write that changed nothing.
    fn is_before(&self, call: &ApiCall) -> bool {
        call.resource_version
            .is_some_and(|version| version > self.resource_version)
            || call.received > self.completed
    }
}

impl Tenure {
    /// Whether `call` may have been made within this tenure.
    fn may_cover(&self, call: &ApiCall) -> bool {
        let begun = self
            .begins
            .is_none_or(|begins| call.received >= begins.received);
        begun && !self.ends.is_some_and(|ends| ends.is_before(call))
    }
}

/// The first accepted work write of the new leader after it took the Lease.
pub fn first_write<'a>(
    writes: &[&'a ApiCall],
    take: &Take<'_>,
    tenures: &[Tenure],
) -> Option<&'a ApiCall> {
    let to = &take.takeover.to;
    // The term may have begun earlier: a leader that was kept goes on with it.
    let tenure = tenures.iter().rfind(|tenure| {
        tenure.pod == to.pod()
            && tenure
                .begins
                .is_none_or(|begins| begins.resource_version <= to.resource_version)
    })?;
    writes
        .iter()
        .filter(|call| call.pod.as_deref() == Some(tenure.pod.as_str()) && tenure.may_cover(call))
        // A restarted pod has the same name as its predecessor, whose last writes were before the new process began.
        .filter(|call| take.at.is_before(call))
        .min_by_key(|call| call.completed)
        .copied()
}

/// Judges the accepted work writes of one trial.
pub fn examine(writes: &[&ApiCall], take: Option<&Take<'_>>, tenures: &[Tenure]) -> Exclusion {
    let mut exclusion = Exclusion {
        writes: writes.len(),
        unnamed: writes.iter().filter(|call| call.pod.is_none()).count(),
        ..Exclusion::default()
    };
    let strays = writes.iter().filter_map(|call| {
        let pod = call.pod.as_deref()?;
        let own = || tenures.iter().filter(|tenure| tenure.pod == pod);
        if own().any(|tenure| tenure.may_cover(call)) {
            return None;
        }
        let lost = own()
            .filter_map(|tenure| tenure.ends)
            .rfind(|ends| ends.is_before(call));
        let gained = own().find_map(|tenure| tenure.begins);
        let late_ms = lost
            .or(gained)
            .map_or(0.0, |boundary| call.completed.since(boundary.completed));
        Some(stray(call, pod, late_ms))
    });
    exclusion.by_non_holder = strays.collect();
    if let Some((take, first)) = take.and_then(|t| Some((t, first_write(writes, t, tenures)?))) {
        exclusion.overlap = overlap(writes, take.takeover, first, tenures);
    }
    exclusion
}

fn overlap(
    writes: &[&ApiCall],
    takeover: &Takeover,
    first: &ApiCall,
    tenures: &[Tenure],
) -> Vec<StrayWrite> {
    // A later process of the same pod, by whatever name: the one before it is dead.
    if takeover.from.pod() == takeover.to.pod() {
        return Vec::new();
    }
    let first_boundary = Boundary {
        // A first write that changed nothing shows an older revision, but it came after the Lease was taken.
        resource_version: first.resource_version.map_or(u64::MAX, |version| {
            version.max(takeover.to.resource_version)
        }),
        received: first.received,
        completed: first.completed,
    };
    let old = takeover.from.pod();
    // A term that the old leader won back later is its own again.
    let won_back = |call: &ApiCall| {
        tenures.iter().any(|tenure| {
            tenure.pod == old
                && tenure
                    .begins
                    .is_some_and(|begins| begins.resource_version > takeover.to.resource_version)
                && tenure.may_cover(call)
        })
    };
    writes
        .iter()
        .filter(|call| {
            call.pod.as_deref() == Some(old) && first_boundary.is_before(call) && !won_back(call)
        })
        .map(|call| stray(call, old, call.completed.since(first.completed)))
        .collect()
}

fn stray(call: &ApiCall, pod: &str, late_ms: Millis) -> StrayWrite {
    StrayWrite {
        pod: pod.to_owned(),
        what: call.phrase(),
        late_ms,
        audit_id: call.audit_id.clone(),
    }
}

#[cfg(test)]
mod tests;

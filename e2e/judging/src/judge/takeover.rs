//! Reads from the history of a Lease how its leader changed, and whether there was a reason for it.

mod claim;
mod succession;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clock::{Millis, Stamp, duration_millis},
    named::named,
    observed::{LeaseRecord, LeaseSeen},
};

pub use claim::Evidence;
pub use succession::{history_of_terms, principal, without_stranger};

named! {
    "kebab-case",
    /// Why another replica, or another process life, may hold the Lease.
    pub enum Reason {
        /// The Lease was emptied first; by whom, only the audit log can say.
        Released,
        /// The old holder was silent for as long as its record promised to be left alone.
        Expired,
        /// Kubelet had reported the end of the very process that held it.
        Proof,
        /// The harness had killed the process that held it, and the fence was in place for the case that it had not.
        Hint,
        /// The same pod came back as a new process; its predecessor is dead by construction.
        Reclaimed,
        /// The very process that held it went on holding it: nobody had a better right.
        Own,
        /// None of these: the Lease was taken from a holder that still had a right to it.
        Unexplained,
    }
}

/// One change of the leader.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Takeover {
    /// Why it was allowed.
    pub reason: Reason,
    /// The last record of the term that ended.
    pub from: LeaseRecord,
    /// The first record of the new term.
    pub to: LeaseRecord,
    /// When the harness saw the new term.
    pub seen: Stamp,
    /// When the harness saw the release, if there was one.
    pub released: Option<Stamp>,
    /// `resourceVersion` of the write that emptied the Lease, if there was one.
    pub release_version: Option<u64>,
    /// From the last record of the old term to the first of the new one, as seen.
    pub silence_ms: Millis,
    /// Why what the new holder says of its reason is not believed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<String>,
}

/// Every takeover after the term of `before`, in order.
///
/// `history` is in store order. `error_ms` is by how much later than the API server stored it a record may have arrived,
/// against the next one: an expiry is granted that much.
pub fn takeovers(
    history: &[LeaseSeen],
    before: &LeaseRecord,
    error_ms: impl Fn(&LeaseRecord) -> Millis,
) -> Vec<Takeover> {
    let mut found = Vec::new();
    let mut term = before.clone();
    let mut last: Option<&LeaseSeen> = None;
    let mut released: Option<&LeaseSeen> = None;
    for seen in history
        .iter()
        .filter(|seen| seen.record.resource_version >= before.resource_version)
    {
        if seen.deleted {
            // A deleted Lease gives nobody a right to it: whoever creates it anew took it without a reason.
            continue;
        }
        if seen.record.is_free() {
            // The write that emptied it, not one that found it empty.
            released = released.or(Some(seen));
            continue;
        }
        if seen.record.same_term(&term) {
            last = Some(seen);
            // A holder that took back what it had released, within the same term: the release did not count.
            released = None;
            continue;
        }
        let silence_ms = last.map_or(0.0, |last| seen.at.since(last.at));
        let from = last.map_or_else(|| term.clone(), |last| last.record.clone());
        // A holder that was silent for all of its time had lost its right to the Lease, whoever emptied it then: some
        // electors empty an expired Lease before they take it.
        let until_emptied = released
            .zip(last)
            .map(|(empty, last)| empty.at.since(last.at) + error_ms(&last.record));
        let released_in_time =
            released.is_some() && !until_emptied.is_some_and(|ms| is_over(&from, ms));
        let reason = reason(
            &from,
            &seen.record,
            released_in_time,
            silence_ms + error_ms(&from),
        );
        found.push(Takeover {
            reason,
            from,
            to: seen.record.clone(),
            seen: seen.at,
            released: released.map(|empty| empty.at),
            release_version: released.map(|empty| empty.record.resource_version),
            silence_ms,
            doubt: None,
        });
        term = seen.record.clone();
        last = Some(seen);
        released = None;
    }
    found
}

fn reason(
    from: &LeaseRecord,
    to: &LeaseRecord,
    released: bool,
    longest_silence_ms: Millis,
) -> Reason {
    if released {
        Reason::Released
    } else if is_same_pod(from, to) {
        Reason::Reclaimed
    } else if is_over(from, longest_silence_ms) {
        Reason::Expired
    } else {
        Reason::Unexplained
    }
}

/// Whether a holder that was silent for this long has had its time.
fn is_over(record: &LeaseRecord, silence_ms: Millis) -> bool {
    // The record's own duration counts: it is what the holder was promised, whatever the taker is configured to.
    let promised = record
        .duration_seconds
        .and_then(|seconds| u64::try_from(seconds).ok());
    promised.is_some_and(|seconds| {
        silence_ms >= duration_millis(std::time::Duration::from_secs(seconds))
    })
}

/// Whether the holder is the same pod. A name that another pod has taken over is told apart by the UID, where the
/// elector writes it.
fn is_same_pod(from: &LeaseRecord, to: &LeaseRecord) -> bool {
    from.holder == to.holder
        && match (from.life(), to.life()) {
            (Some((before, _)), Some((after, _))) => before == after,
            _ => true,
        }
}

#[cfg(test)]
mod tests;

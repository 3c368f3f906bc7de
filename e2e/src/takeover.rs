//! Reads from the history of a Lease how its leader changed, and whether there was a reason for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clock::{Millis, Stamp, duration_millis},
    lease::{LeaseRecord, LeaseSeen},
};

/// Why another replica, or another process life, may hold the Lease.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// The Lease was emptied first; by whom, only the audit log can say.
    Released,
    /// The old holder was silent for as long as its record promised to be left alone.
    Expired,
    /// The same pod came back as a new process; its predecessor is dead by construction.
    Reclaimed,
    /// None of these: the Lease was taken from a holder that still had a right to it.
    Unexplained,
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
}

impl Reason {
    /// The word for it in tables and messages.
    pub fn name(self) -> &'static str {
        match self {
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Reclaimed => "reclaimed",
            Self::Unexplained => "unexplained",
        }
    }
}

impl std::fmt::Display for Reason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// Every takeover after the term of `before`, in order.
///
/// `history` is in store order. `error_ms` is by how much two arrivals may be wrong against each other: an expiry is
/// granted that much.
pub fn takeovers(history: &[LeaseSeen], before: &LeaseRecord, error_ms: Millis) -> Vec<Takeover> {
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
        let reason = reason(
            &from,
            &seen.record,
            released.is_some(),
            silence_ms + error_ms,
        );
        found.push(Takeover {
            reason,
            from,
            to: seen.record.clone(),
            seen: seen.at,
            released: released.map(|empty| empty.at),
            release_version: released.map(|empty| empty.record.resource_version),
            silence_ms,
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
    // The record's own duration counts: it is what the holder was promised, whatever the taker is configured to.
    let promised = from
        .duration_seconds
        .and_then(|seconds| u64::try_from(seconds).ok());
    let expired = promised.is_some_and(|seconds| {
        longest_silence_ms >= duration_millis(std::time::Duration::from_secs(seconds))
    });
    if released {
        Reason::Released
    } else if to.holder == from.holder {
        Reason::Reclaimed
    } else if expired {
        Reason::Expired
    } else {
        Reason::Unexplained
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(version: u64, at_ms: i64, holder: &str, incarnation: &str) -> LeaseSeen {
        LeaseSeen {
            at: Stamp::from_micros(at_ms * 1000),
            record: LeaseRecord {
                resource_version: version,
                holder: holder.to_owned(),
                incarnation: Some(incarnation.to_owned()),
                duration_seconds: Some(15),
                ..LeaseRecord::default()
            },
            deleted: false,
        }
    }

    fn only(history: &[LeaseSeen], error_ms: f64) -> Takeover {
        let mut found = takeovers(history, &history[0].record, error_ms);
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    #[test]
    fn an_emptied_lease_was_released() {
        let takeover = only(
            &[
                seen(1, 0, "a", "u/1"),
                seen(2, 900, "", "u/1"),
                seen(3, 950, "b", "v/1"),
            ],
            0.0,
        );
        assert_eq!(takeover.reason, Reason::Released);
        assert_eq!(takeover.released, Some(Stamp::from_micros(900_000)));
        assert_eq!(takeover.release_version, Some(2));
        assert_eq!(takeover.seen, Stamp::from_micros(950_000));
    }

    #[test]
    fn the_first_write_that_left_the_lease_empty_is_the_release() {
        let takeover = only(
            &[
                seen(1, 0, "a", "u/1"),
                seen(2, 900, "", "u/1"),
                seen(3, 920, "", "u/1"),
                seen(4, 950, "b", "v/1"),
            ],
            0.0,
        );
        assert_eq!(takeover.release_version, Some(2));
    }

    #[test]
    fn a_silence_of_the_recorded_duration_is_an_expiry() {
        let takeover = only(
            &[
                seen(1, 0, "a", "u/1"),
                seen(2, 2_000, "a", "u/1"),
                seen(3, 17_001, "b", "v/1"),
            ],
            0.0,
        );
        assert_eq!(takeover.reason, Reason::Expired);
        assert_eq!(takeover.silence_ms, 15_001.0);
    }

    #[test]
    fn a_takeover_before_expiry_has_no_reason() {
        let takeover = only(&[seen(1, 0, "a", "u/1"), seen(2, 14_900, "b", "v/1")], 20.0);
        assert_eq!(takeover.reason, Reason::Unexplained);
    }

    #[test]
    fn the_measuring_error_is_granted_to_an_expiry() {
        assert_eq!(
            only(&[seen(1, 0, "a", "u/1"), seen(2, 14_990, "b", "v/1")], 20.0).reason,
            Reason::Expired
        );
    }

    #[test]
    fn the_record_decides_how_long_its_holder_is_left_alone() {
        let mut history = [seen(1, 0, "a", "u/1"), seen(2, 16_000, "b", "v/1")];
        history[0].record.duration_seconds = Some(30);
        assert_eq!(only(&history, 0.0).reason, Reason::Unexplained);
    }

    #[test]
    fn the_same_pod_as_a_new_process_reclaims() {
        assert_eq!(
            only(&[seen(1, 0, "a", "u/1"), seen(2, 1_400, "a", "u/2")], 0.0).reason,
            Reason::Reclaimed
        );
    }

    #[test]
    fn renewals_are_no_takeover() {
        let history = [seen(1, 0, "a", "u/1"), seen(2, 2_000, "a", "u/1")];
        assert!(takeovers(&history, &history[0].record, 0.0).is_empty());
    }

    #[test]
    fn a_deleted_lease_is_no_reason_to_take_it() {
        let mut history = [
            seen(1, 0, "a", "u/1"),
            seen(2, 100, "a", "u/1"),
            seen(3, 150, "b", "v/1"),
        ];
        history[1].deleted = true;
        assert_eq!(only(&history, 0.0).reason, Reason::Unexplained);
    }

    #[test]
    fn every_hop_is_found() {
        let history = [
            seen(1, 0, "a", "u/1"),
            seen(2, 10, "", "u/1"),
            seen(3, 20, "b", "v/1"),
            seen(4, 30, "", "v/1"),
            seen(5, 40, "c", "w/1"),
        ];
        let hops: Vec<_> = takeovers(&history, &history[0].record, 0.0)
            .into_iter()
            .map(|t| t.to.holder)
            .collect();
        assert_eq!(hops, ["b", "c"]);
    }
}

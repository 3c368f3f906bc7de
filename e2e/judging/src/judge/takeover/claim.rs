//! Verifies what the new holder of a Lease says of its reason, by what the harness itself has seen and done.
//!
//! A proof or a hint leaves no trace in the Lease but the holder's word for it. The word alone is believed never.

use super::{Reason, Takeover};
use crate::{
    clock::{Millis, Stamp},
    fault::Fate,
    observed::{LeaseRecord, PodSeen, TrialData},
};

/// The words of the annotation.
const PROOF: &str = "proof";
const HINT: &str = "hint";

/// What the harness has seen and done.
#[derive(Clone, Copy, Debug)]
pub struct Evidence<'a> {
    /// The replicas, in order of arrival.
    pub pods: &'a [PodSeen],
    /// The holder whose process the harness had killed, and when it began to.
    pub killed: Option<(&'a str, Stamp)>,
    /// Whether the fence is part of what was deployed.
    pub fence: bool,
    /// By how much two moments may be wrong against each other.
    pub error_ms: Millis,
}

impl<'a> Evidence<'a> {
    /// What a trial shows.
    pub fn of(data: &'a TrialData, error_ms: Millis) -> Self {
        // A hint after a silent death was taken from the silence itself, which is none.
        let killed = data.id.fault.entry().fate == Fate::Killed;
        Self {
            pods: &data.pods,
            killed: killed.then_some((data.before.holder.as_str(), data.strike.issued)),
            fence: data.fence,
            error_ms,
        }
    }

    /// The takeover with the reason that its holder gives, if that is true; else as it was, with the doubt.
    #[must_use]
    pub fn examine(&self, takeover: Takeover) -> Takeover {
        if matches!(takeover.reason, Reason::Released | Reason::Reclaimed) {
            return takeover;
        }
        let checked = match takeover.to.takeover.as_deref() {
            Some(PROOF) => self.proof(&takeover).map(|()| Reason::Proof),
            Some(HINT) => self.hint(&takeover).map(|()| Reason::Hint),
            _ => return takeover,
        };
        match checked {
            Ok(reason) => Takeover { reason, ..takeover },
            Err(doubt) => Takeover {
                doubt: Some(doubt),
                ..takeover
            },
        }
    }

    /// A proof is the end of exactly that process, reported by kubelet before the Lease was taken.
    fn proof(&self, takeover: &Takeover) -> Result<(), String> {
        let Some((uid, nonce)) = takeover.from.life() else {
            return Err("it says proof, but the old holder wrote no incarnation".to_owned());
        };
        let mut reports = self.pods.iter().filter(|pod| {
            pod.name == takeover.from.pod()
                && pod.uid == uid
                && pod.last_words.iter().any(|words| words == nonce)
        });
        let Some(first) = reports.next() else {
            return Err(format!(
                "it says proof, but no end of the process {nonce} of {} was reported",
                takeover.from.holder
            ));
        };
        if self.is_before(first, &takeover.to, takeover.seen) {
            Ok(())
        } else {
            Err(format!(
                "it says proof, but the end of {} was reported {:.0} ms after the Lease was taken",
                takeover.from.holder,
                first.at.since(takeover.seen)
            ))
        }
    }

    /// The store orders the report and the take where both are there; a report that a new watch began with may be of a
    /// later revision, and then the moments count.
    fn is_before(&self, report: &PodSeen, take: &LeaseRecord, taken: Stamp) -> bool {
        let by_revision =
            report.resource_version > 0 && report.resource_version < take.resource_version;
        by_revision || report.at.since(taken) <= self.error_ms
    }

    /// A hint is a process that is gone; here it is true only of one that the harness itself had killed.
    fn hint(&self, takeover: &Takeover) -> Result<(), String> {
        let Some((_, killed)) = self
            .killed
            .filter(|(holder, _)| *holder == takeover.from.holder)
        else {
            return Err(format!(
                "it says hint, but nobody killed the process of {}",
                takeover.from.holder
            ));
        };
        if killed.since(takeover.seen) > self.error_ms {
            return Err(format!(
                "it says hint, but {} was killed {:.0} ms after the Lease was taken",
                takeover.from.holder,
                killed.since(takeover.seen)
            ));
        }
        if self.fence {
            Ok(())
        } else {
            Err("it says hint, but there is no fence that makes acting on one safe".to_owned())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples::pod;

    fn record(version: u64, holder: &str, life: &str, says: &str) -> LeaseRecord {
        LeaseRecord {
            resource_version: version,
            holder: holder.to_owned(),
            incarnation: Some(life.to_owned()),
            takeover: Some(says.to_owned()),
            duration_seconds: Some(15),
            ..LeaseRecord::default()
        }
    }

    /// b takes at 600 ms, revision 30, what a held.
    fn taken(says: &str) -> Takeover {
        Takeover {
            reason: Reason::Unexplained,
            from: record(20, "a", "uid/nonce", "own"),
            to: record(30, "b", "v/1", says),
            seen: Stamp::from_micros(600_000),
            released: None,
            release_version: None,
            silence_ms: 700.0,
            doubt: None,
        }
    }

    fn report(uid: &str, words: &str, version: u64, at_ms: i64) -> PodSeen {
        PodSeen {
            at: Stamp::from_micros(at_ms * 1000),
            uid: uid.to_owned(),
            resource_version: version,
            last_words: vec![words.to_owned()],
            ..pod("a")
        }
    }

    fn proven(pods: &[PodSeen]) -> Takeover {
        let evidence = Evidence {
            pods,
            killed: None,
            fence: true,
            error_ms: 5.0,
        };
        evidence.examine(taken("proof"))
    }

    #[test]
    fn the_end_of_that_very_process_is_a_proof() {
        assert_eq!(
            proven(&[report("uid", "nonce", 25, 590)]).reason,
            Reason::Proof
        );
        // Seen a moment late by the harness, but stored before the take.
        assert_eq!(
            proven(&[report("uid", "nonce", 25, 640)]).reason,
            Reason::Proof
        );
        // Of a later revision because a new watch began with it.
        assert_eq!(
            proven(&[report("uid", "nonce", 40, 603)]).reason,
            Reason::Proof
        );
    }

    #[rstest::rstest]
    #[case::never_reported(&[], "no end of the process nonce")]
    #[case::an_older_life(&[report("uid", "older", 25, 590)], "no end of the process nonce")]
    #[case::another_pod_of_that_name(&[report("other", "nonce", 25, 590)], "no end of the process nonce")]
    #[case::too_late(&[report("uid", "nonce", 40, 640)], "40 ms after the Lease was taken")]
    fn anything_else_is_not(#[case] pods: &[PodSeen], #[case] doubt: &str) {
        let takeover = proven(pods);
        assert_eq!(takeover.reason, Reason::Unexplained);
        assert!(
            takeover.doubt.as_deref().unwrap().contains(doubt),
            "{takeover:?}"
        );
    }

    #[rstest::rstest]
    #[case::killed(Some(("a", 500)), true, Reason::Hint)]
    #[case::not_killed(None, true, Reason::Unexplained)]
    #[case::another_was_killed(Some(("c", 500)), true, Reason::Unexplained)]
    #[case::killed_later(Some(("a", 700)), true, Reason::Unexplained)]
    #[case::no_fence(Some(("a", 500)), false, Reason::Unexplained)]
    fn a_hint_is_true_of_a_process_that_was_killed_under_a_fence(
        #[case] killed: Option<(&str, i64)>,
        #[case] fence: bool,
        #[case] reason: Reason,
    ) {
        let evidence = Evidence {
            pods: &[],
            killed: killed.map(|(pod, at)| (pod, Stamp::from_micros(at * 1000))),
            fence,
            error_ms: 5.0,
        };
        assert_eq!(evidence.examine(taken("hint")).reason, reason);
    }

    #[test]
    fn without_a_word_for_it_a_death_is_no_reason() {
        let pods = [report("uid", "nonce", 25, 590)];
        let evidence = Evidence {
            pods: &pods,
            killed: Some(("a", Stamp::from_micros(0))),
            fence: true,
            error_ms: 5.0,
        };
        assert_eq!(
            evidence.examine(taken("expired")).reason,
            Reason::Unexplained
        );
    }

    #[test]
    fn what_the_history_explains_needs_no_word() {
        let released = Takeover {
            reason: Reason::Released,
            ..taken("hint")
        };
        let evidence = Evidence {
            pods: &[],
            killed: None,
            fence: false,
            error_ms: 5.0,
        };
        assert_eq!(evidence.examine(released.clone()), released);
    }
}

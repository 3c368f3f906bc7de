//! Which change of the Lease a trial is about, and what the fault itself did to the Lease.

use super::{Reason, Takeover};
use crate::{
    fault::{FaultKind, Onset, STRANGER, Successor},
    observed::{LeaseRecord, LeaseSeen, Strike},
};

/// The takeovers that are the replicas' doing: without the one that the fault made in a stranger's name.
pub fn without_stranger(takeovers: Vec<Takeover>) -> Vec<Takeover> {
    takeovers
        .into_iter()
        .filter(|takeover| takeover.to.holder != STRANGER)
        .collect()
}

/// The history without what the fault did to the Lease behind its holder's back: a term does not end by that, but by the
/// next one, or at its deadline.
pub fn history_of_terms(fault: FaultKind, history: &[LeaseSeen]) -> Vec<LeaseSeen> {
    let by_fault = |seen: &LeaseSeen| {
        (fault.entry().deletes_lease && seen.deleted) || seen.record.holder == STRANGER
    };
    history
        .iter()
        .filter(|seen| !by_fault(seen))
        .cloned()
        .collect()
}

/// The takeover that the trial is about: the first one, or where the leader can't come back the first one by another
/// replica, or where nobody had a better right the old leader's going on.
pub fn principal(
    fault: FaultKind,
    before: &LeaseRecord,
    strike: &Strike,
    takeovers: &[Takeover],
    history: &[LeaseSeen],
) -> Option<Takeover> {
    let moves = fault.entry().successor == Successor::Another;
    let first = takeovers
        .iter()
        .find(|takeover| !moves || takeover.to.holder != before.holder);
    first
        .cloned()
        .or_else(|| kept(fault, before, strike, history))
}

/// The first sign that the old holder goes on although it might not have.
fn kept(
    fault: FaultKind,
    before: &LeaseRecord,
    strike: &Strike,
    history: &[LeaseSeen],
) -> Option<Takeover> {
    let entry = fault.entry();
    // An elector without incarnations, restarted under the same name, renews as if nothing had happened.
    let restarted = entry.restarts_in_place && before.incarnation.is_none();
    let version = before.resource_version;
    let (from, version, reason) = if restarted {
        (strike.returned, version, Reason::Reclaimed)
    } else if entry.deletes_lease {
        // By revision: the watch may tell of the deletion after the audit log has told of the new Lease.
        (strike.issued, deletion(history)?, Reason::Own)
    } else if entry.successor == Successor::OldLeaderToo
        && matches!(entry.onset, Onset::Undone | Onset::LastTerm)
    {
        (strike.undone?, version, Reason::Own)
    } else {
        return None;
    };
    let is_of_it = |seen: &&LeaseSeen| !seen.deleted && seen.record.same_term(before);
    let goes_on = |seen: &&LeaseSeen| seen.at >= from && seen.record.resource_version > version;
    let first = history.iter().filter(is_of_it).find(goes_on)?;
    let mut earlier = history.iter().rev().filter(is_of_it);
    let last = earlier.find(|seen| seen.record.resource_version < first.record.resource_version);
    Some(Takeover {
        reason,
        from: last.map_or_else(|| before.clone(), |last| last.record.clone()),
        to: first.record.clone(),
        seen: first.at,
        released: None,
        release_version: None,
        silence_ms: last.map_or(0.0, |last| first.at.since(last.at)),
        doubt: None,
    })
}

/// The revision of the deletion.
fn deletion(history: &[LeaseSeen]) -> Option<u64> {
    let deleted = history.iter().find(|seen| seen.deleted)?;
    Some(deleted.record.resource_version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{clock::Stamp, judge::takeover::takeovers, samples::seen};

    fn strike(undone_ms: Option<i64>) -> Strike {
        Strike {
            undone: undone_ms.map(|at| Stamp::from_micros(at * 1000)),
            ..Strike::between(Stamp::from_micros(1_000_000), Stamp::from_micros(1_050_000))
        }
    }

    fn found(fault: FaultKind, undone: Option<i64>, history: &[LeaseSeen]) -> Option<Takeover> {
        let before = &history[0].record;
        let hops = without_stranger(takeovers(history, before, |_| 0.0));
        principal(fault, before, &strike(undone), &hops, history)
    }

    #[test]
    fn after_an_outage_the_old_leader_may_go_on() {
        let history = [
            seen(10, 900, "a", "u/1"),
            seen(11, 1_020, "a", "u/1"),
            seen(20, 18_100, "a", "u/1"),
        ];
        let takeover = found(FaultKind::ApiStop, Some(18_000), &history).unwrap();
        assert_eq!(
            (takeover.reason, takeover.to.resource_version),
            (Reason::Own, 20)
        );
        assert_eq!(takeover.silence_ms, 17_080.0);
        assert_eq!(
            found(FaultKind::ApiStop, None, &history),
            None,
            "not yet undone"
        );
        assert_eq!(found(FaultKind::Partition, Some(18_000), &history), None);
    }

    #[test]
    fn another_leader_outweighs_a_renewal_that_was_on_its_way() {
        let history = [
            seen(10, 900, "a", "u/1"),
            seen(20, 18_001, "a", "u/1"),
            seen(21, 33_002, "b", "v/1"),
        ];
        let takeover = found(FaultKind::ApiStop, Some(18_000), &history).unwrap();
        assert_eq!(
            (takeover.reason, takeover.to.holder.as_str()),
            (Reason::Expired, "b")
        );
    }

    #[test]
    fn a_deleted_lease_is_made_anew_by_its_holder() {
        let mut history = [
            seen(10, 900, "a", "u/1"),
            seen(20, 1_040, "a", "u/1"),
            seen(21, 2_900, "a", "u/1"),
        ];
        assert_eq!(found(FaultKind::LeaseDeleted, None, &history), None);
        history[1].deleted = true;
        let takeover = found(FaultKind::LeaseDeleted, None, &history).unwrap();
        assert_eq!(
            (takeover.reason, takeover.to.resource_version),
            (Reason::Own, 21)
        );
        assert_eq!(history_of_terms(FaultKind::LeaseDeleted, &history).len(), 2);
        assert_eq!(history_of_terms(FaultKind::Crash, &history).len(), 3);
    }

    #[test]
    fn a_deletion_that_the_watch_tells_late_still_comes_before_the_new_lease() {
        let mut history = [
            seen(10, 900, "a", "u/1"),
            seen(20, 1_040, "a", "u/1"),
            // Its moment is the audit log's.
            seen(21, 1_030, "a", "u/1"),
            seen(22, 3_030, "a", "u/1"),
        ];
        history[1].deleted = true;
        let takeover = found(FaultKind::LeaseDeleted, None, &history).unwrap();
        assert_eq!(takeover.to.resource_version, 21);
        assert_eq!(takeover.from.resource_version, 10);
    }

    #[test]
    fn a_deleted_lease_that_another_grabs_is_taken_without_a_reason() {
        let mut history = [
            seen(10, 900, "a", "u/1"),
            seen(20, 1_040, "a", "u/1"),
            seen(21, 1_100, "b", "v/1"),
        ];
        history[1].deleted = true;
        let takeover = found(FaultKind::LeaseDeleted, None, &history).unwrap();
        assert_eq!(takeover.reason, Reason::Unexplained);
    }

    #[test]
    fn a_stranger_is_the_faults_doing_and_has_a_right_to_its_time() {
        let mut history = [
            seen(10, 900, "a", "u/1"),
            seen(20, 1_040, STRANGER, "u/1"),
            seen(21, 16_100, "a", "u/1"),
        ];
        let takeover = found(FaultKind::HolderOverwritten, None, &history).unwrap();
        assert_eq!(
            (takeover.reason, takeover.from.holder.as_str()),
            (Reason::Expired, STRANGER)
        );
        assert_eq!(
            history_of_terms(FaultKind::HolderOverwritten, &history).len(),
            2
        );
        history[2].at = Stamp::from_micros(9_000_000);
        let takeover = found(FaultKind::HolderOverwritten, None, &history).unwrap();
        assert_eq!(takeover.reason, Reason::Unexplained);
    }

    #[test]
    fn an_elector_without_incarnations_that_renews_after_a_kill_was_restarted() {
        let mut history = [
            seen(10, 900, "a", ""),
            seen(11, 1_020, "a", ""),
            seen(20, 3_000, "a", ""),
        ];
        assert_eq!(found(FaultKind::Crash, None, &history), None);
        for seen in &mut history {
            seen.record.incarnation = None;
        }
        let takeover = found(FaultKind::Crash, None, &history).unwrap();
        assert_eq!(
            (takeover.reason, takeover.to.resource_version),
            (Reason::Reclaimed, 20)
        );
    }

    #[test]
    fn who_can_not_come_back_is_not_waited_for() {
        let history = [
            seen(10, 900, "a", "u/1"),
            seen(11, 2_400, "a", "u/2"),
            seen(12, 18_000, "b", "v/1"),
        ];
        let to = |fault| found(fault, None, &history).unwrap().to.holder;
        assert_eq!(
            (to(FaultKind::Crash), to(FaultKind::CrashLoop)),
            ("a".to_owned(), "b".to_owned())
        );
    }
}

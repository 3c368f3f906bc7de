//! Whether all is well when the trial is over.

use crate::{
    fault::Fate,
    judge::reading::Reading,
    observed::Presence,
    verdict::{Check, CheckId},
};

pub(super) fn one_leader(reading: &Reading<'_>) -> Check {
    let last = reading.takeovers.last().or(reading.takeover.as_ref());
    let Some(leader) = last.map(|takeover| takeover.to.pod()) else {
        return reading.inconclusive(CheckId::OneLeader, "no takeover to agree on");
    };
    let Some(last) = reading.data.roles.last() else {
        return reading.inconclusive(CheckId::OneLeader, "the metrics were never read");
    };
    let leading = last.leading();
    if last.agree_on(leader) {
        let detail = format!(
            "the Lease and the metrics of {} replicas agree on {leader}",
            last.roles.len()
        );
        reading.pass(CheckId::OneLeader, detail)
    } else if leading.len() > 1 {
        let detail = format!(
            "{} replicas lead by their metrics: {}",
            leading.len(),
            leading.join(", ")
        );
        reading.fail(CheckId::OneLeader, detail)
    } else {
        let detail = format!(
            "the Lease names {leader}, but by the metrics {}",
            last.phrase()
        );
        reading.timing(CheckId::OneLeader, false, detail)
    }
}

pub(super) fn canary(reading: &Reading<'_>) -> Check {
    let count = reading.canary;
    let longest = count.longest_ms.unwrap_or_default();
    let detail = format!(
        "{} changes, {} covered, {} lost, {} late, the longest waited {longest:.0} ms",
        count.changed, count.covered, count.lost, count.late
    );
    if count.changed == 0 || count.covered == 0 {
        return reading.inconclusive(
            CheckId::Canary,
            format!("the canary shows nothing: {detail}"),
        );
    }
    reading.timing(CheckId::Canary, count.lost == 0, detail)
}

pub(super) fn restored(reading: &Reading<'_>) -> Check {
    let phases = &reading.phases;
    let budget_expected = match &reading.data.allowed_before {
        Ok(allowed) => allowed.is_some_and(|allowed| allowed > 0),
        Err(why) if phases.replicas_restored_ms.is_some() => {
            let detail = format!("whether a disruption was allowed before is not known: {why}");
            return reading.inconclusive(CheckId::Restored, detail);
        }
        Err(_) => true,
    };
    let detail = match (phases.replicas_restored_ms, phases.budget_restored_ms) {
        (Some(replicas), Some(budget)) => {
            format!(
                "replicas Ready after {replicas:.0} ms, a disruption allowed after {budget:.0} ms"
            )
        }
        (Some(replicas), None) if !budget_expected => {
            format!(
                "replicas Ready after {replicas:.0} ms; no disruption was allowed before either"
            )
        }
        _ => {
            let waiting = reading
                .data
                .recovery
                .waiting_for
                .as_deref()
                .unwrap_or("replicas and disruption budget");
            return reading.timing(
                CheckId::Restored,
                false,
                format!("not restored, still waiting for {waiting}"),
            );
        }
    };
    reading.pass(CheckId::Restored, detail)
}

/// Whether the disruption budget let every replica of a drained node go in the end.
pub(super) fn drained(reading: &Reading<'_>) -> Option<Check> {
    let evictions = &reading.data.strike.evictions;
    let last = evictions.last()?;
    let allowed = evictions.iter().filter(|eviction| eviction.code == 201);
    let allowed = allowed.count();
    let refused = evictions.iter().filter(|eviction| eviction.by_budget);
    let refused = refused.count();
    let id = CheckId::Drained;
    Some(if matches!(last.code, 201 | 404) {
        let detail = format!(
            "{allowed} evictions allowed, {refused} refused by the disruption budget before that"
        );
        reading.pass(id, detail)
    } else {
        let first = evictions.iter().find(|eviction| eviction.pod == last.pod);
        let waited = last.at.since(first.unwrap_or(last).at);
        let detail = format!(
            "the disruption budget refused to let {} go for {waited:.0} ms, so its node can't be drained: {}",
            last.pod, last.message
        );
        reading.fail(id, detail)
    })
}

/// Whether the old leader lived through a fault that gave it no reason to end.
pub(super) fn survived(reading: &Reading<'_>) -> Option<Check> {
    let data = reading.data;
    // An elector that tells its lives apart is one that is made to go on; others end themselves by design.
    if data.id.fault.entry().fate != Fate::Survives || data.before.incarnation.is_none() {
        return None;
    }
    let leader = data.before.pod();
    let mut states = data.pods.iter().filter(|pod| pod.name == leader);
    let first = states.next()?;
    let ended = states.find(|pod| {
        pod.presence != Presence::Staying || pod.restarts > first.restarts || pod.uid != first.uid
    });
    Some(match ended {
        Some(pod) => reading.fail(
            CheckId::Survived,
            format!(
                "{leader} was to step down and stand by, but {:.0} ms after the fault it was {}",
                pod.at.since(data.strike.issued),
                if pod.presence == Presence::Staying {
                    "restarted"
                } else {
                    "on its way out"
                }
            ),
        ),
        None => reading.pass(
            CheckId::Survived,
            format!("{leader} lives on without a restart"),
        ),
    })
}

//! The checks of a trial: each names what was seen, against which limit, and why that is the limit.

use super::{LATENCY_LIMIT_MS, Promise, Reading};
use crate::{
    budget::FaultKind,
    clock::Millis,
    takeover::{Reason, Takeover},
    trial::RigFault,
    verdict::{Check, CheckId, Verdict},
};

/// All checks of one trial.
pub(super) fn all(reading: &Reading<'_>, promise: Promise) -> Vec<Check> {
    let mut checks = vec![evidence(reading)];
    if reading
        .data
        .rig
        .iter()
        .any(|fault| matches!(fault, RigFault::FaultFailed { .. }))
    {
        // Without a fault there is nothing to judge the operator by; the evidence check says so.
        return checks;
    }
    checks.extend(takeover(reading));
    if let Some(takeover) = reading.takeover() {
        checks.push(reason(reading, takeover));
        checks.push(lease_failover(reading));
        checks.push(within(reading, promise));
        checks.push(work_failover(reading));
    }
    checks.push(overlap(reading));
    checks.push(only_holder_writes(reading));
    checks.push(one_leader(reading));
    checks.push(canary(reading));
    checks.push(restored(reading));
    checks
}

impl Reading<'_> {
    fn scope(&self) -> String {
        self.data.id.to_string()
    }

    fn check(&self, id: CheckId, verdict: Verdict, detail: String) -> Check {
        Check {
            id,
            scope: self.scope(),
            verdict,
            detail,
        }
    }

    fn slowest_own_call_ms(&self) -> Millis {
        self.data
            .own
            .iter()
            .map(crate::audit::OwnCall::latency_ms)
            .fold(0.0, f64::max)
    }

    /// Why a missed timing may be the rig's fault.
    fn rig_trouble(&self) -> Option<String> {
        let slowest = self.slowest_own_call_ms();
        if slowest > LATENCY_LIMIT_MS {
            return Some(format!(
                "a request of the harness itself took {slowest:.0} ms (limit {LATENCY_LIMIT_MS:.0} ms)"
            ));
        }
        if self.map.is_none_or(|map| map.stepped) {
            return Some("the API server's wall clock could not be followed".to_owned());
        }
        self.data.rig.first().map(ToString::to_string)
    }

    /// A timing: missed is a FAIL on a sound rig and INCONCLUSIVE on a troubled one.
    fn timing(&self, id: CheckId, kept: bool, detail: String) -> Check {
        match self.rig_trouble() {
            _ if kept => self.check(id, Verdict::Pass, detail),
            None => self.check(id, Verdict::Fail, detail),
            Some(trouble) => self.check(
                id,
                Verdict::Inconclusive,
                format!("{detail}; but {trouble}"),
            ),
        }
    }

    /// From the last blow that the old leader got to the takeover; endless when there is none.
    fn lease_failover_ms(&self) -> Millis {
        self.phases
            .lease_since_last_blow_ms
            .unwrap_or(f64::INFINITY)
    }
}

fn evidence(reading: &Reading<'_>) -> Check {
    let missing = reading
        .data
        .rig
        .iter()
        .map(ToString::to_string)
        .chain(
            reading
                .map
                .is_none()
                .then(|| "none of the harness's own requests is in the audit log".to_owned()),
        )
        .chain(
            (reading.exclusion.writes == 0).then(|| "no work write is in the audit log".to_owned()),
        )
        .chain((reading.exclusion.unnamed > 0).then(|| {
            format!(
                "{} work writes in the audit log do not name a pod",
                reading.exclusion.unnamed
            )
        }))
        .collect::<Vec<_>>();
    if missing.is_empty() {
        let samples = reading.map.map_or(0, |map| map.samples);
        let detail = format!(
            "{} work writes and {samples} own requests in the audit log, clocks to ±{:.1} ms, Lease watch up to {:.1} ms late, \
             slowest own request {:.0} ms",
            reading.exclusion.writes,
            reading.error.clock_ms.unwrap_or_default(),
            reading.error.watch_lag_ms,
            reading.slowest_own_call_ms()
        );
        reading.check(CheckId::Evidence, Verdict::Pass, detail)
    } else {
        reading.check(CheckId::Evidence, Verdict::Inconclusive, missing.join("; "))
    }
}

fn takeover(reading: &Reading<'_>) -> Vec<Check> {
    let data = reading.data;
    let waited = data.ended.since(data.strike.issued);
    let hops: Vec<String> = reading
        .takeovers
        .iter()
        .map(|takeover| format!("{} by {}", takeover.reason, takeover.to.holder))
        .collect();
    let allowed = 1 + data.strike.repeated.len();
    match hops.len() {
        0 => vec![reading.timing(
            CheckId::Takeover,
            false,
            format!(
                "no other term began within {waited:.0} ms of the fault: the Lease still names {}",
                data.before.holder
            ),
        )],
        _ if reading.takeover().is_none() => vec![reading.timing(
            CheckId::Takeover,
            false,
            format!(
                "no other replica took over within {waited:.0} ms of the fault: {}",
                hops.join(", then ")
            ),
        )],
        hops_made if hops_made > allowed => vec![reading.check(
            CheckId::Takeover,
            Verdict::Fail,
            format!(
                "{hops_made} takeovers after one fault: {}",
                hops.join(", then ")
            ),
        )],
        _ => vec![reading.check(CheckId::Takeover, Verdict::Pass, hops.join(", then "))],
    }
}

fn reason(reading: &Reading<'_>, takeover: &Takeover) -> Check {
    let promised = takeover.from.duration_seconds.unwrap_or_default();
    match takeover.reason {
        Reason::Unexplained => reading.check(
            CheckId::Reason,
            Verdict::Fail,
            format!(
                "{} took the Lease from {} after {:.0} ms of silence: it was not released, and its \
                 leaseDurationSeconds={promised} had not passed (measuring error {:.1} ms)",
                takeover.to.holder,
                takeover.from.holder,
                takeover.silence_ms,
                reading.error.total_ms
            ),
        ),
        Reason::Expired => reading.check(
            CheckId::Reason,
            Verdict::Pass,
            format!(
                "expired: {:.0} ms of silence, leaseDurationSeconds={promised}",
                takeover.silence_ms
            ),
        ),
        Reason::Released => release(reading, takeover),
        Reason::Reclaimed => {
            reading.check(CheckId::Reason, Verdict::Pass, takeover.reason.to_string())
        }
    }
}

/// Whether the old holder itself emptied the Lease, and could have: a standby that empties a Lease steals it.
fn release(reading: &Reading<'_>, takeover: &Takeover) -> Check {
    let (old, new) = (&takeover.from.holder, &takeover.to.holder);
    let version = takeover.release_version.unwrap_or_default();
    let write = reading.data.calls.iter().find(|call| {
        call.is_lease()
            && call.is_write()
            && call.accepted()
            && call.resource_version == Some(version)
    });
    let Some((write, pod)) = write.and_then(|write| Some((write, write.pod.as_ref()?))) else {
        let detail = format!(
            "the Lease of {old} was emptied (resourceVersion {version}) before {new} took it, but the audit log does \
             not say by which pod"
        );
        return reading.check(CheckId::Reason, Verdict::Inconclusive, detail);
    };
    if pod != old {
        let detail = format!(
            "{pod} emptied the Lease that {old} held, and {new} took it after {:.0} ms of silence: it was not \
             released by its holder (audit event {})",
            takeover.silence_ms, write.audit_id
        );
        return reading.check(CheckId::Reason, Verdict::Fail, detail);
    }
    let strike = &reading.data.strike;
    let after_fault = takeover
        .released
        .map(|released| released.since(strike.issued));
    match (reading.data.id.fault, after_fault) {
        (FaultKind::Crash | FaultKind::CrashLoop, Some(after))
            if after > reading.error.total_ms =>
        {
            let detail = format!(
                "the Lease was emptied with the identity of {old} {after:.0} ms after its process was killed, and a \
                 killed process can't release (audit event {})",
                write.audit_id
            );
            reading.check(CheckId::Reason, Verdict::Fail, detail)
        }
        _ => {
            let detail = format!("released by {old}");
            reading.check(CheckId::Reason, Verdict::Pass, detail)
        }
    }
}

fn lease_failover(reading: &Reading<'_>) -> Check {
    let bound = reading.data.settings.lease_bound(reading.data.id.fault);
    let took = reading.lease_failover_ms();
    let kept = took <= bound.limit_ms + reading.error.since_fault_ms();
    let relation = if kept { "within" } else { "over" };
    let detail = format!(
        "lease failover took {took:.0} ms, {relation} the {} bound of {:.0} ms (+{}): {}",
        reading.data.id.fault, bound.limit_ms, reading.error, bound.reason
    );
    reading.timing(CheckId::LeaseFailover, kept, detail)
}

fn within(reading: &Reading<'_>, promise: Promise) -> Check {
    let took = reading.lease_failover_ms();
    let kept = took <= promise.within_ms + reading.error.since_fault_ms();
    let relation = if kept { "within" } else { "over" };
    let detail = format!(
        "the takeover took {took:.0} ms, {relation} the promised {:.0} ms (--within) (+{})",
        promise.within_ms, reading.error
    );
    reading.timing(CheckId::Within, kept, detail)
}

fn work_failover(reading: &Reading<'_>) -> Check {
    let bound = reading.data.settings.work_bound();
    let lease_ms = reading.phases.lease_ms.unwrap_or_default();
    match (reading.first_write, reading.phases.work_ms) {
        (Some(_), Some(work_ms)) => {
            let after = work_ms - lease_ms;
            let kept = after <= bound.limit_ms + reading.error.total_ms;
            let relation = if kept { "within" } else { "over" };
            let detail = format!(
                "the new leader's first write came {after:.0} ms after it took the Lease, {relation} {:.0} ms: {}",
                bound.limit_ms, bound.reason
            );
            reading.timing(CheckId::WorkFailover, kept, detail)
        }
        // An audit log that shows nobody's writes says nothing about this leader's.
        _ if reading.exclusion.writes == 0 => reading.check(
            CheckId::WorkFailover,
            Verdict::Inconclusive,
            "the audit log shows no work write of any replica".to_owned(),
        ),
        _ => reading.timing(
            CheckId::WorkFailover,
            false,
            "the new leader holds the Lease but no work write of it was accepted".to_owned(),
        ),
    }
}

fn overlap(reading: &Reading<'_>) -> Check {
    let found = &reading.exclusion.overlap;
    match found.first() {
        Some(first) => reading.check(
            CheckId::Overlap,
            Verdict::Fail,
            format!(
                "{} accepted work writes by the old leader {} after the first one of the new leader, such as {} \
                 {:.0} ms after it (audit event {})",
                found.len(),
                first.pod,
                first.what,
                first.late_ms,
                first.audit_id
            ),
        ),
        None if reading.exclusion.writes == 0 => {
            reading.check(CheckId::Overlap, Verdict::Inconclusive, "no work write to look at".to_owned())
        }
        None => reading.check(
            CheckId::Overlap,
            Verdict::Pass,
            "0 work writes of the old leader after the first one of the new leader".to_owned(),
        ),
    }
}

fn only_holder_writes(reading: &Reading<'_>) -> Check {
    let found = &reading.exclusion.by_non_holder;
    match found.first() {
        Some(first) => reading.check(
            CheckId::OnlyHolderWrites,
            Verdict::Fail,
            format!(
                "{} accepted work writes by a replica that did not hold the Lease, such as {} by {} (audit event {})",
                found.len(),
                first.what,
                first.pod,
                first.audit_id
            ),
        ),
        None if reading.exclusion.writes == 0 => {
            reading.check(CheckId::OnlyHolderWrites, Verdict::Inconclusive, "no work write to look at".to_owned())
        }
        None => reading.check(
            CheckId::OnlyHolderWrites,
            Verdict::Pass,
            format!("all {} work writes by the holder of the Lease", reading.exclusion.writes),
        ),
    }
}

fn one_leader(reading: &Reading<'_>) -> Check {
    let Some(leader) = reading
        .takeovers
        .last()
        .map(|takeover| takeover.to.holder.as_str())
    else {
        return reading.check(
            CheckId::OneLeader,
            Verdict::Inconclusive,
            "no takeover to agree on".to_owned(),
        );
    };
    let Some(last) = reading.data.roles.last() else {
        return reading.check(
            CheckId::OneLeader,
            Verdict::Inconclusive,
            "the metrics were never read".to_owned(),
        );
    };
    let leading = last.leading();
    if last.agree_on(leader) {
        let detail = format!(
            "the Lease and the metrics of {} replicas agree on {leader}",
            last.roles.len()
        );
        reading.check(CheckId::OneLeader, Verdict::Pass, detail)
    } else if leading.len() > 1 {
        let detail = format!(
            "{} replicas lead by their metrics: {}",
            leading.len(),
            leading.join(", ")
        );
        reading.check(CheckId::OneLeader, Verdict::Fail, detail)
    } else {
        let detail = format!(
            "the Lease names {leader}, but by the metrics {}",
            last.phrase()
        );
        reading.timing(CheckId::OneLeader, false, detail)
    }
}

fn canary(reading: &Reading<'_>) -> Check {
    let count = reading.canary;
    let longest = count.longest_ms.unwrap_or_default();
    let detail = format!(
        "{} changes, {} covered, {} lost, {} late, the longest waited {longest:.0} ms",
        count.changed, count.covered, count.lost, count.late
    );
    if count.changed == 0 || count.covered == 0 {
        return reading.check(
            CheckId::Canary,
            Verdict::Inconclusive,
            format!("the canary shows nothing: {detail}"),
        );
    }
    reading.timing(CheckId::Canary, count.lost == 0, detail)
}

fn restored(reading: &Reading<'_>) -> Check {
    let phases = &reading.phases;
    let budget_expected = match &reading.data.allowed_before {
        Ok(allowed) => allowed.is_some_and(|allowed| allowed > 0),
        Err(why) if phases.replicas_restored_ms.is_some() => {
            let detail = format!("whether a disruption was allowed before is not known: {why}");
            return reading.check(CheckId::Restored, Verdict::Inconclusive, detail);
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
    reading.check(CheckId::Restored, Verdict::Pass, detail)
}

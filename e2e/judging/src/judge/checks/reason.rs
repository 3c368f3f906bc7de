//! Whether every change of the leader had a reason.

use crate::{
    judge::{
        reading::Reading,
        takeover::{Reason, Takeover},
    },
    verdict::{Check, CheckId},
};

/// Judges the takeover that the trial is about, and every other one that has no reason.
pub(super) fn reasons(reading: &Reading<'_>) -> Vec<Check> {
    let principal = reading.takeover.as_ref();
    let others = reading.takeovers.iter().filter(|other| {
        principal.is_none_or(|principal| other.to != principal.to)
            && other.reason == Reason::Unexplained
    });
    principal
        .into_iter()
        .chain(others)
        .map(|takeover| reason(reading, takeover))
        .collect()
}

fn reason(reading: &Reading<'_>, takeover: &Takeover) -> Check {
    let promised = takeover.from.duration_seconds.unwrap_or_default();
    let pass = |detail: String| reading.pass(CheckId::Reason, detail);
    match takeover.reason {
        Reason::Unexplained => {
            let doubt = takeover.doubt.as_ref();
            let doubt = doubt.map_or_else(String::new, |doubt| format!("; {doubt}"));
            reading.fail(CheckId::Reason, format!(
                    "{} took the Lease from {} after {:.0} ms of silence: it was not released, and its \
                     leaseDurationSeconds={promised} had not passed (measuring error {:.1} ms){doubt}",
                    takeover.to.holder,
                    takeover.from.holder,
                    takeover.silence_ms,
                    reading.error.total_ms
                ),
            )
        }
        Reason::Expired => pass(format!(
            "expired: {:.0} ms of silence, leaseDurationSeconds={promised}",
            takeover.silence_ms
        )),
        Reason::Released => release(reading, takeover),
        Reason::Proof => pass(format!(
            "proof: kubelet had reported the end of the process {} of {}",
            takeover.from.life().map_or("", |(_, nonce)| nonce),
            takeover.from.holder
        )),
        Reason::Hint => pass(format!(
            "hint: {} had been killed, and the fence is in place",
            takeover.from.holder
        )),
        Reason::Own => pass(format!("{} went on", takeover.to.holder)),
        Reason::Reclaimed => pass(takeover.reason.to_string()),
    }
}

/// Whether the old holder itself emptied the Lease, and could have: a standby that empties a Lease steals it.
fn release(reading: &Reading<'_>, takeover: &Takeover) -> Check {
    let (old, new) = (&takeover.from.holder, &takeover.to.holder);
    let strike = &reading.data.strike;
    let after_fault = takeover
        .released
        .map(|released| released.since(strike.issued))
        .filter(|after| reading.data.id.fault.entry().kills() && *after > reading.error.total_ms);
    if !reading.is_audited() {
        return match after_fault {
            Some(after) => reading.fail(CheckId::Reason, format!(
                    "the Lease of {old} was emptied {after:.0} ms after its process was killed, and a killed process \
                     can't release"
                ),
            ),
            None => reading.pass(CheckId::Reason, format!("released: the Lease of {old} was emptied before {new} took it, by whom is not observed"),
            ),
        };
    }
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
        return reading.inconclusive(CheckId::Reason, detail);
    };
    if pod != takeover.from.pod() {
        let detail = format!(
            "{pod} emptied the Lease that {old} held, and {new} took it after {:.0} ms of silence: it was not \
             released by its holder (audit event {})",
            takeover.silence_ms, write.audit_id
        );
        return reading.fail(CheckId::Reason, detail);
    }
    if let Some(after) = after_fault {
        let detail = format!(
            "the Lease was emptied with the identity of {old} {after:.0} ms after its process was killed, and a killed \
             process can't release (audit event {})",
            write.audit_id
        );
        return reading.fail(CheckId::Reason, detail);
    }
    reading.pass(CheckId::Reason, format!("released by {old}"))
}

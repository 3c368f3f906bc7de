//! `rbac-revoked`: the operator loses its rights to Leases for longer than the lease, and gets them back.

use std::time::Duration;

use super::entry::{Fault, Hold, Onset, Renewals, Successor};
use crate::limit::Limit;

pub(super) const FAULT: Fault = Fault {
    about: "takes the operator's rights to Leases away for longer than the lease",
    proves: "a leader without rights gives up at its renew deadline, lives on, and the election resumes with the rights",
    successor: Successor::OldLeaderToo,
    limit: |settings| {
        Limit::of_silence(settings, |d| {
            format!(
                "counted from the return of the rights: whoever first asks again takes the Lease, which has been \
                 silent for LEASE_DURATION_SECONDS={d} at the latest then"
            )
        })
    },
    onset: Onset::Undone,
    hold: |settings| Hold::For(settings.duration() + Duration::from_secs(2)),
    takes_time: false,
    renewals: Some(Renewals::Refused),
    ..Fault::USUAL
};

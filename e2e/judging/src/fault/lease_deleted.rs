//! `lease-deleted`: somebody deletes the Lease.

use super::entry::{Fault, Successor};
use crate::limit::Limit;

pub(super) const FAULT: Fault = Fault {
    about: "deletes the Lease",
    proves: "the leader makes its Lease anew, or its last record is waited out; nobody grabs it",
    successor: Successor::OldLeaderToo,
    limit: |settings| {
        Limit::of_silence(settings, |d| {
            format!(
                "the leader makes the Lease anew when it next renews; without it, its last record is waited out, \
                 LEASE_DURATION_SECONDS={d}"
            )
        })
    },
    takes_time: false,
    deletes_lease: true,
    ..Fault::USUAL
};

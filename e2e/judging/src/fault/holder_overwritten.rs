//! `holder-overwritten`: a stranger's name is written into the Lease, and the stranger never renews.

use super::entry::{Fault, Renewals};
use crate::limit::Limit;

/// The holder that is written into the Lease.
pub const STRANGER: &str = "failover-stranger";

pub(super) const FAULT: Fault = Fault {
    about: "writes the name of a stranger, who never renews, into the Lease",
    proves: "a leader that lost its Lease stops, and a silent stranger is left alone for the lease duration",
    limit: |settings| {
        Limit::of_silence(settings, |d| {
            format!(
                "the stranger never renews, so its record expires after LEASE_DURATION_SECONDS={d}"
            )
        })
    },
    renewals: Some(Renewals::Refused),
    ..Fault::USUAL
};

//! `api-stop`: the API server's process is stopped by SIGSTOP for longer than the lease, and goes on.

use std::time::Duration;

use super::entry::{Fault, Hold, Onset, Successor};
use crate::limit::Limit;

pub(super) const FAULT: Fault = Fault {
    about: "stops the API server's process with SIGSTOP for longer than the lease, then SIGCONT",
    proves: "after an outage of the API server one replica works again within the lease, and no two do",
    successor: Successor::OldLeaderToo,
    limit: |settings| {
        Limit::of_silence(settings, |d| {
            format!(
                "counted from the return of the API server: a renewal that was on its way may have been stored then, \
                 and lasts LEASE_DURATION_SECONDS={d}"
            )
        })
    },
    onset: Onset::Undone,
    hold: |settings| Hold::For(settings.duration() + Duration::from_secs(2)),
    // The replicas' connections may have broken, and whoever lost has to find out.
    aftermath: |settings| settings.retry_period() * 2,
    takes_time: false,
    stops_api: true,
    ..Fault::USUAL
};

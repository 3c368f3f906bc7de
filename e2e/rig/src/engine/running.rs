//! The `dockerd` process of this machine.

use crate::process;

/// A `dockerd` process of this machine; one inside a container is another machine's.
pub(super) fn running() -> Option<u32> {
    process::all().find(|pid| {
        process::name(*pid).as_deref() == Some("dockerd") && process::shares_pids_with(*pid)
    })
}

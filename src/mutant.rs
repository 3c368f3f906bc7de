//! Deliberate faults for the tests of the harness, compiled only with the feature `mutants`.
//!
//! Each breaks one promise of the election. `FIVE_SPOT_MUTANT` says which.

use std::{sync::OnceLock, time::Duration};

/// On SIGTERM the process ends without releasing the Lease.
pub(crate) const NEVER_RELEASE: &str = "never-release";

/// The Lease is released while the work goes on, and the term never refuses a write.
pub(crate) const WRITES_ON: &str = "writes-on";

/// How long the work goes on after the release.
pub(crate) const WRITES_ON_FOR: Duration = Duration::from_secs(8);

/// The leader holds the Lease and does nothing.
pub(crate) const IDLE_LEADER: &str = "idle-leader";

/// Every replica works, whoever holds the Lease.
pub(crate) const WORKS_WITHOUT_LEASE: &str = "works-without-lease";

/// The leader takes the Lease and does not renew it.
pub(crate) const NEVER_RENEWS: &str = "never-renews";

/// A standby waits for a silent leader for [`PATIENCE`] only, whatever the Lease promises.
pub(crate) const IMPATIENT: &str = "impatient";

/// How long an impatient standby waits: longer than the renew period, so that it shows only after a fault.
pub(crate) const PATIENCE: Duration = Duration::from_secs(4);

/// The status is written whatever has been written since it was decided on.
pub(crate) const FORCES_STATUS: &str = "forces-status";

/// What a replica that forces its status sends: the patch without the version that it was made from.
pub(crate) fn without_version(mut patch: serde_json::Value) -> serde_json::Value {
    if is(FORCES_STATUS)
        && let Some(metadata) = patch["metadata"].as_object_mut()
    {
        metadata.remove("resourceVersion");
    }
    patch
}

/// Whether this process is to have the fault `name`.
pub(crate) fn is(name: &str) -> bool {
    static CHOSEN: OnceLock<String> = OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("FIVE_SPOT_MUTANT").unwrap_or_default()) == name
}

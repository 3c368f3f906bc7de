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

/// Whether this process is to have the fault `name`.
pub(crate) fn is(name: &str) -> bool {
    static CHOSEN: OnceLock<String> = OnceLock::new();
    CHOSEN.get_or_init(|| std::env::var("FIVE_SPOT_MUTANT").unwrap_or_default()) == name
}

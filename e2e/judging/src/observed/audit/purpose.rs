//! What the harness's own requests are for, as [`OwnCall::purpose`](super::OwnCall::purpose) says.

use std::time::Duration;

/// Changes of the canary.
pub const CANARY: &str = "canary";

/// Reads of the Lease beside its watch.
pub const LOOK: &str = "lease";

/// Pause between two of these reads.
pub const LOOK_PERIOD: Duration = Duration::from_millis(100);

/// Requests that prove that the audit log is followed.
pub const MARK: &str = "mark";

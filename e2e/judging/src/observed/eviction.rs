//! What the API server answered to the eviction of a replica.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::clock::{Millis, Stamp};

/// One eviction asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Eviction {
    /// The pod.
    pub pod: String,
    /// Whether it is the leader.
    pub leader: bool,
    /// When it was asked for.
    pub at: Stamp,
    /// How long the answer took, in milliseconds.
    pub took_ms: Millis,
    /// HTTP status; 0 when there was no answer.
    pub code: u16,
    /// The API server's reason for a refusal.
    pub message: String,
    /// Whether the refusal is by a disruption budget.
    pub by_budget: bool,
}

//! True time.

/// True time in milliseconds since the start of the scenario.
pub(super) type Millis = u64;

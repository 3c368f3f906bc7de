//! How much is measured.

use std::time::Duration;

/// What is measured.
#[derive(Clone, Copy, Debug)]
pub struct Sizes {
    /// All objects.
    pub objects: usize,
    /// Those of them whose window opens while nobody leads.
    pub overdue: usize,
    /// Those of them whose windows open in one second.
    pub together: usize,
    /// How long nothing happens.
    pub quiet: Duration,
}

//! How terms are told apart.

/// The `leaseTransitions` of the Lease when the term began, for logs and events. Terms of one holder in a row, such as
/// after a reclaim, share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(pub i32);

impl std::fmt::Display for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "transition {}", self.0)
    }
}

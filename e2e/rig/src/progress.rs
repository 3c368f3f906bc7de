//! What a long operation tells while it works.
//!
//! The cluster and engine sides only speak through this trait; where the words go (terminal, CI log, a test's memory)
//! is decided by the caller.

/// Receives the words of an operation while it works.
pub trait Progress: Send + Sync {
    /// A step begins; the operation may take seconds.
    fn step(&self, text: &str);
    /// Something worth knowing that needs no action.
    fn note(&self, text: &str);
    /// Something that costs: slower, less exact, or left behind.
    fn warn(&self, text: &str);
}

/// An error with everything that caused it, on one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(": ")
}

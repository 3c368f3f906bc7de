//! The face of the crate: an election is built from what one replica knows, and run with its work.

mod builder;
mod run;
#[cfg(test)]
mod tests;

pub use builder::{BuildError, Builder};
pub use run::{Election, ElectionError};

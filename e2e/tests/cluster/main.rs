//! The cluster side against a real engine: the contract of a started cluster, and what is left when things go wrong.
//!
//! Needs a container engine and the node image (`just engine`, `just node`).

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test's helper ends the test where it stands"
)]

mod contract;
mod leftovers;
mod refusals;
mod rig;

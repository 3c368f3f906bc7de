//! The cluster side against a real engine: the contract of a started cluster, and what is left when things go wrong.
//!
//! Needs a container engine and an image to start a cluster from, whichever a run would take (`just engine`,
//! `failover cluster-image`); `FAILOVER_PROVIDER` asks for one of them.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test's helper ends the test where it stands"
)]

mod contract;
mod fence;
mod kept;
mod leftovers;
mod nodes;
mod refusals;
mod rig;

//! 5-Spot: puts Cluster API machines into a cluster in weekly time windows, led by one replica at a time.
//!
//! | folder | answers |
//! |---|---|
//! | [`api`] | what a `ScheduledMachine` is |
//! | [`schedule`] | when its window is open |
//! | [`controller`] | what is done about it, and why |
//! | [`access`] | what it may do in the cluster at all |
//! | [`leader`] | by which names it elects, and is fenced; how it elects is the crate [`lease_election`] |
//! | [`operator`] | how the parts are put together, started and stopped |
//! | [`args`] | what can be set |
//! | [`admin`] | what probes and Prometheus see |
//!
//! Only the composition root knows both the election and [`controller`]; they meet in a [`lease_election::Term`].

pub mod access;
pub mod admin;
pub mod api;
#[cfg(any(test, feature = "bench"))]
mod api_server;
pub mod args;
#[cfg(feature = "bench")]
pub mod bench;
pub mod controller;
pub mod errors;
#[cfg(test)]
mod fuzz;
pub mod leader;
pub(crate) mod machine;
pub mod manifest;
pub mod metrics;
pub mod operator;
pub mod schedule;
pub mod shutdown;
pub mod telemetry;

pub use lease_election::{fence, settings};

//! 5-Spot: puts Cluster API machines into a cluster in weekly time windows, led by one replica at a time.
//!
//! | folder | answers |
//! |---|---|
//! | [`api`] | what a `ScheduledMachine` is |
//! | [`schedule`] | when its window is open |
//! | [`controller`] | what is done about it, and why |
//! | [`term`] | how long this replica may write |
//! | [`fence`] | whether the API server holds it to that |
//! | [`access`] | what it may do in the cluster at all |
//! | [`leader`] | who leads, and how that is decided |
//! | [`fence`] | whether the API server refuses the writes of everybody else |
//! | [`termination`] | what is left in the pod's status when this process dies |
//! | [`clock`] | which clock that is judged by |
//! | [`operator`] | how the parts are put together, started and stopped |
//! | [`args`] | what can be set |
//! | [`admin`] | what probes and Prometheus see |
//!
//! Only the composition root names both [`leader`] and [`controller`]; they meet in a [`term::Term`].

pub mod access;
pub mod admin;
pub mod api;
#[cfg(any(test, feature = "bench"))]
mod api_server;
pub mod args;
#[cfg(feature = "bench")]
pub mod bench;
pub mod clock;
mod connections;
pub mod controller;
pub mod errors;
pub mod fence;
#[cfg(test)]
mod fuzz;
pub mod leader;
mod listen;
#[cfg(test)]
mod logged;
pub(crate) mod machine;
pub mod manifest;
pub mod metrics;
#[cfg(feature = "mutants")]
mod mutant;
pub mod mutation;
pub mod operator;
pub mod schedule;
pub mod shutdown;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod telemetry;
pub mod term;
pub mod termination;

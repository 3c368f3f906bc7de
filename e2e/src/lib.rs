//! Failover harness: starts a cluster, breaks the leader of a Lease-elected Deployment and judges the takeover.

pub mod cluster;
pub mod doctor;
pub mod engine;
mod process;
pub mod progress;

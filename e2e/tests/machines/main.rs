//! The life of machines on a real cluster with real Cluster API: its core controller makes a real second node a Machine,
//! and the operator has it come and go.
//!
//! Needs a container engine, the cluster image, the operator image and Cluster API's (`just machines-test` builds them).

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test's helper ends the test where it stands, and says what it does"
)]

mod failover;
mod lab;
mod life;
mod provider;
mod removal;
mod rig;
mod seen;
mod work;

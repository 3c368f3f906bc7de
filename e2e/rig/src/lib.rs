//! The rig of the failover harness: a container engine, a cluster in it, and the way onto its nodes.
//!
//! | module | answers |
//! |---|---|
//! | [`engine`] | which container engine answers; starts and stops one |
//! | [`cluster`] | the cluster that failover is measured on, started or brought, and how it is left |
//! | [`doctor`] | what this machine has and lacks for a run |
//! | [`progress`], [`console`] | what a long operation tells while it works |

pub mod cluster;
pub mod console;
pub mod doctor;
pub mod engine;
mod process;
pub mod progress;

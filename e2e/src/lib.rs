//! Failover harness: breaks the leader of a Lease-elected Deployment on a real cluster, measures the takeover on one
//! monotonic clock, and judges it by what the lease configuration promises.
//!
//! This is the tool on top: it deploys, watches, breaks and waits. `failover-judging` judges what was seen,
//! `failover-reports` tells it, `failover-rig` provides the cluster; none of these knows of this crate.
//!
//! | module | answers |
//! |---|---|
//! | [`args`], [`config`] | what the command line and a `failover.toml` say |
//! | [`init`] | a first `failover.toml` for a Deployment |
//! | [`deploy`] | what is put to the test: found, changed, applied and removed |
//! | [`observe`] | what is seen while a run goes on |
//! | [`context`] | what a run acts on |
//! | [`undo_log`] | what faults have changed, and how it is undone |
//! | [`fault`] | how each fault is done |
//! | [`run`] | a whole run: the steady state, one trial after the other, and the report |

pub mod args;
pub mod config;
pub mod context;
pub mod deploy;
pub mod fault;
pub mod init;
pub mod observe;
pub mod run;
pub mod undo_log;

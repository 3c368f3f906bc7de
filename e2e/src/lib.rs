//! Failover harness: breaks the leader of a Lease-elected Deployment on a real cluster, measures the takeover on one
//! monotonic clock, and judges it by what the lease configuration promises.
//!
//! | module | answers |
//! |---|---|
//! | [`limit`], [`faults`] | how long a takeover may take, and why |
//! | [`takeover`] | how the leader changed, and whether there was a reason |
//! | [`exclusion`] | whether a replica wrote without holding the Lease |
//! | [`judge`] | what a trial shows: phases, measuring error, checks |
//! | [`verdict`] | PASS, FAIL or INCONCLUSIVE |
//! | [`audit`] | what the API server's audit log says, and how its clock maps onto ours |
//! | [`work`], [`holder`] | which requests are the leader's work, and which pod a holder is |
//! | [`trial`] | the raw data of one fault |
//! | [`config`], [`init`] | what a `failover.toml` says, and a first one for a Deployment |
//! | [`percentile`], [`precision`] | what many trials show, and when there are enough |
//! | [`gate`], [`baseline`] | what the user asks of a run beside that |
//! | [`outputs`], [`page`], [`github`], [`table`] | who gets to read it, and how |
//! | [`archive`], [`replay`], [`compare`] | what can be said of old runs |
//! | [`cluster`] | the cluster that failover is measured on, and the way onto its nodes |
//! | [`engine`], [`doctor`] | the container engine, and what this machine lacks |
#![cfg_attr(
    test,
    expect(
        clippy::float_cmp,
        reason = "tests compare numbers that are exact in binary"
    )
)]

pub mod archive;
pub mod args;
pub mod audit;
pub mod baseline;
pub mod canary;
pub mod clock;
pub mod cluster;
pub mod cluster_state;
pub mod compare;
pub mod comparison;
pub mod conduct;
pub mod config;
pub mod console;
pub mod deploy;
pub mod disruption;
pub mod doctor;
pub mod engine;
pub mod eviction;
pub mod evidence;
pub mod exclusion;
pub mod fault;
pub mod faults;
pub mod figure;
pub mod gate;
pub mod github;
pub mod holder;
pub mod idle;
pub mod image_pull;
pub mod init;
pub mod journal;
pub mod judge;
pub mod junit;
pub mod leader_metric;
pub mod lease;
pub mod limit;
pub mod limits;
pub mod markdown;
pub mod outputs;
pub mod page;
pub mod percentile;
pub mod plan;
pub mod precision;
mod process;
pub mod progress;
pub mod rank_test;
pub mod repairs;
pub mod replay;
pub mod report;
pub mod requests;
pub mod rollout;
pub mod run;
pub mod run_clock;
pub mod samples;
pub mod scene;
pub mod settings;
pub mod silent_listener;
pub mod steady;
pub mod table;
pub mod takeover;
pub mod trial;
pub mod verdict;
pub mod witness;
pub mod work;

//! The judge of the failover harness: from what was seen of a trial to a report. Pure: it needs no cluster.
//!
//! | module | answers |
//! |---|---|
//! | [`fault`] | what is done to a leader, and what is promised after it: one entry for each fault |
//! | [`settings`], [`limit`] | the election settings, and the longest time that follows from them |
//! | [`clock`] | moments on the clock of a run |
//! | [`observed`] | what was seen: Lease, pods, audit log, the harness's own requests, roles |
//! | [`judge`] | what a trial shows: takeovers and their reasons, writes without the Lease, phases, measuring error, checks |
//! | [`verdict`] | PASS, FAIL or INCONCLUSIVE |
//! | [`statistics`] | what many trials show |
//! | [`criteria`] | what the user asks of a run beside that |
//! | [`report`] | `report.json` |
//! | `named` | enums whose variants are words |
//! | [`plan`] | when within the renew period each fault comes |
//! | [`samples`] | trials and reports made by hand, for tests |
#![cfg_attr(
    test,
    expect(
        clippy::float_cmp,
        reason = "tests compare numbers that are exact in binary"
    )
)]

pub mod clock;
pub mod criteria;
pub mod fault;
pub mod judge;
pub mod limit;
mod named;
pub mod observed;
pub mod plan;
pub mod report;
pub mod samples;
pub mod settings;
pub mod statistics;
pub mod verdict;

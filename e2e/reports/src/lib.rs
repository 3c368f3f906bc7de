//! What the failover harness tells of a run, and to whom.
//!
//! | module | answers |
//! |---|---|
//! | [`folder`] | what a run leaves behind, and where |
//! | [`outputs`] | all forms of a report at once |
//! | [`page`] | `report.html`: every trial drawn |
//! | [`table`] | the terminal |
//! | [`markdown`], [`github`] | a summary and annotations for CI |
//! | [`junit`] | `junit.xml` |
//! | [`archive`] | old runs, read back |
//! | [`replay`] | an old run, judged again |
//! | [`compare`] | runs side by side |
#![cfg_attr(
    test,
    expect(
        clippy::float_cmp,
        reason = "tests compare numbers that are exact in binary"
    )
)]

pub mod archive;
pub mod compare;
pub mod folder;
pub mod github;
pub mod junit;
pub mod markdown;
pub mod outputs;
pub mod page;
pub mod replay;
pub mod table;

//! Trials, requests and reports made by hand, for the tests of this crate and of those that build on it.

mod history;
mod report;
mod seen;

pub use history::{SETTINGS, begun, expiry, handover, record, stamp, wall};
pub use report::{crashes, report, trial};
pub use seen::{call, pod};

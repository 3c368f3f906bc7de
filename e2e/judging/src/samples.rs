//! Trials, requests and reports made by hand, for the tests of this crate and of those that build on it.

mod history;
mod report;
mod seen;
mod words;

pub use history::{PROMISE, SETTINGS, begun, expiry, handover, record, seen, stamp, wall};
pub use report::{crashes, report, trial};
pub use seen::{call, own, pod};
pub use words::says;

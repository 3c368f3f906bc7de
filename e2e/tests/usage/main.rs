//! What needs no cluster: bad input is named before anything is started, and the action that gates a pipeline does what
//! it says.

#![expect(
    clippy::unwrap_used,
    reason = "a test's helper ends the test where it stands"
)]

mod action;
mod input;

//! What is seen while a run goes on, and what is changed so that there is something to see.

pub mod canary;
pub mod observations;
pub mod observers;
pub mod requests;
pub mod run_clock;
pub mod silent_listener;

//! What is seen while a run goes on, and what is changed so that there is something to see.

pub mod canary;
pub mod observations;
pub mod observers;
pub mod requests;
pub mod run_clock;
pub mod silent_listener;

pub use canary::{Canary, CanaryError, CanarySpec, Pace};
pub use observations::{Observations, Seen};
pub use observers::{ObserverError, Observers};
pub use requests::{Answer, RequestError, Requests};
pub use run_clock::RunClock;
pub use silent_listener::SilentListener;

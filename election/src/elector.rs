//! The election loop: contend, lead, step down or release, contend again.
//!
//! It runs in one task and owns the task of the work. It waits for all that can happen at once: what the watch on the
//! Lease says, the answers to its calls, its own timers, the end of the work, and the call to shut down. So no call that
//! is slow holds anything else up.

mod active;
mod attempt;
mod call;
mod calls;
mod contend;
mod events;
mod holder;
mod keep;
mod limit;
mod lock;
#[cfg(test)]
mod memory;
mod release;
mod run;
mod state;
mod tell;
#[cfg(test)]
mod tests;
mod view;
mod watchdog;

pub(crate) use events::{Announcements, Publisher, announcements};
pub(crate) use holder::Sources;
pub(crate) use lock::{KubeLeases, Lock};
#[cfg(any(test, feature = "sim"))]
pub(crate) use lock::{LeaseApi, LeaseError};
pub use release::RELEASE_TIMEOUT;
#[cfg(any(test, feature = "sim"))]
pub(crate) use release::SUCCESSOR_LIMIT;
pub use run::ElectorError;
pub(crate) use state::{Elector, Setup};

//! What the Lease says, since when this replica knows it, and what follows from that.

mod annotations;
mod decide;
mod lease;
mod observed;
mod reason;
mod unproven;
mod waits;

pub use annotations::Annotations;
pub(crate) use decide::{Evidence, Verdict, decide};
pub(crate) use lease::Record;
pub(crate) use observed::Observed;
pub use reason::{Cause, Reason};
pub(crate) use unproven::Unproven;
pub(crate) use waits::{Patience, Waits};

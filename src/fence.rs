//! The fence: the API server refuses work writes of every replica that does not hold the Lease.
//!
//! `deploy/fence.yaml` is the fence itself, an admission policy. This is what the operator knows of it: what its refusals
//! look like ([`Refusal`]), whether it is in force ([`FenceKeeper`] tests it and says so), and whether it refuses this
//! very replica right now ([`Fence`]).
//!
//! # Guarantees
//! - [`State::Active`] is said only after the API server has shown it: to a standby by a refused write, to the leader by
//!   an accepted one and by one that is refused to everybody.
//! - No test changes anything: all are dry runs.
//!
//! # Non-guarantees
//! - The policy reads the Lease through a watch, so it lags behind the Lease by milliseconds.
//! - The state is that of the last test. Who wants to act on the fence asks [`Fence::refuses_me`] at that moment.
//! - Where several API servers run, a test says something about the one that answered it.
//!
//! # An API server that stopped following the Lease
//! The API server watches Leases for the policy only while there is a binding. Once it has seen none for a second it
//! stops, and does not begin again before it is restarted (kubernetes/kubernetes issue 130887). A fence that was deleted
//! and applied again is then held against the leader of that day: it would refuse all later ones, and not that one. So
//! a standby tells the policy when the Lease that it has just read was renewed, and only a refusal by an API server
//! whose news are as new counts as one.
//!
//! # Between the check and the storage
//! Admission comes before webhooks, quota and the storage, so a write that the fence let pass may be stored after the Lease
//! has moved.
//! - Such a write replaces nothing that a later leader wrote: every write of the work names the UID and the resourceVersion
//!   that it was made from, and is refused with a conflict where the object has changed since. Two kinds need no version: a
//!   create, of a name that follows from the ScheduledMachine, is refused where there is such an object; an eviction names
//!   the pod's UID, and no leader writes to pods. (Tests: `a_status_that_is_stored_late_does_not_replace_that_of_the_next_leader`;
//!   `api_server/preconditions.rs` holds every test of the controller to it; the simulator's check `overwrite`.)
//! - It takes effect where nobody has written to the object since. The next leader sees it by its watch, and goes on from
//!   there; a deletion or an eviction it can't take back.

mod keeper;
mod metrics;
mod probe;
mod refusal;

use futures::future::{BoxFuture, FutureExt};

pub use keeper::FenceKeeper;
pub use metrics::FenceMetrics;
pub use probe::{Answer, KubeFence, Test};
pub(crate) use refusal::BEHIND;
pub use refusal::Refusal;

/// What the election asks of the fence before it relies on it.
pub trait Fence: Send + Sync {
    /// Whether the API server refused, just now and by the fence's decision, a work write of this very replica.
    ///
    /// False when the write would have been accepted, when it was refused for another reason, and when there was no
    /// answer in time.
    fn refuses_me(&self) -> BoxFuture<'_, bool>;
}

/// There is no fence, so it refuses nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFence;

/// What is known of the fence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is in force, and by the Lease that this replica contends for.
    Active,
    /// It is not. Stale leaders are held back by their own deadline only.
    Off {
        /// Why, and what to do about it.
        reason: String,
    },
    /// It could not be tested.
    Unknown {
        /// What went wrong.
        error: String,
    },
}

impl Fence for NoFence {
    fn refuses_me(&self) -> BoxFuture<'_, bool> {
        std::future::ready(false).boxed()
    }
}

#[cfg(test)]
mod tests;

//! The fence: the API server refuses work writes of every replica that does not hold the Lease.
//!
//! `deploy/fence.yaml` is the fence itself, two admission policies: one for what only the operator writes, and one for
//! what others write too. This is what the operator knows of it: what its refusals look like ([`Refusal`]), whether both
//! policies are in force ([`FenceKeeper`] tests them and says so), and whether they refuse this very replica right now
//! ([`Fence`]).
//!
//! # Guarantees
//! - [`State::Active`] is said of a policy only after the API server has shown it by a refusal of that policy: to a standby
//!   because another pod holds the Lease, and to the leader because the test asked for it, after the policy had known it
//!   as the holder.
//! - A refusal counts only from an API server whose news of the Lease are as new as the tester's: a standby tells when the
//!   Lease that it has just read was renewed, and a leader when its own last acknowledged write was.
//! - No test changes anything: all are dry runs.
//!
//! # Non-guarantees
//! - The policies read the Lease through a watch, so they lag behind the Lease by milliseconds.
//! - They look at a request before webhooks, quota and the storage do: a write that passed may be stored later.
//! - The state is that of the last test, a minute ago at most while all is well. Who wants to act on the fence asks
//!   [`Fence::refuses_me`] at that moment.
//! - Where several API servers run, a test says something about the one that answered it.
//! - A policy tells pods apart, by name and UID, and no processes: a token says no more. A second process in the leader's
//!   pod (`kubectl exec`) passes. Where it takes the Lease itself, the other incarnation in the Lease ends the term of the
//!   first, as soon as that one sees it.
//! - The UID is compared where the holder wrote it into the Lease. By name alone goes a Lease whose holder does not know its
//!   UID (`POD_UID` is not set), or is an elector of another make or version.
//! - Without a Lease the lenient policy lets everybody pass, and nothing is known of it.
//!
//! # An API server that stopped following the Lease
//! The API server watches Leases for the policies only while there is a binding. Once it has seen none for a second it
//! stops, and does not begin again before it is restarted (kubernetes/kubernetes issue 130887). A fence that was deleted
//! and applied again is then held against the leader of that day: it would refuse all later ones, and not that one. So
//! every test tells the newest `renewTime` that the tester knows of.
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

use std::fmt;

use futures::future::{BoxFuture, FutureExt};

use crate::access::{FENCE, LENIENT_FENCE};

pub use keeper::{Acknowledged, FenceKeeper};
pub use metrics::FenceMetrics;
pub use probe::{Answer, KubeFence, Test};
pub(crate) use refusal::{BEHIND, IN_FORCE};
pub use refusal::{Refusal, Why};

/// What the election asks of the fence before it relies on it.
pub trait Fence: Send + Sync {
    /// Whether the API server refused, just now and by the decision of both policies, work writes of this very replica.
    ///
    /// False when one of the writes would have been accepted, when one was refused for another reason, and when there was
    /// no answer in time.
    fn refuses_me(&self) -> BoxFuture<'_, bool>;
}

/// There is no fence, so it refuses nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoFence;

/// One of the two policies of the fence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// For what only the operator writes: it refuses where it can't tell who leads.
    Strict,
    /// For what others write too: it lets pass where it can't tell who leads.
    Lenient,
}

/// Something for each of the two policies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Each<T> {
    /// That of the strict one.
    pub strict: T,
    /// That of the lenient one.
    pub lenient: T,
}

/// What is known of a policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is in force, and by the Lease that this replica contends for.
    Active,
    /// It is not. Stale leaders are held back from what it guards by their own deadline only.
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

impl Policy {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Strict, Self::Lenient];

    /// The name of the policy in the cluster, and of its binding.
    pub fn name(self) -> &'static str {
        match self {
            Self::Strict => FENCE,
            Self::Lenient => LENIENT_FENCE,
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl<T> Each<T> {
    /// The one of `policy`.
    pub fn of(&self, policy: Policy) -> &T {
        match policy {
            Policy::Strict => &self.strict,
            Policy::Lenient => &self.lenient,
        }
    }

    /// The one of `policy`, to be changed.
    pub fn of_mut(&mut self, policy: Policy) -> &mut T {
        match policy {
            Policy::Strict => &mut self.strict,
            Policy::Lenient => &mut self.lenient,
        }
    }

    /// What `make` makes of each.
    pub fn map<U>(self, mut make: impl FnMut(Policy, T) -> U) -> Each<U> {
        Each {
            strict: make(Policy::Strict, self.strict),
            lenient: make(Policy::Lenient, self.lenient),
        }
    }
}

impl Each<State> {
    /// Whether the fence is in force: both policies are.
    pub fn are_active(&self) -> bool {
        Policy::ALL
            .iter()
            .all(|policy| *self.of(*policy) == State::Active)
    }
}

impl Fence for NoFence {
    fn refuses_me(&self) -> BoxFuture<'_, bool> {
        std::future::ready(false).boxed()
    }
}

#[cfg(test)]
mod tests;

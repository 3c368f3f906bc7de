//! The fence: the API server refuses work writes of every replica that does not hold the Lease.
//!
//! [`fence_yaml`] renders the fence itself, two admission policies: one for what only the operator writes, and one for
//! what others write too. The rest is what the operator knows of it: what its refusals look like ([`Refusal`]), whether both
//! policies are in force (a test every minute says so), and whether they refuse this very replica right now
//! ([`FenceCheck`]).
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
//!   [`FenceCheck::refuses_me`] at that moment.
//! - Where several API servers run, a test says something about the one that answered it.
//! - A policy tells pods apart, by name and UID, and no processes: a token says no more. A second process in the leader's
//!   pod (`kubectl exec`) passes. Where it takes the Lease itself, the other incarnation in the Lease ends the term of the
//!   first, as soon as that one sees it.
//! - The UID is compared where the holder wrote it into the Lease. By name alone goes a Lease whose holder does not know its
//!   UID , or is an elector of another make or version.
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
//! - Such a write replaces nothing that a later leader wrote where every write of the work names the UID and the
//!   resourceVersion that it was made from: it is refused with a conflict where the object has changed since. A create needs
//!   no version where its name follows from what it is for; an eviction names the pod's UID. (The simulator's check
//!   `overwrite`.)
//! - It takes effect where nobody has written to the object since. The next leader sees it by its watch, and goes on from
//!   there; a deletion or an eviction it can't take back.

mod manifest;
mod policy;
mod probe;
mod refusal;
mod tester;
#[cfg(test)]
mod tests;

pub use manifest::{Manifest, Rule, comment, fence_yaml, list};
pub use policy::{Advice, Fence, FenceCheck, PerPolicy, Policy, State};
pub use probe::{Answer, KubeFence, Test};
pub use refusal::{BEHIND, IN_FORCE, Refusal, Why};
pub(crate) use tester::FenceTester;

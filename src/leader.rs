//! Leader election over one `coordination.k8s.io/v1` Lease.
//!
//! # Guarantees
//! - Every write to the Lease is a PUT with the resourceVersion that was read, so of several contenders one wins.
//! - No wall clock is compared. A standby takes a silent leader's Lease only after *it* has seen no change for the
//!   `leaseDurationSeconds` that the record itself states, on its own clock. A duration that no replica writes is bounded:
//!   see [`Waits`].
//! - A leader's [`Term`](crate::term::Term) ends `renew deadline` after the last acknowledged renewal was *sent*. What
//!   acknowledges a renewal is its answer, or a read or a watch event that shows exactly that renewal. The term ends
//!   before any standby may take over, as long as the clocks' rates differ by less than
//!   `lease duration : renew deadline`.
//! - Work is stopped before the Lease is released. Work that cannot be stopped by the time a standby may take over
//!   ends the process ([`ElectorError::WorkOutlivedTerm`]).
//! - A leader whose work gives no sign of progress for a while gives the Lease back although it could renew
//!   ([`Elector::ending_stuck_work`], [`Term::progress`](crate::term::Term::progress)).
//! - A term that rests on a hint lets no write to another cluster out, where no fence is, before the predecessor's record
//!   has run out on the clock of this replica, or its death is proven; and neither does a term that follows on it
//!   ([`Term::foreign_allowed`](crate::term::Term::foreign_allowed)).
//! - A replica that lost its term stays up and contends again. Where it cannot know whether its own writes take place it
//!   reads first, and where it hears of its takes too late it leaves the Lease to others for a while: a healthy standby
//!   leads within `lease duration + 2 retry periods` of the last term.
//!
//! # Non-guarantees
//! - This is no fence. A write that left before the term ended may arrive later, and a process that was stopped
//!   between the check and the send is not held back by anything in it. Only the API server can refuse such a write;
//!   that is [`crate::fence`].
//! - What counts as progress is up to the work: work that goes on and does the wrong thing keeps the Lease.
//! - Standbys believe the Lease. Whoever edits `holderIdentity` or `leaseDurationSeconds` of a held Lease by hand, or
//!   deletes it, takes the promise back in the leader's name. The leader notices by its watch, and at the latest when
//!   it next renews; a replica that finds no Lease at all waits two retry periods for that. The wait for writes to
//!   other clusters is in the Lease too, and a Lease that is deleted forgets it for those who have not seen it.
//!
//! # How a takeover comes about
//! | reason | because |
//! |---|---|
//! | `released` | nobody holds the Lease: it was given back, or never held |
//! | `expired` | the holder has not renewed for the duration it promised |
//! | `proof` | kubelet reports the last words of exactly the process that the Lease names |
//! | `hint` | the connection to that process has ended and is refused, and the API server has just shown that the fence stands |
//! | `reclaimed` | the holder is an earlier life of this same pod, dead by construction |
//! | `own` | the holder is this very process: an answer was lost, or a term ended without a release |

mod announce;
mod attempt;
mod config;
mod elector;
mod ending;
mod hint;
mod identity;
mod limit;
mod lock;
#[cfg(test)]
mod memory;
mod metrics;
mod pods;
mod proof;
mod record;
mod standing;
mod successor;
#[cfg(test)]
mod tests;
mod unproven;
mod waits;

pub use announce::{Announcements, Announcer, announcements};
pub use config::{InvalidSetting, LeaseConfig};
pub(crate) use elector::RELEASE_TIMEOUT;
#[cfg(any(test, feature = "sim"))]
pub(crate) use elector::SUCCESSOR_LIMIT;
pub use elector::{Elector, ElectorError, Senses};
pub use ending::Cause;
pub use hint::{HintError, HintListener, Peers, TcpPeers};
pub use identity::{Identity, Incarnation};
pub use lock::{KubeLeases, LeaseApi, LeaseError, Lock};
pub use metrics::LeaderMetrics;
pub use pods::{KubePods, PodApi, PodError};
#[cfg(test)]
pub(crate) use proof::proves_death;
pub use record::{
    Evidence, HOLDER_POD as HOLDER_POD_ANNOTATION, INCARNATION as INCARNATION_ANNOTATION, Observed,
    Reason, Record, SUCCESSOR as SUCCESSOR_ANNOTATION, TAKEOVER as TAKEOVER_ANNOTATION, Verdict,
    decide,
};
pub use standing::{Pulse, Standing};
pub use waits::Waits;

//! Leader election over one `coordination.k8s.io/v1` Lease.
//!
//! # Guarantees
//! - Every write to the Lease is a PUT with the resourceVersion that was read, so of several contenders one wins.
//! - No wall clock is compared. A standby takes a silent leader's Lease only after *it* has seen no change for the
//!   `leaseDurationSeconds` that the record itself states, on its own clock. A duration that no replica writes is bounded:
//!   see `record/waits.rs`.
//! - A leader's [`Term`] ends `renew deadline` after the last acknowledged renewal was *sent*. What
//!   acknowledges a renewal is its answer, or a read or a watch event that shows exactly that renewal. The term ends
//!   before any standby may take over, as long as the clocks' rates differ by less than
//!   `lease duration : renew deadline`.
//! - Work is stopped before the Lease is released. Work that cannot be stopped by the time a standby may take over
//!   ends the process ([`ElectorError::WorkOutlivedTerm`]).
//! - A leader whose work gives no sign of progress for a while gives the Lease back although it could renew
//!   ([`Builder::end_stuck_work`], [`Term::progress`]).
//! - A term that rests on a hint lets no write to another cluster out, where no fence is, before the predecessor's record
//!   has run out on the clock of this replica, or its death is proven; and neither does a term that follows on it
//!   ([`Term::foreign_allowed`]).
//! - A replica that lost its term stays up and contends again. Where it cannot know whether its own writes take place it
//!   reads first, and where it hears of its takes too late it leaves the Lease to others for a while: a healthy standby
//!   leads within `lease duration + 2 retry periods` of the last term.
//!
//! # Non-guarantees
//! - This is no fence. A write that left before the term ended may arrive later, and a process that was stopped
//!   between the check and the send is not held back by anything in it. Only the API server can refuse such a write;
//!   that is [`fence`].
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
//! | `hint` | the connection to that process has ended and is refused, and the API server has just shown that the fence is in force |
//! | `reclaimed` | the holder is an earlier life of this same pod, dead by construction |
//! | `own` | the holder is this very process: an answer was lost, or a term ended without a release |

//!
//! # The map
//! Each layer knows only those above it in this list.
//!
//! | module | answers |
//! |---|---|
//! | [`clock`], [`errors`], `ports`, [`mutation`] | which clock deadlines are judged by, how errors are shown, how ports are listened on, and what can be broken for a test |
//! | [`settings`], [`timing`], [`identity`] | what can be set, and who a replica is |
//! | [`record`] | what the Lease says, and what follows from it: `record/decide.rs` is the one place where leadership is decided |
//! | [`status`], [`fence`] | who leads, as others see it; whether the API server refuses the writes of everybody else |
//! | [`observer`] | what is counted and measured |
//! | [`evidence`] | what is known of the holder's process beside what the Lease says |
//! | [`term`] | how long this replica may write |
//! | `elector` | the loop: contend, lead, stop the work, release |
//! | [`Election`] | how the parts are put together, started and stopped |
//! | `sim` | how all of it is broken by a simulator |

pub mod clock;
mod election;
mod elector;
pub mod errors;
pub mod evidence;
pub mod fence;
pub mod identity;
pub mod mutation;
pub mod observer;
pub mod ports;
pub mod record;
pub mod settings;
#[cfg(any(test, feature = "sim"))]
pub mod sim;
pub mod status;
pub mod term;
pub mod timing;

pub use election::{BuildError, Builder, Election, ElectionError};
pub use elector::{ElectorError, RELEASE_TIMEOUT};
pub use fence::Fence;
pub use identity::Identity;
pub use observer::Observer;
pub use record::Annotations;
pub use settings::{InvalidSetting, SettingNames};
pub use status::LeadershipStatus;
pub use term::Term;
pub use timing::Timing;

/// The example of the README compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

//! The hint: a standby that holds a TCP connection to the leader's process learns of its death from the kernel.
//!
//! Each replica listens; a standby connects to the holder, says the nonce that it read in the Lease, and is answered only
//! by the very process of that nonce. Nothing is sent after that. When the process dies, its kernel closes the connection
//! within a millisecond and refuses a reconnect, long before kubelet looks.
//!
//! # Guarantees
//! - A hint is given only after a connection to that very process was confirmed, has *ended*, and a reconnect to the same
//!   address was *refused*. Silence, a timeout or an unreachable host is never a hint.
//! - Whoever does not know the nonce can't take a follower's place, however many connections he opens, and the number of
//!   connections that are kept is bounded.
//!
//! # Non-guarantees
//! - A hint is no proof: whoever sits between the two can forge both signs. It is acted on only while the API server has
//!   just shown that the fence is in force, which makes a wrong hint cost a change of leader and nothing else; and repeated
//!   wrong hints are damped (see `elector/holder.rs`).
//! - The nonce is no secret: whoever may read the Lease knows it. It keeps out who may not, and tells processes apart.
//!   Who knows it can take the places that followers leave, which costs the hint and nothing else.

mod listener;
mod peers;
mod protocol;
#[cfg(test)]
mod tests;

pub use listener::HintError;
pub(crate) use listener::HintListener;
pub(crate) use peers::{Peers, TcpPeers};

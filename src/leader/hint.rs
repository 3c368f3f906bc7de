//! The hint: a standby that holds a TCP connection to the leader's process learns of its death from the kernel.
//!
//! Each replica listens; a standby connects to the holder, says the nonce that it read in the Lease, and is answered only
//! by the very process of that nonce. Nothing is sent after that. When the process dies, its kernel closes the connection
//! within a millisecond and refuses a reconnect, long before kubelet looks.
//!
//! # Guarantees
//! - A hint is given only after a connection to that very process was confirmed, has *ended*, and a reconnect was
//!   *refused*. Silence, a timeout or an unreachable host is never a hint.
//!
//! # Non-guarantees
//! - A hint is no proof: whoever sits between the two can forge both signs. It is acted on only while the API server has
//!   just shown that the fence stands, which makes a wrong hint cost a change of leader and nothing else; and repeated
//!   wrong hints are damped (see the elector's `holder` module).
//! - The nonce is no secret: whoever may read the Lease knows it. It keeps out who may not, and tells processes apart.

mod listener;
mod tcp;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use futures::future::BoxFuture;

use super::identity::Incarnation;

pub use listener::{HintError, HintListener};
pub use tcp::TcpPeers;

/// What the election needs of the other replicas' processes.
pub trait Peers: Send + Sync + 'static {
    /// Resolves when the process `incarnation` at `address` seems to be dead, and never otherwise.
    fn lost(&self, address: IpAddr, incarnation: &Incarnation) -> BoxFuture<'static, ()>;
}

/// What a standby says, followed by the nonce and a newline.
const GREETING: &str = "5spot/1 ";

/// What the process of that nonce answers.
const ANSWER: &[u8; 6] = b"alive\n";

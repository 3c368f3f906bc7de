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
//!   just shown that the fence stands, which makes a wrong hint cost a change of leader and nothing else; and repeated
//!   wrong hints are damped (see the elector's `holder` module).
//! - The nonce is no secret: whoever may read the Lease knows it. It keeps out who may not, and tells processes apart.
//!   Who knows it can take the places that followers leave, which costs the hint and nothing else.

mod listener;
mod tcp;
#[cfg(test)]
mod tests;

use std::{io, net::IpAddr, time::Duration};

use futures::future::BoxFuture;
use rustix::net::sockopt;
use tokio::net::TcpStream;
use uuid::Uuid;

use super::identity::Incarnation;

pub use listener::{HintError, HintListener};
pub use tcp::TcpPeers;

/// What the election needs of the other replicas' processes.
pub trait Peers: Send + Sync + 'static {
    /// Resolves when the process `incarnation` seems to be dead, and never otherwise. `addresses` are those of its pod, of
    /// which the first that answers is used.
    fn lost(&self, addresses: &[IpAddr], incarnation: &Incarnation) -> BoxFuture<'static, ()>;
}

/// What the process of the nonce answers to its greeting.
const ANSWER: &[u8; 6] = b"alive\n";

/// How long a connection may be silent before the other side's kernel is asked whether it still stands.
const SILENCE: Duration = Duration::from_secs(15);

/// How long after that it is asked again, until the connection ends after the third time.
const ASKED_AGAIN: Duration = Duration::from_secs(5);

/// What a standby says.
fn greeting(nonce: Uuid) -> String {
    format!("5spot/1 {nonce}\n")
}

/// Has the kernel end `stream` when the other side's kernel does not answer for 30 seconds: its node or the network is gone.
fn detect_silence(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_tcp_keepidle(stream, SILENCE)?;
    sockopt::set_tcp_keepintvl(stream, ASKED_AGAIN)?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    sockopt::set_socket_keepalive(stream, true)?;
    Ok(())
}

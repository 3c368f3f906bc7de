//! What the two sides of a hint connection say, and how they notice that the other one is silent.

use std::{io, time::Duration};

use rustix::net::sockopt;
use tokio::net::TcpStream;
use uuid::Uuid;

/// What the process of the nonce answers to its greeting.
pub(super) const ANSWER: &[u8; 6] = b"alive\n";

/// How long a connection may be silent before the other side's kernel is asked whether it still stands.
const SILENCE: Duration = Duration::from_secs(15);

/// How long after that it is asked again, until the connection ends after the third time.
const ASKED_AGAIN: Duration = Duration::from_secs(5);

/// What a standby says.
pub(super) fn greeting(nonce: Uuid) -> String {
    format!("lease-election/1 {nonce}\n")
}

/// Has the kernel end `stream` when the other side's kernel does not answer for 30 seconds: its node or the network is gone.
pub(super) fn detect_silence(stream: &TcpStream) -> io::Result<()> {
    sockopt::set_tcp_keepidle(stream, SILENCE)?;
    sockopt::set_tcp_keepintvl(stream, ASKED_AGAIN)?;
    sockopt::set_tcp_keepcnt(stream, 3)?;
    sockopt::set_socket_keepalive(stream, true)?;
    Ok(())
}

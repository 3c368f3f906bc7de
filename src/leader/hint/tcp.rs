//! The standby's side of the hint: one connection to the holder's process.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tracing::debug;

use super::{ANSWER, GREETING, Peers};
use crate::leader::identity::Incarnation;

/// How long a connection attempt and its greeting may take.
const CALL_LIMIT: Duration = Duration::from_secs(1);

/// How long after the end of a confirmed connection a refusal still belongs to it.
const AFTERMATH: Duration = Duration::from_secs(1);

/// The time between attempts within the aftermath.
const SHORT_PAUSE: Duration = Duration::from_millis(5);

/// The time between attempts otherwise: a listener that can't be reached is no reason to hurry.
const LONG_PAUSE: Duration = Duration::from_secs(2);

/// The other replicas, each on the same port of its pod's address.
#[derive(Clone, Copy, Debug)]
pub struct TcpPeers {
    port: u16,
}

impl TcpPeers {
    /// Peers that listen on `port`.
    pub fn on_port(port: u16) -> Self {
        Self { port }
    }
}

impl Peers for TcpPeers {
    fn lost(&self, address: IpAddr, incarnation: &Incarnation) -> BoxFuture<'static, ()> {
        let address = SocketAddr::new(address, self.port);
        let greeting = format!("{GREETING}{}\n", incarnation.nonce);
        follow(address, greeting).boxed()
    }
}

/// Connects again and again until a connection that was confirmed is followed by a refusal.
async fn follow(address: SocketAddr, greeting: String) {
    let mut ended: Option<Instant> = None;
    loop {
        let recent = ended.is_some_and(|at| at.elapsed() <= AFTERMATH);
        match timeout(CALL_LIMIT, greet(address, &greeting)).await {
            Ok(Ok(mut stream)) => {
                debug!(%address, "following the leader's process");
                // The process says nothing more: whatever comes is the end.
                let _ = stream.read_u8().await;
                ended = Some(Instant::now());
                continue;
            }
            Ok(Err(error)) if recent && error.kind() == ErrorKind::ConnectionRefused => return,
            // The process may be on its way down, with its connections closed in any order.
            Ok(Err(error)) if recent && error.kind() == ErrorKind::ConnectionReset => {}
            // Silence and unreachable hosts prove nothing, and nothing that comes later belongs to the end.
            Ok(Err(_)) | Err(_) => ended = None,
        }
        sleep(if ended.is_some() {
            SHORT_PAUSE
        } else {
            LONG_PAUSE
        })
        .await;
    }
}

/// A connection that was answered by the process that the greeting asks for.
async fn greet(address: SocketAddr, greeting: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let mut answer = [0; ANSWER.len()];
    let answered = async {
        stream.write_all(greeting.as_bytes()).await?;
        stream.read_exact(&mut answer).await?;
        Ok(())
    };
    // Once the connection stands, its end is no refusal of it, whatever the kernel calls it.
    answered
        .await
        .map_err(|error: io::Error| match error.kind() {
            ErrorKind::UnexpectedEof | ErrorKind::BrokenPipe => {
                io::Error::new(ErrorKind::ConnectionReset, error)
            }
            _ => error,
        })?;
    if answer == *ANSWER {
        Ok(stream)
    } else {
        Err(io::Error::new(
            ErrorKind::InvalidData,
            "not the answer of a replica",
        ))
    }
}

//! The standby's side of the hint: one connection to the holder's process.

use std::{
    io::{self, ErrorKind},
    net::{IpAddr, SocketAddr},
    slice,
    sync::Arc,
    time::Duration,
};

use futures::{FutureExt, future::BoxFuture};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Instant, sleep, timeout},
};
use tracing::debug;

use super::protocol::{ANSWER, detect_silence, greeting};
use crate::{identity::Incarnation, observer::Observer};

/// How long a connection attempt and its greeting may take, for each address.
const CALL_LIMIT: Duration = Duration::from_secs(1);

/// How long after the end of a confirmed connection a refusal still belongs to it.
const AFTERMATH: Duration = Duration::from_secs(1);

/// The time between the first two attempts. It doubles with each attempt.
const SHORTEST_PAUSE: Duration = Duration::from_millis(5);

/// The longest time between attempts, and the shortest between two ends of a connection after which the pauses begin anew.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// What the election needs of the other replicas' processes.
pub(crate) trait Peers: Send + Sync + 'static {
    /// Resolves when the process `incarnation` seems to be dead, and never otherwise. `addresses` are those of its pod, of
    /// which the first that answers is used.
    fn lost(&self, addresses: &[IpAddr], incarnation: &Incarnation) -> BoxFuture<'static, ()>;
}

/// The other replicas, each on the same port of its pod's addresses.
pub(crate) struct TcpPeers {
    port: u16,
    observer: Arc<dyn Observer>,
}

impl TcpPeers {
    /// Peers that listen on `port`. The observer hears whether a confirmed connection stands to the one that is followed.
    pub(crate) fn on_port(port: u16, observer: Arc<dyn Observer>) -> Self {
        observer.hint_connected(false);
        Self { port, observer }
    }
}

impl Peers for TcpPeers {
    fn lost(&self, addresses: &[IpAddr], incarnation: &Incarnation) -> BoxFuture<'static, ()> {
        let addresses = addresses
            .iter()
            .map(|address| SocketAddr::new(*address, self.port))
            .collect();
        let greeting = greeting(incarnation.nonce);
        follow(addresses, greeting, Arc::clone(&self.observer)).boxed()
    }
}

/// The end of a confirmed connection.
#[derive(Clone, Copy)]
struct End {
    address: SocketAddr,
    at: Instant,
}

/// Connects again and again until a connection that was confirmed is followed by a refusal.
async fn follow(addresses: Vec<SocketAddr>, greeting: String, observer: Arc<dyn Observer>) {
    let mut ended: Option<End> = None;
    let mut hurried: Option<Instant> = None;
    let mut pause = SHORTEST_PAUSE;
    loop {
        let recent = ended.filter(|end| end.at.elapsed() <= AFTERMATH);
        // What another address says is no answer to the end of this one.
        let tried = match &recent {
            Some(end) => slice::from_ref(&end.address),
            None => &addresses,
        };
        match reach(tried, &greeting).await {
            Ok((address, stream)) => {
                debug!(%address, "following the leader's process");
                ended = hold(stream, observer.as_ref()).await.then(|| End {
                    address,
                    at: Instant::now(),
                });
                // The first attempt after an end is the one that gives the hint. Whoever ends connections all the time is
                // not worth the hurry.
                if hurried.is_none_or(|at| at.elapsed() >= LONGEST_PAUSE) {
                    hurried = Some(Instant::now());
                    pause = SHORTEST_PAUSE;
                    continue;
                }
            }
            Err(error) if recent.is_some() && error.kind() == ErrorKind::ConnectionRefused => {
                return;
            }
            // The process may be on its way down, with its connections closed in any order.
            Err(error) if recent.is_some() && error.kind() == ErrorKind::ConnectionReset => {}
            // Silence and unreachable hosts prove nothing, and nothing that comes later belongs to the end.
            Err(_) => ended = None,
        }
        sleep(pause).await;
        pause = LONGEST_PAUSE.min(2 * pause);
    }
}

/// A connection to the first of these addresses that answers as the process that the greeting asks for; else why the last
/// one did not.
async fn reach(addresses: &[SocketAddr], greeting: &str) -> io::Result<(SocketAddr, TcpStream)> {
    let mut failed = io::Error::from(ErrorKind::AddrNotAvailable);
    for address in addresses {
        match timeout(CALL_LIMIT, greet(*address, greeting)).await {
            Ok(Ok(stream)) => return Ok((*address, stream)),
            Ok(Err(error)) => failed = error,
            Err(silence) => failed = silence.into(),
        }
    }
    Err(failed)
}

/// A connection that was answered by the process that the greeting asks for.
async fn greet(address: SocketAddr, greeting: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    detect_silence(&stream)?;
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

/// Waits for the end of a confirmed connection; whether the other side ended it.
async fn hold(mut stream: TcpStream, observer: &dyn Observer) -> bool {
    let _connected = Connected::begin(observer);
    // The process says nothing more: whatever comes is the end. That nothing can be heard of the other side any more is
    // what this kernel says, and not the other one.
    stream.read_u8().await.map_or_else(
        |error| {
            !matches!(
                error.kind(),
                ErrorKind::TimedOut | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
            )
        },
        |_unasked| true,
    )
}

/// Says that a connection stands for as long as it lives, also where whoever holds the connection is dropped.
struct Connected<'a>(&'a dyn Observer);

impl<'a> Connected<'a> {
    fn begin(observer: &'a dyn Observer) -> Self {
        observer.hint_connected(true);
        Self(observer)
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.hint_connected(false);
    }
}

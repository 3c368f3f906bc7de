//! The leader's side of the hint: answers who knows the nonce, and keeps the connection open for as long as it lives.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};
use uuid::Uuid;

use super::{ANSWER, GREETING};
use crate::errors::Chain;

/// Connections kept at a time: more replicas than anybody runs. One more closes the oldest, whose owner then reconnects
/// and is accepted, so that it is no hint.
const MOST_CONNECTIONS: usize = 16;

/// How long a connection may take to say its line.
const GREETING_LIMIT: Duration = Duration::from_secs(2);

/// The longest line that is read: the greeting, a nonce and a newline.
const LONGEST_LINE: u64 = 64;

/// How long to wait after a connection could not be accepted, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// The hint can't be offered.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on HINT_ADDRESS {address}")]
pub struct HintError {
    /// The address that was asked for.
    pub address: SocketAddr,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

/// The endpoint of one process life.
#[derive(Debug)]
pub struct HintListener {
    listener: TcpListener,
    nonce: Uuid,
}

impl HintListener {
    /// Listens; connections wait until [`HintListener::serve`] takes them.
    pub async fn listen(address: SocketAddr, nonce: Uuid) -> Result<Self, HintError> {
        let listener = TcpListener::bind(address).await;
        let listener = listener.map_err(|source| HintError { address, source })?;
        Ok(Self { listener, nonce })
    }

    /// Where it listens, with the port that the system chose if it was asked to.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, which is to come after the Lease was released: a standby takes the end for a death.
    pub async fn serve(self, stop: CancellationToken) {
        let mut connections = JoinSet::new();
        let mut open = std::collections::VecDeque::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(_ended) = connections.join_next() => {}
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, from)) => {
                        debug!(%from, "a replica follows this process");
                        open.retain(|task: &tokio::task::AbortHandle| !task.is_finished());
                        if open.len() >= MOST_CONNECTIONS && let Some(oldest) = open.pop_front() {
                            oldest.abort();
                        }
                        open.push_back(connections.spawn(attend(stream, self.nonce)));
                    }
                    Err(error) => {
                        warn!(error = %Chain(&error), "failed to accept a connection on HINT_ADDRESS");
                        tokio::time::sleep(PAUSE).await;
                    }
                }
            }
        }
    }
}

/// One connection from its greeting to its end, which is the other side's or this process's.
async fn attend(stream: TcpStream, nonce: Uuid) {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    let mut greeting = (&mut stream).take(LONGEST_LINE);
    let read = timeout(GREETING_LIMIT, greeting.read_line(&mut line)).await;
    if !matches!(read, Ok(Ok(_))) || line != format!("{GREETING}{nonce}\n") {
        return;
    }
    if stream.write_all(ANSWER).await.is_err() {
        return;
    }
    // Nothing more is to be said; whatever comes, or the end, closes the connection.
    let _ = stream.read_u8().await;
}

//! The leader's side of the hint: answers who knows the nonce, and keeps the connection open for as long as it lives.
//!
//! Who has not said the nonce yet is limited separately, so that nobody else can take the place of a follower.

use std::{io, net::SocketAddr, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::protocol::{ANSWER, detect_silence, greeting};
use crate::ports::{Connections, accept, listen};

/// Followers at a time: more replicas than anybody runs. One more is closed unanswered, and comes again.
const MOST_FOLLOWERS: usize = 32;

/// Connections at a time that have not said the nonce yet. One more closes the oldest of the address that has most of them.
const MOST_NEWCOMERS: usize = 256;

/// How long a connection may take to say the nonce.
const GREETING_LIMIT: Duration = Duration::from_secs(2);

/// The hint can't be offered.
#[derive(Debug, thiserror::Error)]
#[error("failed to listen on {setting} {address}")]
pub struct HintError {
    /// What the caller calls it.
    pub setting: &'static str,
    /// The address that was asked for.
    pub address: SocketAddr,
    /// What the system says.
    #[source]
    pub source: io::Error,
}

/// The endpoint of one process life.
#[derive(Debug)]
pub(crate) struct HintListener {
    listener: TcpListener,
    nonce: Uuid,
    setting: &'static str,
}

impl HintListener {
    /// Listens, as `[::]` says on every address of both families; connections wait until [`HintListener::serve`] takes
    /// them.
    /// Errors name the address as `setting`.
    pub(crate) fn listen(
        address: SocketAddr,
        nonce: Uuid,
        setting: &'static str,
    ) -> Result<Self, HintError> {
        let listener = listen(address).map_err(|source| HintError {
            setting,
            address,
            source,
        })?;
        Ok(Self {
            listener,
            nonce,
            setting,
        })
    }

    /// Where it listens, with the port that the system chose if it was asked to.
    #[cfg(test)]
    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves until `stop`, which is to come after the Lease was released: a standby takes the end for a death.
    pub(crate) async fn serve(self, stop: CancellationToken) {
        let mut newcomers = Connections::at_most(MOST_NEWCOMERS);
        let mut followers = JoinSet::new();
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                Some(_ended) = followers.join_next() => {}
                greeted = newcomers.ended() => {
                    if let Some(stream) = greeted.flatten()
                        && followers.len() < MOST_FOLLOWERS
                    {
                        followers.spawn(attend(stream));
                    }
                }
                (stream, from) = accept(&self.listener, self.setting), if newcomers.has_room() => {
                    newcomers.add(from, greeted(stream, self.nonce));
                }
            }
        }
    }
}

/// The connection, once it has said the nonce; none where it says anything else, or nothing.
async fn greeted(mut stream: TcpStream, nonce: Uuid) -> Option<TcpStream> {
    let expected = greeting(nonce);
    let mut said = vec![0; expected.len()];
    let read = timeout(GREETING_LIMIT, stream.read_exact(&mut said)).await;
    (matches!(read, Ok(Ok(_))) && said == expected.as_bytes()).then_some(stream)
}

/// A follower's connection to its end, which is the other side's or this process's.
async fn attend(mut stream: TcpStream) {
    // A follower whose node is gone would keep its place indefinitely.
    if detect_silence(&stream).is_err() || stream.write_all(ANSWER).await.is_err() {
        return;
    }
    // Nothing more is to be said; whatever comes, or the end, closes the connection.
    let _ = stream.read_u8().await;
}

//! Connections of others, bounded: however many are opened, and however little is said on them, so many are kept.

use std::{
    collections::{HashMap, VecDeque},
    io::ErrorKind,
    net::IpAddr,
    time::Duration,
};

use tokio::{
    net::{TcpListener, TcpStream},
    task::{AbortHandle, JoinSet},
    time::sleep,
};
use tracing::warn;

use crate::errors::Chain;

/// How long to wait after a connection could not be accepted, such as for want of file descriptors.
const PAUSE: Duration = Duration::from_millis(100);

/// Connections that are attended to, at most so many.
///
/// One more closes the oldest of the address that has most of them. So a crowd takes places from itself, and whoever connects
/// and says at once what it wants is answered.
#[derive(Debug)]
pub struct Connections<T> {
    tasks: JoinSet<T>,
    /// The oldest first.
    open: VecDeque<(IpAddr, AbortHandle)>,
    most: usize,
}

impl<T: Send + 'static> Connections<T> {
    /// None yet, and never more than `most`.
    pub fn at_most(most: usize) -> Self {
        Self {
            tasks: JoinSet::new(),
            open: VecDeque::new(),
            most,
        }
    }

    /// Attends to one more, which comes from this address.
    pub fn add(&mut self, from: IpAddr, attended: impl Future<Output = T> + Send + 'static) {
        self.open.retain(|(_, task)| !task.is_finished());
        if self.open.len() >= self.most {
            self.close_one();
        }
        let task = self.tasks.spawn(attended);
        self.open.push_back((from, task));
    }

    fn close_one(&mut self) {
        let mut of_address = HashMap::<IpAddr, usize>::new();
        for (from, _) in &self.open {
            *of_address.entry(*from).or_default() += 1;
        }
        let most = of_address.values().max();
        let oldest = self
            .open
            .iter()
            .position(|(from, _)| of_address.get(from) == most);
        if let Some((_, task)) = oldest.and_then(|oldest| self.open.remove(oldest)) {
            task.abort();
        }
    }

    /// Whether one more may be accepted: not while one is still being closed for the last one.
    pub fn has_room(&self) -> bool {
        self.tasks.len() <= self.most
    }

    /// What came of the next connection that ends; nothing of one that was closed for another one. Never, while there is none.
    ///
    /// It has to be asked for all the time, as one that has ended takes room until then. It may be dropped at any time.
    pub async fn ended(&mut self) -> Option<T> {
        match self.tasks.join_next().await {
            // An error is of one that was closed; or of a panic, which was reported where it happened.
            Some(ended) => ended.ok(),
            None => std::future::pending().await,
        }
    }
}

/// The next connection, and the address that it comes from. What keeps one from being accepted is logged, and it is tried
/// again.
pub async fn accept(listener: &TcpListener, setting: &'static str) -> (TcpStream, IpAddr) {
    loop {
        match listener.accept().await {
            Ok((stream, from)) => return (stream, from.ip()),
            // Its owner was gone before it was accepted.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset
                ) => {}
            Err(error) => {
                warn!(error = %Chain(&error), setting, "failed to accept a connection, trying again");
                sleep(PAUSE).await;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::{pending, ready},
        sync::Arc,
    };

    use tokio::time::timeout;

    use super::*;

    const CROWD: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 9));
    const KUBELET: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 1));

    /// A connection that stays open until it is closed.
    fn open(held: &Arc<()>) -> impl Future<Output = u8> + Send + 'static {
        let held = Arc::clone(held);
        async move {
            pending::<()>().await;
            drop(held);
            0
        }
    }

    /// Which of the connections are open, once those that are to be closed are.
    async fn are_open<const N: usize>(
        connections: &mut Connections<u8>,
        held: &[Arc<()>; N],
    ) -> [bool; N] {
        while let Ok(ended) = timeout(PAUSE, connections.ended()).await {
            assert_eq!(ended, None, "none ends by itself");
        }
        held.each_ref().map(|each| Arc::strong_count(each) == 2)
    }

    #[tokio::test(start_paused = true)]
    async fn one_more_than_are_kept_closes_the_oldest_and_no_other() {
        let mut connections = Connections::at_most(2);
        let held: [Arc<()>; 3] = Default::default();
        for each in &held {
            connections.add(CROWD, open(each));
        }
        assert!(!connections.has_room(), "the oldest is not gone yet");
        let open = are_open(&mut connections, &held).await;
        assert_eq!(open, [false, true, true]);
        assert!(connections.has_room());
    }

    #[tokio::test(start_paused = true)]
    async fn a_crowd_takes_places_from_itself() {
        let mut connections = Connections::at_most(3);
        let held: [Arc<()>; 6] = Default::default();
        connections.add(KUBELET, open(&held[0]));
        for each in &held[1..] {
            connections.add(CROWD, open(each));
        }
        let open = are_open(&mut connections, &held).await;
        assert_eq!(open, [true, false, false, false, true, true]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_ended_leaves_room_and_its_outcome() {
        let mut connections = Connections::at_most(2);
        let held = Arc::new(());
        connections.add(CROWD, open(&held));
        connections.add(CROWD, ready(7));
        tokio::task::yield_now().await;
        connections.add(CROWD, open(&held));
        assert_eq!(connections.ended().await, Some(7));
        assert_eq!(Arc::strong_count(&held), 3, "nothing was closed");
    }
}

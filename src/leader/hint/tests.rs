//! The two sides of the hint over real sockets on the loopback interface: only the kernel closes a dead process's
//! connections.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::*;
use crate::leader::Identity;

const MOMENT: std::time::Duration = std::time::Duration::from_millis(300);

/// A process that can be followed, until it is dropped.
struct Process {
    incarnation: Incarnation,
    address: SocketAddr,
    serving: JoinSet<()>,
}

impl Process {
    async fn start() -> Self {
        Self::listen("127.0.0.1:0".parse().unwrap()).await
    }

    async fn listen(address: SocketAddr) -> Self {
        let incarnation = Identity::of_new_process("a", "uid-a").incarnation;
        let listener = HintListener::listen(address, incarnation.nonce)
            .await
            .unwrap();
        let address = listener.local_address().unwrap();
        let mut serving = JoinSet::new();
        serving.spawn(listener.serve(CancellationToken::new()));
        Self {
            incarnation,
            address,
            serving,
        }
    }

    fn follow(&self) -> BoxFuture<'static, ()> {
        follow(self.address, &self.incarnation)
    }

    /// As the kernel does when the process is gone: all its sockets are closed.
    async fn die(mut self) {
        self.serving.shutdown().await;
    }

    /// Connects as a standby would, and says `greeting`; what is answered before the connection ends, if it does.
    async fn say(&self, greeting: &str) -> (TcpStream, String) {
        let mut stream = TcpStream::connect(self.address).await.unwrap();
        stream.write_all(greeting.as_bytes()).await.unwrap();
        let mut answer = vec![0; 64];
        let read = timeout(MOMENT, stream.read(&mut answer)).await;
        let length = read.map_or(0, Result::unwrap_or_default);
        (stream, String::from_utf8_lossy(&answer[..length]).into())
    }
}

fn follow(address: SocketAddr, incarnation: &Incarnation) -> BoxFuture<'static, ()> {
    TcpPeers::on_port(address.port()).lost(address.ip(), incarnation)
}

#[tokio::test]
async fn the_death_of_a_followed_process_is_noticed_at_once() {
    let process = Process::start().await;
    let mut lost = process.follow();
    assert!(timeout(MOMENT, &mut lost).await.is_err(), "it is alive");
    let killed = Instant::now();
    process.die().await;
    lost.await;
    assert!(killed.elapsed() < MOMENT, "{:?}", killed.elapsed());
}

#[tokio::test]
async fn a_process_that_was_never_reached_is_never_lost() {
    let process = Process::start().await;
    let lost = process.follow();
    process.die().await;
    assert!(timeout(MOMENT, lost).await.is_err());
}

#[tokio::test]
async fn another_process_at_the_same_address_is_not_the_one_that_is_followed() {
    let process = Process::start().await;
    let stranger = Identity::of_new_process("a", "uid-a").incarnation;
    let mut lost = follow(process.address, &stranger);
    assert!(timeout(MOMENT, &mut lost).await.is_err());
    process.die().await;
    assert!(timeout(MOMENT, &mut lost).await.is_err());
}

#[tokio::test]
async fn a_connection_that_is_cut_while_the_process_lives_is_made_anew() {
    let process = Process::start().await;
    let mut lost = process.follow();
    assert!(timeout(MOMENT, &mut lost).await.is_err());
    // One connection more than are kept closes the oldest, which is the one that follows.
    let greeting = format!("5spot/1 {}\n", process.incarnation.nonce);
    let mut others = Vec::new();
    for _ in 0..16 {
        others.push(process.say(&greeting).await);
    }
    assert!(timeout(MOMENT, &mut lost).await.is_err());
    process.die().await;
    assert!(timeout(MOMENT, &mut lost).await.is_ok(), "it still follows");
}

#[tokio::test]
async fn a_listener_that_hangs_is_never_a_hint() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stranger = Identity::of_new_process("a", "uid-a").incarnation;
    let mut lost = follow(listener.local_addr().unwrap(), &stranger);
    assert!(timeout(MOMENT, &mut lost).await.is_err());
    drop(listener);
    assert!(timeout(MOMENT, &mut lost).await.is_err());
}

#[tokio::test]
async fn a_refusal_long_after_the_connection_ended_does_not_belong_to_it() {
    let process = Process::start().await;
    let address = process.address;
    let mut lost = process.follow();
    assert!(timeout(MOMENT, &mut lost).await.is_err());
    process.die().await;
    // Another process takes the place at once, and goes away later.
    let successor = Process::listen(address).await;
    let wait = timeout(std::time::Duration::from_millis(1_200), &mut lost);
    assert!(wait.await.is_err());
    successor.die().await;
    assert!(timeout(MOMENT, &mut lost).await.is_err());
}

#[tokio::test]
async fn only_who_knows_the_nonce_is_answered() {
    let process = Process::start().await;
    let nonce = process.incarnation.nonce;
    let (_open, answer) = process.say(&format!("5spot/1 {nonce}\n")).await;
    assert_eq!(answer, "alive\n");
    for greeting in [
        "\n".to_owned(),
        format!("5spot/1 {}\n", uuid::Uuid::nil()),
        format!("5spot/1 {nonce} and more\n"),
        "x".repeat(10_000),
    ] {
        assert_eq!(process.say(&greeting).await.1, "", "{greeting:.60}");
    }
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_the_setting() {
    let process = Process::start().await;
    let error = HintListener::listen(process.address, uuid::Uuid::nil())
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("HINT_ADDRESS 127.0.0.1:"),
        "{error}"
    );
}

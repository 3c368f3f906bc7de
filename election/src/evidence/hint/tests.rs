//! The two sides of the hint over real sockets on the loopback interface: only the kernel closes a dead process's
//! connections.

use std::{
    net::{Ipv6Addr, SocketAddr},
    sync::Arc,
};

use futures::future::BoxFuture;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    protocol::{ANSWER, greeting},
    *,
};
use crate::{
    identity::{Identity, Incarnation},
    observer::{NoObserver, recorder::Recorder},
};

const MOMENT: std::time::Duration = std::time::Duration::from_millis(300);

/// A process that can be followed, until it is dropped.
struct Process {
    incarnation: Incarnation,
    address: SocketAddr,
    serving: JoinSet<()>,
}

impl Process {
    fn start() -> Self {
        Self::listen("127.0.0.1:0".parse().unwrap())
    }

    fn listen(address: SocketAddr) -> Self {
        let incarnation = Identity::of_new_process("a", "uid-a").incarnation;
        let listener = HintListener::listen(address, incarnation.nonce, "HINTS").unwrap();
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

    fn greeting(&self) -> String {
        greeting(self.incarnation.nonce)
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
    TcpPeers::on_port(address.port(), Arc::new(NoObserver)).lost(&[address.ip()], incarnation)
}

fn stranger() -> Incarnation {
    Identity::of_new_process("a", "uid-a").incarnation
}

/// Whether the other side has closed this connection.
async fn is_closed(stream: &mut TcpStream) -> bool {
    timeout(MOMENT, stream.read_u8()).await.is_ok()
}

/// A listener of the test's own, which answers as the process that is asked for and does with the connection what it likes.
struct Imitation(TcpListener);

impl Imitation {
    async fn listen() -> (Self, SocketAddr) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        (Self(listener), address)
    }

    async fn answer(&self) -> TcpStream {
        let (mut stream, _) = self.0.accept().await.unwrap();
        let mut said = vec![0; greeting(uuid::Uuid::nil()).len()];
        stream.read_exact(&mut said).await.unwrap();
        stream.write_all(ANSWER).await.unwrap();
        stream
    }
}

#[tokio::test]
async fn the_death_of_a_followed_process_is_noticed_at_once() {
    let process = Process::start();
    let mut lost = process.follow();
    assert!(timeout(MOMENT, &mut lost).await.is_err(), "it is alive");
    let killed = Instant::now();
    process.die().await;
    lost.await;
    assert!(killed.elapsed() < MOMENT, "{:?}", killed.elapsed());
}

#[tokio::test]
async fn a_process_that_was_never_reached_is_never_lost() {
    let process = Process::start();
    let lost = process.follow();
    process.die().await;
    assert!(timeout(MOMENT, lost).await.is_err());
}

#[tokio::test]
async fn another_process_at_the_same_address_is_not_the_one_that_is_followed() {
    let process = Process::start();
    let stranger = stranger();
    let mut lost = follow(process.address, &stranger);
    assert!(timeout(MOMENT, &mut lost).await.is_err());
    process.die().await;
    assert!(timeout(MOMENT, &mut lost).await.is_err());
}

#[tokio::test]
async fn a_connection_that_is_cut_while_the_process_lives_is_made_anew() {
    let (imitation, address) = Imitation::listen().await;
    let lost = follow(address, &stranger());
    let lives = async {
        drop(imitation.answer().await);
        let again = timeout(MOMENT, imitation.answer()).await;
        (imitation, again.expect("it connects again"))
    };
    let (imitation, followed) = tokio::select! {
        () = lost => panic!("it lives"),
        process = lives => process,
    };
    drop((imitation, followed));
}

#[tokio::test]
async fn whoever_ends_connections_all_the_time_is_asked_ever_less_often() {
    let (imitation, address) = Imitation::listen().await;
    let mut times = 0;
    let ends_them = async {
        loop {
            drop(imitation.answer().await);
            times += 1;
        }
    };
    tokio::select! {
        () = follow(address, &stranger()) => panic!("it lives"),
        () = ends_them => {}
        () = tokio::time::sleep(5 * MOMENT) => {}
    }
    assert!((4..=15).contains(&times), "{times} connections in 1.5 s");
}

#[tokio::test]
async fn a_follower_s_place_is_taken_by_nobody() {
    let process = Process::start();
    let (mut follower, answer) = process.say(&process.greeting()).await;
    assert_eq!(answer, "alive\n");
    let mut idle = Vec::new();
    for _ in 0..400 {
        idle.push(TcpStream::connect(process.address).await.unwrap());
    }
    assert!(is_closed(&mut idle[0]).await, "the oldest has made room");
    assert!(!is_closed(&mut idle[399]).await, "the last has its time");
    // Who knows the nonce can't push anybody out either.
    let mut followers = Vec::new();
    for _ in 0..40 {
        let mut stream = TcpStream::connect(process.address).await.unwrap();
        stream
            .write_all(process.greeting().as_bytes())
            .await
            .unwrap();
        followers.push(stream);
    }
    let (_closed, answer) = process.say(&process.greeting()).await;
    assert_eq!(answer, "", "no place is left");
    assert!(!is_closed(&mut follower).await);
    drop(followers);
    tokio::time::sleep(MOMENT).await;
    let (_open, answer) = process.say(&process.greeting()).await;
    assert_eq!(answer, "alive\n", "there are places again");
}

#[tokio::test]
async fn who_says_nothing_is_closed_in_a_while() {
    let process = Process::start();
    let mut idle = TcpStream::connect(process.address).await.unwrap();
    let mut slow = TcpStream::connect(process.address).await.unwrap();
    slow.write_all(b"lease-election/1 ").await.unwrap();
    tokio::time::sleep(std::time::Duration::from_millis(2_100)).await;
    assert!(is_closed(&mut idle).await && is_closed(&mut slow).await);
}

#[tokio::test]
async fn the_address_that_answers_is_followed() {
    let process = Process::start();
    let addresses = [Ipv6Addr::LOCALHOST.into(), process.address.ip()];
    let peers = TcpPeers::on_port(process.address.port(), Arc::new(NoObserver));
    let mut lost = peers.lost(&addresses, &process.incarnation);
    assert!(timeout(MOMENT, &mut lost).await.is_err());
    process.die().await;
    assert!(timeout(MOMENT, &mut lost).await.is_ok());
}

#[tokio::test]
async fn what_another_address_refuses_is_no_hint() {
    let (imitation, address) = Imitation::listen().await;
    let addresses = [Ipv6Addr::LOCALHOST.into(), address.ip()];
    let lost =
        TcpPeers::on_port(address.port(), Arc::new(NoObserver)).lost(&addresses, &stranger());
    let hangs = async {
        drop(imitation.answer().await);
        tokio::time::sleep(5 * MOMENT).await;
    };
    tokio::select! {
        () = lost => panic!("only the address that was never followed refuses"),
        () = hangs => {}
    }
}

#[tokio::test]
async fn it_is_known_whether_the_connection_stands() {
    let process = Process::start();
    let recorder = Arc::new(Recorder::default());
    let stands = || recorder.told().hint.unwrap();
    let peers = TcpPeers::on_port(process.address.port(), recorder.clone());
    let mut lost = peers.lost(&[process.address.ip()], &process.incarnation);
    assert!(timeout(MOMENT, &mut lost).await.is_err());
    assert!(stands());
    drop(lost);
    assert!(!stands(), "it is not followed any more");
    let mut lost = peers.lost(&[process.address.ip()], &process.incarnation);
    assert!(timeout(MOMENT, &mut lost).await.is_err());
    assert!(stands());
    process.die().await;
    lost.await;
    assert!(!stands(), "it is dead");
}

#[tokio::test]
async fn a_listener_that_hangs_is_never_a_hint() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let stranger = stranger();
    let mut lost = follow(listener.local_addr().unwrap(), &stranger);
    assert!(timeout(MOMENT, &mut lost).await.is_err());
    drop(listener);
    assert!(timeout(MOMENT, &mut lost).await.is_err());
}

#[tokio::test]
async fn a_refusal_long_after_the_connection_ended_does_not_belong_to_it() {
    let process = Process::start();
    let address = process.address;
    let mut lost = process.follow();
    assert!(timeout(MOMENT, &mut lost).await.is_err());
    process.die().await;
    // Another process takes the place at once, and goes away later.
    let successor = Process::listen(address);
    let wait = timeout(std::time::Duration::from_millis(1_200), &mut lost);
    assert!(wait.await.is_err());
    successor.die().await;
    assert!(timeout(MOMENT, &mut lost).await.is_err());
}

#[tokio::test]
async fn only_who_knows_the_nonce_is_answered() {
    let process = Process::start();
    let nonce = process.incarnation.nonce;
    let (_open, answer) = process.say(&format!("lease-election/1 {nonce}\n")).await;
    assert_eq!(answer, "alive\n");
    for greeting in [
        "\n".to_owned(),
        format!("lease-election/1 {}\n", uuid::Uuid::nil()),
        format!("lease-election/1 {nonce} and more\n"),
        "x".repeat(10_000),
    ] {
        assert_eq!(process.say(&greeting).await.1, "", "{greeting:.60}");
    }
}

#[tokio::test]
async fn an_address_in_use_is_an_error_that_names_the_setting() {
    let process = Process::start();
    let error = HintListener::listen(process.address, uuid::Uuid::nil(), "HINTS").unwrap_err();
    assert!(error.to_string().contains("HINTS 127.0.0.1:"), "{error}");
}

//! Thousands of connections on both ports that say nothing, or one byte at a time, and come again as soon as they are closed:
//! what they cost is bounded, and whoever wants something is served meanwhile.
//!
//! They come from an address of their own, as they would in a cluster: `::1`, and probes and followers from `127.0.0.1`.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    sync::Mutex,
    thread::sleep,
    time::{Duration, Instant},
};

use rstest::rstest;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::operator::{Container, Operator, PROBE_LIMIT, connect, has_ipv6};

/// Connections on each port.
const CROWD: usize = 5_000;

/// How long they go on.
const ATTACK: Duration = Duration::from_secs(8);

/// Until when the last one is closed, once nobody comes any more: the longest that a connection may take, and some time.
const END: Duration = Duration::from_secs(10);

/// What the operator may have open for all of them: 256 on the port for probes, 256 strangers and 32 followers on the port
/// for hints, and a few that come and go at this moment.
const MOST_FILES: usize = 256 + 256 + 32 + 16;

/// What all of them may cost it, of the 256 MiB that its pod may have.
const MOST_MEMORY: u64 = 32 << 20;

/// One crowd at a time, as the number of open files is limited.
static TURN: Mutex<()> = Mutex::new(());

/// Connections to one port.
struct Crowd {
    port: u16,
    /// What is said, over and over, a byte at a time.
    says: &'static [u8],
    open: Vec<Option<TcpStream>>,
    round: usize,
    come_again: u32,
}

impl Crowd {
    fn gather(port: u16, says: &'static [u8]) -> Self {
        let mut crowd = Self {
            port,
            says,
            open: Vec::new(),
            round: 0,
            come_again: 0,
        };
        for _ in 0..CROWD {
            let stream = crowd.connect();
            crowd.open.push(stream);
        }
        crowd
    }

    fn connect(&self) -> Option<TcpStream> {
        let stream = connect("::1", self.port).ok()?;
        stream.set_nonblocking(true).unwrap();
        Some(stream)
    }

    /// Each says its next byte; those that were closed come again.
    fn go_on(&mut self) {
        for number in 0..self.open.len() {
            if self.open[number].as_mut().is_some_and(|stream| {
                let byte = self.says.get(self.round % self.says.len().max(1));
                let said = byte.is_none_or(|byte| stream.write_all(&[*byte]).is_ok());
                said && is_open(stream)
            }) {
                continue;
            }
            self.open[number] = self.connect();
            self.come_again += 1;
        }
        self.round += 1;
    }
}

/// Whether the other side has not closed it.
fn is_open(stream: &mut TcpStream) -> bool {
    let read = stream.read(&mut [0; 64]);
    matches!(read, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

fn allow_open_files(wanted: u64) {
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return;
    }
    let raised = Rlimit {
        current: limit.maximum.map(|most| most.min(wanted)).or(Some(wanted)),
        maximum: limit.maximum,
    };
    assert!(
        raised.current >= Some(wanted) && setrlimit(Resource::Nofile, raised).is_ok(),
        "this test opens {wanted} files, and the limit is {:?}: raise it (ulimit -Hn)",
        limit.maximum
    );
}

#[rstest]
#[case::idle("idle", b"", b"")]
#[case::slow(
    "slow",
    b"GET /livez HTTP/1.1\r\nHost: a\r\nX: ",
    b"lease-election/1 6f0c1f2e-0f3c-4b36"
)]
fn probes_and_followers_are_served_all_the_same(
    #[case] name: &str,
    #[case] request: &'static [u8],
    #[case] greeting: &'static [u8],
) {
    if !has_ipv6() {
        // A crowd that comes from the address of the probes can get in their way.
        return;
    }
    let _turn = TURN.lock();
    allow_open_files(2 * CROWD as u64 + 500);
    let container = Container::create(name);
    let operator = container.start();
    let mut follower = container.follow("127.0.0.1").unwrap();
    let (files, memory) = (operator.open_files(), operator.memory());

    let mut crowds = [
        Crowd::gather(container.port, request),
        Crowd::gather(container.hint_port, greeting),
    ];
    let begun = Instant::now();
    std::thread::scope(|scope| {
        for crowd in &mut crowds {
            scope.spawn(|| {
                while begun.elapsed() < ATTACK {
                    crowd.go_on();
                    sleep(Duration::from_millis(20));
                }
            });
        }
        while begun.elapsed() < ATTACK {
            is_served(&container);
            costs_little(&operator, files, memory);
            sleep(Duration::from_millis(100));
        }
    });
    let come_again: u32 = crowds.iter().map(|crowd| crowd.come_again).sum();
    assert!(come_again > 0, "nobody was closed: this was no attack");

    sleep(END);
    let left = operator.open_files();
    assert!(left <= files + 5, "{files} files before, {left} now");
    follower.set_nonblocking(true).unwrap();
    assert!(is_open(&mut follower), "the follower was closed");
    follower.set_nonblocking(false).unwrap();
    operator.kill();
    assert!(matches!(follower.read(&mut [0; 1]), Ok(0)), "the end shows");
    let refused = container.follow("127.0.0.1").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

fn is_served(container: &Container) {
    for path in ["/livez", "/readyz", "/metrics"] {
        let asked = Instant::now();
        let answer = container.probe("127.0.0.1", path);
        let lasted = asked.elapsed();
        let answer = answer.unwrap_or_else(|error| panic!("{path} after {lasted:?}: {error}"));
        assert!(answer.starts_with("HTTP/1.1 "), "{path}: {answer}");
        assert!(lasted < PROBE_LIMIT, "{path} took {lasted:?}");
    }
    container.follow("127.0.0.1").unwrap();
}

fn costs_little(operator: &Operator, files: usize, memory: u64) {
    let (files_now, memory_now) = (operator.open_files(), operator.memory());
    assert!(
        files_now <= files + MOST_FILES,
        "{files} files before, {files_now} now"
    );
    assert!(
        memory_now <= memory + MOST_MEMORY,
        "{memory} bytes before, {memory_now} now"
    );
}

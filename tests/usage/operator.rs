//! One process of the operator, with ports and a termination log of its own.

use std::{
    fs,
    io::{self, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

/// How long the process may take to start; a machine that does much else is slow.
const START_LIMIT: Duration = Duration::from_secs(30);

/// How long kubelet waits for the answer to a probe, by `deploy/operator.yaml`.
pub(super) const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// What tells one process from another: where it listens, and its container's termination log.
pub(super) struct Container {
    pub(super) folder: PathBuf,
    pub(super) port: u16,
    pub(super) hint_port: u16,
}

/// A process that runs until it is dropped.
pub(super) struct Operator(Child);

impl Container {
    /// A container with an empty termination log, as kubelet makes it.
    pub(super) fn create(name: &str) -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("termination-log"), "").unwrap();
        let kubeconfig = "\
apiVersion: v1
kind: Config
current-context: nobody
clusters: [{name: nobody, cluster: {server: 'http://127.0.0.1:1'}}]
users: [{name: nobody, user: {}}]
contexts: [{name: nobody, context: {cluster: nobody, user: nobody}}]
";
        fs::write(folder.join("kubeconfig"), kubeconfig).unwrap();
        Self {
            folder,
            port: free_port(),
            hint_port: free_port(),
        }
    }

    /// The command that runs the operator in it.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_five-spot"));
        command
            .env_clear()
            .env("KUBECONFIG", self.folder.join("kubeconfig"))
            .env("TERMINATION_LOG", self.folder.join("termination-log"))
            .env("POD_NAME", "a")
            .env("POD_NAMESPACE", "n")
            .env("POD_UID", "uid-a")
            .env("LISTEN_ADDRESS", format!("[::]:{}", self.port))
            .env("HINT_ADDRESS", format!("[::]:{}", self.hint_port))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }

    /// Starts the operator and waits until it has begun its termination log, which comes after the ports.
    pub(super) fn start(&self) -> Operator {
        self.start_as(self.command())
    }

    /// The same with a command that differs.
    pub(super) fn start_as(&self, mut command: Command) -> Operator {
        let mut operator = Operator(command.spawn().unwrap());
        let begun = Instant::now();
        while self.nonce().is_none() || self.probe("127.0.0.1", "/livez").is_err() {
            assert_eq!(operator.0.try_wait().unwrap(), None, "it has ended");
            assert!(begun.elapsed() < START_LIMIT, "it has not started");
            sleep(Duration::from_millis(20));
        }
        operator
    }

    /// Runs another process in it, which is to end by itself; with these variables.
    pub(super) fn run_second(&self, variables: &[(&str, &str)]) -> Output {
        let mut command = self.command();
        command
            .envs(variables.iter().copied())
            .stderr(Stdio::piped());
        let mut second = Operator(command.spawn().unwrap());
        let begun = Instant::now();
        while second.0.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < START_LIMIT, "it goes on");
            sleep(Duration::from_millis(20));
        }
        let mut stderr = Vec::new();
        let mut pipe = second.0.stderr.take().unwrap();
        pipe.read_to_end(&mut stderr).unwrap();
        Output {
            status: second.0.wait().unwrap(),
            stdout: Vec::new(),
            stderr,
        }
    }

    /// What kubelet would read.
    pub(super) fn termination_log(&self) -> String {
        fs::read_to_string(self.folder.join("termination-log")).unwrap()
    }

    /// The nonce of the process that has begun the termination log.
    pub(super) fn nonce(&self) -> Option<String> {
        self.termination_log().lines().nth(1).map(str::to_owned)
    }

    /// Asks as kubelet does: connects, asks once, and reads the answer to its end, all within the time of a probe.
    pub(super) fn probe(&self, ip: &str, path: &str) -> io::Result<String> {
        let mut stream = connect(ip, self.port)?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: pod\r\nConnection: close\r\n\r\n");
        stream.write_all(request.as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    }

    /// Connects to the hint port and greets as a standby does; the connection, if it was answered.
    pub(super) fn follow(&self, ip: &str) -> io::Result<TcpStream> {
        let mut stream = connect(ip, self.hint_port)?;
        let nonce = self.nonce().unwrap_or_default();
        stream.write_all(format!("lease-election/1 {nonce}\n").as_bytes())?;
        let mut answer = [0; 6];
        stream.read_exact(&mut answer)?;
        assert_eq!(&answer, b"alive\n");
        Ok(stream)
    }
}

impl Operator {
    /// The memory that it has resident, in bytes.
    pub(super) fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))
            .unwrap();
        let kibibytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
        kibibytes * 1024
    }

    /// How many files it has open.
    pub(super) fn open_files(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.0.id()))
            .unwrap()
            .count()
    }

    /// As by SIGKILL.
    pub(super) fn kill(mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        // It may have ended already, and nobody can be told if it can't be ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Whether this machine has an IPv6 loopback address.
pub(super) fn has_ipv6() -> bool {
    TcpListener::bind("[::1]:0").is_ok()
}

/// Connects, and gives everything that follows as long as a probe has.
pub(super) fn connect(ip: &str, port: u16) -> io::Result<TcpStream> {
    let address = SocketAddr::new(ip.parse().unwrap(), port);
    let stream = TcpStream::connect_timeout(&address, PROBE_LIMIT)?;
    stream.set_read_timeout(Some(PROBE_LIMIT))?;
    stream.set_write_timeout(Some(PROBE_LIMIT))?;
    Ok(stream)
}

/// A port that no other container of these tests has, below those that connections of this machine begin at.
fn free_port() -> u16 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let offset = std::process::id() * 32 + NEXT.fetch_add(1, Ordering::Relaxed);
        let port = 20_000 + u16::try_from(offset % 12_000).unwrap();
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

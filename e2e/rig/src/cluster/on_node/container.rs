//! Commands in a container, by the engine's API.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::time::Duration;

use futures::stream::{BoxStream, unfold};
use futures::{Stream, StreamExt};
use testcontainers::bollard::Docker;
use testcontainers::bollard::container::LogOutput;
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::exec::{CreateExecOptions, StartExecOptions, StartExecResults};
use testcontainers::bollard::models::ExecInspectResponse;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::sleep;

use super::lines::LineBuffer;
use super::output::{LineStream, Output, joined};
use crate::cluster::error::ClusterError;

/// What is written to a command's standard input, piece by piece.
pub(in crate::cluster) type Bytes<'a> = BoxStream<'a, io::Result<Vec<u8>>>;

/// The engine may report an ended command as running for a moment, and a started one as not running yet. The end of a
/// command may be what is timed, so it is asked for often.
const STATUS_ATTEMPTS: u32 = 400;
const STATUS_PAUSE: Duration = Duration::from_millis(5);

type Frames = Pin<Box<dyn Stream<Item = Result<LogOutput, Error>> + Send>>;

struct Exec {
    docker: Docker,
    id: String,
    node: String,
    command: String,
}

impl Exec {
    async fn start(
        docker: &Docker,
        container: &str,
        node: &str,
        command: &[&str],
        stdin: bool,
    ) -> Result<(Self, Frames, Pin<Box<dyn AsyncWrite + Send>>), ClusterError> {
        let options = CreateExecOptions {
            attach_stdin: Some(stdin),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
            ..CreateExecOptions::default()
        };
        let failed = |source: Error| ClusterError::OnNode {
            node: node.to_owned(),
            command: joined(command),
            source: Box::new(source),
        };
        let id = docker
            .create_exec(container, options)
            .await
            .map_err(failed)?
            .id;
        let started = docker
            .start_exec(&id, None::<StartExecOptions>)
            .await
            .map_err(failed)?;
        let exec = Self {
            docker: docker.clone(),
            id,
            node: node.to_owned(),
            command: joined(command),
        };
        match started {
            StartExecResults::Attached { output, input } => Ok((exec, output, input)),
            StartExecResults::Detached => Err(exec.failed(io::Error::other(
                "the engine detached from a command that was to be attached",
            ))),
        }
    }

    fn failed(&self, source: impl std::error::Error + Send + Sync + 'static) -> ClusterError {
        ClusterError::OnNode {
            node: self.node.clone(),
            command: self.command.clone(),
            source: Box::new(source),
        }
    }

    /// Waits until the command runs.
    async fn running(&self) -> Result<(), ClusterError> {
        let runs = |seen: ExecInspectResponse| {
            let has_process = seen.pid.is_some_and(|pid| pid > 0);
            (seen.running == Some(true) && has_process).then_some(())
        };
        self.seen(runs, "the engine does not say that it runs")
            .await
    }

    async fn status(&self) -> Result<i64, ClusterError> {
        let status =
            |seen: ExecInspectResponse| seen.exit_code.filter(|_| seen.running == Some(false));
        let never = "its output ended but the engine reports no exit status";
        self.seen(status, never).await
    }

    /// Asks the engine about the command until that shows what is waited for.
    async fn seen<T>(
        &self,
        shown: impl Fn(ExecInspectResponse) -> Option<T>,
        never: &'static str,
    ) -> Result<T, ClusterError> {
        for _ in 0..STATUS_ATTEMPTS {
            let seen = self
                .docker
                .inspect_exec(&self.id)
                .await
                .map_err(|source| self.failed(source))?;
            if let Some(shown) = shown(seen) {
                return Ok(shown);
            }
            sleep(STATUS_PAUSE).await;
        }
        Err(self.failed(io::Error::other(never)))
    }
}

pub(super) async fn run(
    docker: &Docker,
    container: &str,
    node: &str,
    command: &[&str],
    input: Option<Bytes<'_>>,
) -> Result<Output, ClusterError> {
    let (exec, frames, stdin) =
        Exec::start(docker, container, node, command, input.is_some()).await?;
    finish(&exec, frames, stdin, input).await
}

/// A command that runs and waits for its standard input.
pub(super) struct Waiting {
    exec: Exec,
    frames: Frames,
    stdin: Pin<Box<dyn AsyncWrite + Send>>,
}

/// Starts a command and waits until it runs.
pub(super) async fn start(
    docker: &Docker,
    container: &str,
    node: &str,
    command: &[&str],
) -> Result<Waiting, ClusterError> {
    let (exec, frames, stdin) = Exec::start(docker, container, node, command, true).await?;
    exec.running().await?;
    Ok(Waiting {
        exec,
        frames,
        stdin,
    })
}

impl Waiting {
    /// Gives the command its input and waits for its end.
    pub(super) async fn go(self, input: String) -> Result<Output, ClusterError> {
        let input = futures::stream::once(async { Ok(input.into_bytes()) }).boxed();
        finish(&self.exec, self.frames, self.stdin, Some(input)).await
    }
}

/// Writes the input, reads all output and waits for the end.
async fn finish(
    exec: &Exec,
    mut frames: Frames,
    stdin: Pin<Box<dyn AsyncWrite + Send>>,
    input: Option<Bytes<'_>>,
) -> Result<Output, ClusterError> {
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let read = async {
        while let Some(frame) = frames.next().await {
            match frame.map_err(|source| exec.failed(source))? {
                LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
                other => stdout.extend_from_slice(other.as_ref()),
            }
        }
        Ok::<(), ClusterError>(())
    };
    // A command that ends early closes its input: its own words tell more than the broken pipe.
    let (written, read) = futures::future::join(write(stdin, input), read).await;
    read?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    let output = Output {
        status: exec.status().await?,
        stdout: text(stdout),
        stderr: text(stderr),
    };
    match written {
        Err(source) if output.status == 0 => Err(exec.failed(source)),
        _ => Ok(output),
    }
}

async fn write(
    mut stdin: Pin<Box<dyn AsyncWrite + Send>>,
    input: Option<Bytes<'_>>,
) -> io::Result<()> {
    let Some(mut input) = input else {
        return Ok(());
    };
    while let Some(piece) = input.next().await {
        stdin.write_all(&piece?).await?;
    }
    stdin.shutdown().await
}

struct Followed {
    exec: Exec,
    frames: Frames,
    buffer: LineBuffer,
    ready: VecDeque<String>,
    stderr: String,
    ended: bool,
    // Open for as long as the stream is: [`UNTIL_INPUT_ENDS`] waits for its end.
    _stdin: Pin<Box<dyn AsyncWrite + Send>>,
}

/// Runs a command until it ends by itself or its input does. The engine goes on reading what a client left, so that a
/// command that is only written to by others, such as `tail`, would never notice that nobody follows it any more.
const UNTIL_INPUT_ENDS: [&str; 4] = [
    "sh",
    "-c",
    "exec 3<&0; { cat <&3; kill $$; } >/dev/null 2>&1 & exec \"$@\" 3<&-",
    "sh",
];

pub(super) async fn follow(
    docker: &Docker,
    container: &str,
    node: &str,
    command: &[&str],
) -> Result<LineStream, ClusterError> {
    let words = [&UNTIL_INPUT_ENDS, command].concat();
    let (mut exec, frames, stdin) = Exec::start(docker, container, node, &words, true).await?;
    exec.command = joined(command);
    let followed = Followed {
        exec,
        frames,
        buffer: LineBuffer::default(),
        ready: VecDeque::new(),
        stderr: String::new(),
        ended: false,
        _stdin: stdin,
    };
    Ok(unfold(followed, |mut followed| async move {
        followed.next().await.map(|line| (line, followed))
    })
    .boxed())
}

impl Followed {
    async fn next(&mut self) -> Option<Result<String, ClusterError>> {
        loop {
            if let Some(line) = self.ready.pop_front() {
                return Some(Ok(line));
            }
            if self.ended {
                return None;
            }
            match self.frames.next().await {
                Some(Ok(LogOutput::StdErr { message })) => {
                    self.stderr.push_str(&String::from_utf8_lossy(&message));
                }
                Some(Ok(other)) => self.ready.extend(self.buffer.push(other.as_ref())),
                Some(Err(source)) => {
                    self.ended = true;
                    return Some(Err(self.exec.failed(source)));
                }
                None => {
                    self.ended = true;
                    return Some(Err(self.end().await));
                }
            }
        }
    }

    async fn end(&mut self) -> ClusterError {
        match self.exec.status().await {
            Err(error) => error,
            Ok(status) => ClusterError::CommandFailed {
                node: self.exec.node.clone(),
                command: self.exec.command.clone(),
                status,
                stderr: self.stderr.trim().to_owned(),
            },
        }
    }
}

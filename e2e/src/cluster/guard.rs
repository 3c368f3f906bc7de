//! Removes the containers of a run that ended without doing so itself, SIGKILL included.
//!
//! A guardian process holds the other end of a pipe. When the pipe closes, its parent is gone for whatever reason, and it
//! removes what carries the run's label. This is the only such mechanism: testcontainers' `watchdog` acts on signals
//! inside the process, so it does not outlive SIGKILL, and it ends the process before a run can report.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use testcontainers::bollard::Docker;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::owner::RunId;
use super::{ClusterError, sweep};
use crate::engine;

const READY: &str = "ready";
const DISMISSED: &str = "dismissed";
/// The engine may still be creating a container for the parent that is gone.
const LATE_CONTAINER_LIMIT: Duration = Duration::from_secs(5);
/// The engine may be away for a while.
const ENGINE_LIMIT: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(500);

/// The hidden subcommand `failover guard`.
#[derive(Debug, Clone, clap::Args)]
pub struct GuardCommand {
    /// Run whose containers are removed when standard input ends
    #[arg(long)]
    pub run: RunId,
}

/// The parent's end of the pipe.
#[derive(Debug)]
pub(super) struct Guardian {
    child: Child,
    pipe: Option<ChildStdin>,
}

impl Guardian {
    /// Starts a guardian and waits until it is on guard.
    pub(super) fn start(binary: &Path, run: &RunId) -> Result<Self, ClusterError> {
        Self::spawn(binary, run).map_err(|source| ClusterError::Guardian {
            binary: binary.to_owned(),
            source,
        })
    }

    fn spawn(binary: &Path, run: &RunId) -> std::io::Result<Self> {
        let mut child = Command::new(binary)
            .args(["guard", "--run"])
            .arg(run.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C on the terminal goes to the foreground's process group only.
            .process_group(0)
            .spawn()?;
        let pipe = child.stdin.take();
        let mut said = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut said)?;
        }
        if said.trim() != READY {
            return Err(std::io::Error::other(format!(
                "it said {said:?} where {READY:?} was expected"
            )));
        }
        Ok(Self { child, pipe })
    }

    /// Tells the guardian that nothing is left to remove, or that what is left is kept.
    pub(super) fn dismiss(mut self) {
        if let Some(mut pipe) = self.pipe.take() {
            // When it is gone already there is nobody to dismiss.
            let _ = writeln!(pipe, "{DISMISSED}");
        }
        let _ = self.child.wait();
    }
}

impl GuardCommand {
    /// Waits for the end of standard input, then removes the run's containers unless it was dismissed before.
    pub async fn run(&self) -> Result<(), ClusterError> {
        // Held and never looked at: whoever ends the parent by a signal to all must not end its guardian.
        let ignored = [
            SignalKind::interrupt(),
            SignalKind::terminate(),
            SignalKind::hangup(),
            SignalKind::quit(),
        ];
        let _ignored: Vec<_> = ignored
            .into_iter()
            .filter_map(|kind| signal(kind).ok())
            .collect();
        // A pipe that cannot be read any more is as good as a closed one.
        let dismissed = spawn_blocking(stand_guard).await.unwrap_or(false);
        if dismissed {
            Ok(())
        } else {
            self.remove().await
        }
    }

    async fn remove(&self) -> Result<(), ClusterError> {
        let begun = Instant::now();
        let mut quiet = Instant::now();
        loop {
            match removed(&self.run).await {
                Ok(0) if quiet.elapsed() > LATE_CONTAINER_LIMIT => {
                    return Ok(());
                }
                Ok(0) => {}
                Err(error) if begun.elapsed() > ENGINE_LIMIT => return Err(error),
                Ok(_) | Err(_) => quiet = Instant::now(),
            }
            sleep(PAUSE).await;
        }
    }
}

/// Waits for the end of standard input; true when the parent said before that nothing is to be removed.
fn stand_guard() -> bool {
    // A parent that is gone before it heard this leaves a closed pipe, which is found next.
    let _ = writeln!(std::io::stdout(), "{READY}");
    let lines = std::io::stdin().lock().lines();
    lines
        .map_while(Result::ok)
        .any(|line| line.trim() == DISMISSED)
}

async fn removed(run: &RunId) -> Result<usize, ClusterError> {
    let engine = engine::probe().await?;
    let docker: &Docker = engine.docker();
    Ok(sweep::remove_run(docker, run).await?.len())
}

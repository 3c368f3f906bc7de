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

use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use super::error::ClusterError;
use super::owner::RunId;
use super::sweep;
use crate::engine;

const READY: &str = "ready";
const DISMISSED: &str = "dismissed";
const FINISH: &str = "finish";

/// The engine may still be creating a container for a start that was cut off.
const LATE_CONTAINER_LIMIT: Duration = Duration::from_secs(3);
/// The engine may be away for a while.
const ENGINE_LIMIT: Duration = Duration::from_mins(2);
const PAUSE: Duration = Duration::from_millis(500);
/// A parent that goes on looks this often, and this many times, whether its guardian is done.
const LOOK: Duration = Duration::from_millis(20);
const LOOKS: u32 = 1000;

/// The hidden subcommand `failover guard`.
#[derive(Debug, Clone, clap::Args)]
pub struct GuardCommand {
    /// Run whose containers are removed when standard input ends
    #[arg(long)]
    pub run: RunId,
}

/// The parent's end of the pipe.
///
/// Dropping it has the guardian remove what was begun, and waits for that.
#[derive(Debug)]
pub(super) struct Guardian {
    child: Child,
    pipe: Option<ChildStdin>,
}

/// What the guardian was told, or saw.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Told {
    /// Nothing is left to remove, or what is left is kept.
    Dismissed,
    /// What is left is to be removed, and nothing more can come.
    Finish,
    /// The parent is gone, or has cut off a start.
    Nothing,
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
        let guardian = Self { child, pipe };
        if said.trim() != READY {
            let what = format!("it said {said:?} where {READY:?} was expected");
            return Err(std::io::Error::other(what));
        }
        Ok(guardian)
    }

    /// Tells the guardian that nothing is left to remove, or that what is left is kept.
    pub(super) fn dismiss(self) {
        self.tell(DISMISSED);
    }

    /// Has the guardian remove what is left of a run that begins nothing any more.
    pub(super) fn finish(self) {
        self.tell(FINISH);
    }

    fn tell(mut self, word: &str) {
        if let Some(pipe) = &mut self.pipe {
            // When it is gone already there is nobody to tell, and the next run sweeps.
            let _ = writeln!(pipe, "{word}");
        }
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        self.pipe = None;
        for _ in 0..LOOKS {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl GuardCommand {
    /// Waits for a word on standard input or its end, and removes the run's containers unless it was dismissed.
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
        match spawn_blocking(stand_guard).await.unwrap_or(Told::Nothing) {
            Told::Dismissed => Ok(()),
            Told::Finish => self.remove(Duration::ZERO).await,
            Told::Nothing => self.remove(LATE_CONTAINER_LIMIT).await,
        }
    }

    /// Removes until nothing has turned up for `calm`.
    async fn remove(&self, calm: Duration) -> Result<(), ClusterError> {
        let begun = Instant::now();
        let mut quiet = Instant::now();
        loop {
            match removed(&self.run).await {
                Ok(count) if (count == 0 && quiet.elapsed() >= calm) || calm.is_zero() => {
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

/// Waits for a word of the parent, or for its end.
fn stand_guard() -> Told {
    // A parent that is gone before it heard this leaves a closed pipe, which is found next.
    let _ = writeln!(std::io::stdout(), "{READY}");
    let lines = std::io::stdin().lock().lines();
    let mut words = lines
        .map_while(Result::ok)
        .filter_map(|line| match line.trim() {
            DISMISSED => Some(Told::Dismissed),
            FINISH => Some(Told::Finish),
            _ => None,
        });
    words.next().unwrap_or(Told::Nothing)
}

async fn removed(run: &RunId) -> Result<usize, ClusterError> {
    let engine = engine::probe().await?;
    Ok(sweep::remove_run(engine.docker(), run).await?.len())
}

//! The one `dockerd` that this command started: its process, its log and the file that remembers it.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::{Instant, sleep};

use super::error::EngineError;
use crate::process;

const STOP_LIMIT: Duration = Duration::from_secs(30);

/// The folder that holds the log and the pid file of a started engine.
#[derive(Debug, Clone)]
pub(super) struct StateDir(PathBuf);

/// A daemon that this command started and that still runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Remembered {
    pid: u32,
    /// Start of the process in clock ticks since boot: a pid alone may belong to somebody else by now.
    started: u64,
}

impl StateDir {
    pub(super) fn create(path: &Path) -> Result<Self, EngineError> {
        fs::create_dir_all(path).map_err(EngineError::io(format!(
            "create the folder {}",
            path.display()
        )))?;
        Ok(Self(path.to_owned()))
    }

    pub(super) fn daemon_log(&self) -> PathBuf {
        self.0.join("dockerd.log")
    }

    pub(super) fn package_log(&self) -> PathBuf {
        self.0.join("apt.log")
    }

    fn pid_file(&self) -> PathBuf {
        self.0.join("dockerd.pid")
    }

    /// Held while steps run, so that two commands at once do not start two daemons.
    pub(super) fn lock(&self) -> Result<File, EngineError> {
        let path = self.0.join("lock");
        let action = format!("lock {}", path.display());
        let file = File::create(&path).map_err(EngineError::io(action.clone()))?;
        file.lock().map_err(EngineError::io(action))?;
        Ok(file)
    }

    /// Starts `dockerd` in a session of its own, so that neither the terminal nor this process takes it along.
    pub(super) fn start(&self) -> Result<Child, EngineError> {
        let path = self.daemon_log();
        let log =
            File::create(&path).map_err(EngineError::io(format!("create {}", path.display())))?;
        let errors = log
            .try_clone()
            .map_err(EngineError::io(format!("share {}", path.display())))?;
        // setsid replaces itself by dockerd, so the pid is the daemon's.
        let child = Command::new("setsid")
            .arg("dockerd")
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(errors)
            .spawn()
            .map_err(EngineError::io("start `setsid dockerd`"))?;
        let started = process::started(child.id()).unwrap_or_default();
        let path = self.pid_file();
        fs::write(&path, format!("{} {started}\n", child.id()))
            .map_err(EngineError::io(format!("write {}", path.display())))?;
        Ok(child)
    }

    /// Ends the daemon that [`StateDir::start`] started.
    ///
    /// Returns its pid, or `None` when none of ours runs.
    pub(super) async fn stop(&self) -> Result<Option<u32>, EngineError> {
        let path = self.pid_file();
        let Some(ours) = self.remembered(process::started) else {
            if path.exists() {
                fs::remove_file(&path)
                    .map_err(EngineError::io(format!("remove {}", path.display())))?;
            }
            return Ok(None);
        };
        if let Some(pid) = i32::try_from(ours.pid).ok().and_then(Pid::from_raw) {
            kill_process(pid, Signal::TERM).map_err(|errno| {
                EngineError::io(format!("signal dockerd (pid {})", ours.pid))(errno.into())
            })?;
        }
        let deadline = Instant::now() + STOP_LIMIT;
        while self.remembered(process::started).is_some() {
            if Instant::now() > deadline {
                return Err(EngineError::Lingers {
                    pid: ours.pid,
                    limit: STOP_LIMIT,
                    log: self.daemon_log(),
                });
            }
            sleep(Duration::from_millis(100)).await;
        }
        fs::remove_file(&path).map_err(EngineError::io(format!("remove {}", path.display())))?;
        Ok(Some(ours.pid))
    }

    fn remembered(&self, started_of: impl Fn(u32) -> Option<u64>) -> Option<Remembered> {
        let text = fs::read_to_string(self.pid_file()).ok()?;
        let (pid, started) = text.trim().split_once(' ')?;
        let remembered = Remembered {
            pid: pid.parse().ok()?,
            started: started.parse().ok()?,
        };
        (started_of(remembered.pid) == Some(remembered.started)).then_some(remembered)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remembering(text: &str) -> (tempfile::TempDir, StateDir) {
        let folder = tempfile::tempdir().unwrap();
        let state = StateDir::create(folder.path()).unwrap();
        fs::write(state.pid_file(), text).unwrap();
        (folder, state)
    }

    #[test]
    fn the_process_that_was_started_is_recognised_by_its_start_time() {
        let (_folder, state) = remembering("42 1000\n");
        assert_eq!(
            state.remembered(|_| Some(1000)),
            Some(Remembered {
                pid: 42,
                started: 1000
            })
        );
    }

    #[test]
    fn a_stranger_with_the_same_pid_is_left_alone() {
        let (_folder, state) = remembering("42 1000\n");
        assert_eq!(state.remembered(|_| Some(2000)), None);
    }

    #[tokio::test]
    async fn stopping_without_an_engine_of_ours_stops_nothing_and_forgets_the_old_one() {
        let (_folder, state) = remembering(&format!("{} 1\n", std::process::id()));
        assert_eq!(state.stop().await.unwrap(), None);
        assert!(!state.pid_file().exists());
    }
}

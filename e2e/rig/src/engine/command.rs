//! `failover engine`: an engine answers, or the reason why not and what to do.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use super::daemon::StateDir;
use super::error::EngineError;
use super::plan::{Machine, Step, plan};
use super::probe::{Engine, probe};
use super::running::running;
use crate::progress::Progress;

const ANSWER_LIMIT: Duration = Duration::from_mins(1);
const PACKAGE_LIMIT: Duration = Duration::from_mins(10);
const TAIL_LINES: usize = 20;

/// Says which container engine answers; starts one, or ends the one it started.
#[derive(Debug, Clone, clap::Args)]
pub struct EngineCommand {
    /// Make an engine answer: install and start it where this machine allows that
    #[arg(long, conflicts_with = "stop")]
    pub start: bool,
    /// End the engine that `--start` started, and no other
    #[arg(long)]
    pub stop: bool,
    /// Folder of the log and pid file of a started engine
    #[arg(long, value_name = "DIR", default_value = "target/engine")]
    pub state_dir: PathBuf,
}

impl EngineCommand {
    /// Does what the flags ask for; what happened is told through `progress`.
    pub async fn run(&self, progress: &dyn Progress) -> Result<(), EngineError> {
        if self.stop {
            return stop(&self.state_dir, progress).await;
        }
        match probe().await {
            Ok(engine) => {
                tell(&engine, progress);
                Ok(())
            }
            Err(_) if self.start => start(&self.state_dir, progress).await,
            Err(error) => Err(error),
        }
    }
}

fn tell(engine: &Engine, progress: &dyn Progress) {
    let facts = engine.facts();
    progress.note(&format!(
        "docker engine {} answers at {} (API {}, {}, kernel {})",
        facts.version, facts.address.text, facts.api_version, facts.os, facts.kernel
    ));
}

async fn stop(state_dir: &Path, progress: &dyn Progress) -> Result<(), EngineError> {
    let state = StateDir::create(state_dir)?;
    let _alone = state.lock()?;
    match state.stop().await? {
        Some(pid) => progress.note(&format!("stopped dockerd (pid {pid})")),
        None => progress.note("no engine that this command started is running"),
    }
    Ok(())
}

async fn start(state_dir: &Path, progress: &dyn Progress) -> Result<(), EngineError> {
    let state = StateDir::create(state_dir)?;
    let _alone = state.lock()?;
    for step in plan(&Machine::inspect())? {
        match step {
            Step::UpdatePackageLists => packages(&state, &["update"], progress).await?,
            Step::InstallEngine => {
                // With what it recommends: certificates for registries, cgroup mounts where nothing else makes them.
                // Another installation may be under way.
                let wait = "DPkg::Lock::Timeout=600";
                packages(
                    &state,
                    &["-o", wait, "install", "--yes", "docker.io"],
                    progress,
                )
                .await?;
            }
            Step::StartService => service(&state, progress).await?,
            // Installing the package may have started the daemon already.
            Step::StartDaemon if running().is_none() => {
                progress.step(&format!(
                    "starting dockerd, log {}",
                    state.daemon_log().display()
                ));
                let mut child = state.start()?;
                let engine = answer(&state, Some(&mut child)).await?;
                progress.note(&format!(
                    "dockerd runs with pid {}; `failover engine --stop` ends it",
                    child.id()
                ));
                tell(&engine, progress);
                return Ok(());
            }
            Step::StartDaemon => {}
            Step::AwaitRunning(pid) => progress.step(&format!(
                "dockerd runs already (pid {pid}), waiting for its answer"
            )),
        }
    }
    let engine = answer(&state, None).await?;
    tell(&engine, progress);
    Ok(())
}

async fn answer(state: &StateDir, mut child: Option<&mut Child>) -> Result<Engine, EngineError> {
    let deadline = Instant::now() + ANSWER_LIMIT;
    loop {
        let error = match probe().await {
            Ok(engine) => return Ok(engine),
            Err(error) => error,
        };
        if let Some(child) = child.as_deref_mut() {
            let ended = child
                .try_wait()
                .map_err(EngineError::io("look after the started dockerd"))?;
            if let Some(status) = ended {
                return Err(failed(
                    &format!("keep dockerd running ({status})"),
                    &state.daemon_log(),
                ));
            }
            if Instant::now() > deadline {
                let step = format!(
                    "get an answer from dockerd within {} s",
                    ANSWER_LIMIT.as_secs()
                );
                return Err(failed(&step, &state.daemon_log()));
            }
        } else if Instant::now() > deadline {
            return Err(error);
        }
        sleep(Duration::from_millis(200)).await;
    }
}

async fn packages(
    state: &StateDir,
    arguments: &[&str],
    progress: &dyn Progress,
) -> Result<(), EngineError> {
    let mut command = Command::new("apt-get");
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    logged(
        command,
        &format!("apt-get {}", arguments.join(" ")),
        &state.package_log(),
        progress,
    )
    .await
}

async fn service(state: &StateDir, progress: &dyn Progress) -> Result<(), EngineError> {
    let mut command = Command::new("systemctl");
    command.args(["start", "docker"]);
    logged(
        command,
        "systemctl start docker",
        &state.daemon_log(),
        progress,
    )
    .await
}

async fn logged(
    mut command: Command,
    step: &str,
    log: &Path,
    progress: &dyn Progress,
) -> Result<(), EngineError> {
    progress.step(&format!("{step}, log {}", log.display()));
    let output = File::create(log).map_err(EngineError::io(format!("create {}", log.display())))?;
    let errors = output
        .try_clone()
        .map_err(EngineError::io(format!("share {}", log.display())))?;
    command
        .stdin(Stdio::null())
        .stdout(output)
        .stderr(errors)
        .kill_on_drop(true);
    let mut child = command
        .spawn()
        .map_err(EngineError::io(format!("run `{step}`")))?;
    match timeout(PACKAGE_LIMIT, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(failed(&format!("run `{step}` ({status})"), log)),
        Ok(Err(source)) => Err(EngineError::Io {
            action: format!("wait for `{step}`"),
            source,
        }),
        Err(_) => Err(failed(
            &format!("finish `{step}` within {} s", PACKAGE_LIMIT.as_secs()),
            log,
        )),
    }
}

fn failed(step: &str, log: &Path) -> EngineError {
    let text = fs::read(log)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n");
    EngineError::Step {
        step: step.to_owned(),
        log: log.to_owned(),
        tail,
    }
}

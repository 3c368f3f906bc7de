//! `failover`: the command line of the harness.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use five_spot_e2e::cluster::{ClusterImageCommand, GuardCommand, HoldCommand};
use five_spot_e2e::doctor::{DoctorArgs, can_run};
use five_spot_e2e::engine::EngineCommand;
use five_spot_e2e::progress::Progress;

#[derive(Debug, Parser)]
#[command(name = "failover", about, version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Say which container engine answers, start one or stop it
    Engine(EngineCommand),
    /// Say what this machine has and lacks for a run
    Doctor(DoctorArgs),
    /// Remove a run's containers when standard input ends
    #[command(hide = true)]
    Guard(GuardCommand),
    /// Make sure that there is an image to start a cluster from
    ClusterImage(ClusterImageCommand),
    /// Start a cluster and hold it until Ctrl-C, or leave it running with --keep
    Cluster(HoldCommand),
}

struct Lines;

impl Lines {
    fn line(text: &str) {
        let _ = writeln!(std::io::stderr(), "{text}");
    }
}

impl Progress for Lines {
    fn step(&self, text: &str) {
        Self::line(&format!("{text} ..."));
    }

    fn note(&self, text: &str) {
        Self::line(text);
    }

    fn warn(&self, text: &str) {
        Self::line(&format!("warning: {text}"));
    }
}

#[tokio::main]
async fn main() -> anyhow::Result<ExitCode> {
    match Arguments::parse().command {
        Command::Engine(command) => command.run(&Lines).await?,
        Command::ClusterImage(command) => command.run(&Lines).await?,
        Command::Guard(command) => command.run().await?,
        Command::Doctor(doctor) => {
            let findings = doctor.examine().await;
            for finding in &findings {
                Lines::line(&finding.to_string());
            }
            return Ok(if can_run(&findings) {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            });
        }
        Command::Cluster(cluster) => {
            let interrupted = async {
                let _ = tokio::signal::ctrl_c().await;
            };
            cluster
                .run(Path::new("target/failover"), interrupted, &Lines)
                .await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

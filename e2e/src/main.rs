//! `failover`: the command line of the harness. Results go to standard output, words on the way to standard error.

use std::{io::Write, path::Path, process::ExitCode};

use clap::{Args, Parser, Subcommand};
use five_spot_e2e::{
    args::RunArgs,
    config, fault,
    init::{InitCommand, InitError},
    run::{self, Outcome, RunError, RunOptions},
};
use tokio::signal::unix::{SignalKind, signal};

use failover_judging::report::{self, Provider, Report};
use failover_reports::{
    archive::{self, ReadError},
    compare::CompareArgs,
    github::GitHub,
    page,
    replay::{ReplayArgs, ReplayError},
    table,
};
use failover_rig::{
    cluster::{
        Cluster, ClusterError, ClusterImageCommand, ClusterOptions, GuardCommand, HoldCommand,
    },
    console::Console,
    doctor::{DoctorArgs, can_run},
    engine::EngineCommand,
    progress::{Progress, chain},
};

/// Where runs leave their results.
const RESULTS: &str = "target/failover";

/// What became of a brought cluster.
const OPERATOR_REMOVED: &str =
    "what it put into the cluster is removed, except for what is warned of above";

/// Bad input.
const USAGE: u8 = 2;
/// Nothing can be said.
const INCONCLUSIVE: u8 = 3;
/// Ended by the user.
const INTERRUPTED: u8 = 130;

#[derive(Debug, Parser)]
#[command(name = "failover", about, version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Deploy the operator, break its leader, measure and judge the takeover
    Run(Box<RunArgs>),
    /// Say which container engine answers, start one or stop it
    Engine(EngineCommand),
    /// Say what this machine has and lacks for a run
    Doctor(DoctorArgs),
    /// Make sure that there is an image to start a cluster from
    ClusterImage(ClusterImageCommand),
    /// Judge an old run again, and hold it against limits, without a cluster
    Replay(ReplayArgs),
    /// Put two runs side by side
    Compare(CompareArgs),
    /// Start a cluster and hold it until Ctrl-C, or leave it running with --keep
    Cluster(HoldCommand),
    /// List the faults: what each does, what it proves, what it needs
    Faults,
    /// Write a first failover.toml by looking at a Deployment and its Lease in a cluster
    Init(InitCommand),
    /// Print the JSON Schema of report.json, or of failover.toml with --config
    Schema(SchemaArgs),
    /// Remove a run's containers when standard input ends
    #[command(hide = true)]
    Guard(GuardCommand),
}

#[derive(Debug, Args)]
struct SchemaArgs {
    /// The schema of failover.toml
    #[arg(long)]
    config: bool,
}

impl SchemaArgs {
    fn text(&self) -> Result<String, serde_json::Error> {
        if self.config {
            config::schema()
        } else {
            report::schema()
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    let console = Console::start();
    let done = match Arguments::parse().command {
        Command::Run(args) => Box::pin(failover(&args, &console)).await,
        Command::Engine(command) => command.run(&console).await.map(|()| 0).map_err(Into::into),
        Command::ClusterImage(command) => {
            command.run(&console).await.map(|()| 0).map_err(Into::into)
        }
        Command::Cluster(command) => {
            let interrupted = async {
                let _name = interrupted().await;
            };
            command
                .run(Path::new(RESULTS), interrupted, &console)
                .await
                .map(|()| 0)
                .map_err(Into::into)
        }
        Command::Guard(command) => command.run().await.map(|()| 0).map_err(Into::into),
        Command::Replay(args) => replay(&args, &console),
        Command::Compare(args) => args
            .run()
            .map_err(Into::into)
            .and_then(|text| print(&text))
            .map(|()| 0),
        Command::Faults => print(&fault::list()).map(|()| 0),
        Command::Init(command) => command.run(&console).await.map(|()| 0).map_err(Into::into),
        Command::Schema(asked) => asked
            .text()
            .map_err(Into::into)
            .and_then(|schema| print(&schema))
            .map(|()| 0),
        Command::Doctor(doctor) => {
            let findings = doctor.examine().await;
            let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
            print(&(lines.join("\n") + "\n")).map(|()| u8::from(!can_run(&findings)))
        }
    };
    console.finish();
    ExitCode::from(done.unwrap_or_else(|error| refuse(&error)))
}

/// Says what went wrong; gives the exit code for it.
fn refuse(error: &anyhow::Error) -> u8 {
    // Standard error may be closed; then there is nowhere to say it.
    let _ = writeln!(std::io::stderr(), "error: {}", chain(error.as_ref()));
    let usage = error
        .downcast_ref::<RunError>()
        .is_some_and(RunError::is_usage)
        || error
            .downcast_ref::<ClusterError>()
            .is_some_and(ClusterError::is_usage)
        || error
            .downcast_ref::<InitError>()
            .is_some_and(InitError::is_usage)
        || error
            .downcast_ref::<ReplayError>()
            .is_some_and(ReplayError::is_usage)
        || error.is::<ReadError>();
    if usage { USAGE } else { INCONCLUSIVE }
}

fn print(text: &str) -> anyhow::Result<()> {
    Ok(std::io::stdout().write_all(text.as_bytes())?)
}

async fn failover(args: &RunArgs, console: &Console) -> anyhow::Result<u8> {
    let options = RunOptions::try_from(args)?;
    let mut cluster_options = ClusterOptions {
        images: options.images.clone(),
        ..args.cluster.options().map_err(RunError::from)?
    };
    if let Some(file) = &options.config {
        console.note(&format!("what is put to the test: {}", file.display()));
    }
    if cluster_options.raise_agents(fault::agents_for(&options.faults)) {
        console.note(&format!(
            "the cluster gets {} agents: a fault takes the leader's node away",
            cluster_options.agents
        ));
    }
    let mut interrupted = std::pin::pin!(interrupted());
    console.note(&format!("seed {}", options.seed));
    let cluster = tokio::select! {
        started = Cluster::start(&cluster_options, console) => started.map_err(RunError::from)?,
        name = &mut interrupted => {
            console.warn(&format!("{name}: ended before the cluster was up; nothing is left running"));
            return Ok(INTERRUPTED);
        }
    };
    console.note(&format!(
        "{} cluster with Kubernetes {}",
        cluster.provider(),
        cluster.kubernetes_version()
    ));
    let mut printed = Ok(());
    let outcome = run::run(&options, &cluster, interrupted, console, |outcome| {
        console.finish();
        printed = publish(&outcome.report, Some(&outcome.folder), console);
    })
    .await;
    let left = leave(cluster, &cluster_options, console).await;
    match outcome {
        Err(RunError::Interrupted { by, folder }) => {
            console.warn(&format!(
                "{by}: the run was ended, there is no verdict; {left}; finished trials are in {}",
                folder.display()
            ));
            Ok(INTERRUPTED)
        }
        outcome => {
            let Outcome { report, .. } = outcome?;
            printed?;
            Ok(report.verdict.exit_code())
        }
    }
}

fn replay(args: &ReplayArgs, console: &Console) -> anyhow::Result<u8> {
    let replayed = args.run()?;
    publish(&replayed.report, replayed.folder.as_deref(), console)?;
    Ok(replayed.report.verdict.exit_code())
}

/// Tells what was found to whoever looks: on standard output, and to the workflow that this is a step of.
fn publish(report: &Report, folder: Option<&Path>, console: &Console) -> anyhow::Result<()> {
    let github = GitHub::from_env();
    let place = folder.map_or_else(String::new, |folder| {
        format!(
            "report: {}\npage: {}\n",
            folder.join(archive::REPORT).display(),
            folder.join(page::FILE).display()
        )
    });
    print(&format!(
        "\n{}{place}{}",
        table::render(report),
        github.annotations(report)
    ))?;
    if let Err(error) = github.append_summary(report) {
        console.warn(&chain(&error));
    }
    Ok(())
}

/// Removes the cluster, or keeps it and says how to reach it; gives what became of it. A failure is a warning: it says
/// nothing about the operator.
async fn leave(cluster: Cluster, options: &ClusterOptions, console: &Console) -> &'static str {
    let brought = cluster.provider() == Provider::Kubeconfig;
    let left = if cluster.is_attached() {
        cluster
            .stop()
            .await
            .map(|()| "the cluster and the operator stay as they are")
    } else if options.keep {
        cluster.keep(Path::new(RESULTS)).await.map(|access| {
            console.note(&access);
            if brought {
                OPERATOR_REMOVED
            } else {
                "the cluster is kept"
            }
        })
    } else if brought {
        cluster.stop().await.map(|()| OPERATOR_REMOVED)
    } else {
        console.step("removing the cluster");
        cluster.stop().await.map(|()| "the cluster is removed")
    };
    left.unwrap_or_else(|error| {
        console.warn(&chain(&error));
        "the cluster could not be left as asked"
    })
}

async fn interrupted() -> &'static str {
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signals) => signals.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    let pressed = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    tokio::select! {
        () = pressed => "Ctrl-C",
        _ = terminated => "SIGTERM",
    }
}

//! The peer is a small operator with the crate kube-lease-manager as its elector, to compare ours with: see README.md.
//!
//! It ends with 0 when it was asked to, with 1 when it can't go on, and with 2 on a bad setting.

mod work;

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::Parser;
use kube::Client;
use kube_lease_manager::{LeaseManagerBuilder, LeaseParams};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    task::JoinSet,
};
use tracing::info;
use tracing_subscriber::EnvFilter;

use work::{Ended, Work};

/// A small operator with the crate kube-lease-manager as its elector.
#[derive(Debug, Parser)]
struct Settings {
    /// Name of the Lease
    #[arg(long, default_value = "lease-manager-peer")]
    lease: String,
    /// Seconds that the Lease lasts
    #[arg(long, default_value_t = 15, value_parser = clap::value_parser!(u64).range(2..=3600))]
    duration: u64,
    /// Seconds before its end at which the leader renews it
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3599))]
    grace: u64,
    /// Name of this pod
    #[arg(long, env = "POD_NAME")]
    pod_name: String,
    /// Namespace of this pod
    #[arg(long, env = "POD_NAMESPACE")]
    pod_namespace: String,
}

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).init();
    let settings = Settings::parse();
    if settings.grace >= settings.duration {
        let (grace, duration) = (settings.grace, settings.duration);
        tracing::error!("--grace={grace}: must be less than --duration={duration}");
        return ExitCode::from(2);
    }
    match run(&settings) {
        Ok(()) => {
            info!("ended as asked");
            ExitCode::SUCCESS
        }
        Err(error) => {
            tracing::error!("ended: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(settings: &Settings) -> anyhow::Result<()> {
    let client = Client::try_default()
        .await
        .context("failed to make a client")?;
    let (stop, mut stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut terminated = signal(SignalKind::terminate()).context("failed to listen to SIGTERM")?;
    tasks.spawn(async move {
        terminated.recv().await;
        stop.send_replace(true);
        // The channel is open for as long as somebody asks.
        stop.closed().await;
    });
    let (mut work, watching) =
        Work::new(client.clone(), &settings.pod_namespace, &settings.pod_name);
    tasks.spawn(watching);
    // A leader that has not seen its input would lead in name only.
    tokio::select! {
        () = work.synced() => {}
        _ = stopping.wait_for(|stop| *stop) => return Ok(()),
    }
    contend(settings, client, &mut work, &mut stopping).await
}

/// Contends, works while it leads, and releases the Lease when the work is over.
async fn contend(
    settings: &Settings,
    client: Client,
    work: &mut Work,
    stopping: &mut watch::Receiver<bool>,
) -> anyhow::Result<()> {
    let identity = format!("{}-{}", settings.pod_name, uuid::Uuid::new_v4());
    info!("contending as {identity}");
    let manager = LeaseManagerBuilder::new(client, &settings.lease)
        .with_namespace(&settings.pod_namespace)
        .with_parameters(LeaseParams::new(
            identity,
            settings.duration,
            settings.grace,
        ))
        .build()
        .await
        .context("failed to prepare the election")?;
    let (mut leading, election) = manager.watch().await;
    loop {
        tokio::select! {
            _ = stopping.wait_for(|stop| *stop) => break,
            led = leading.wait_for(|leads| *leads) => {
                if led.is_err() {
                    bail!("the election ended by itself");
                }
            }
        }
        info!("leading");
        match work.lead(&mut leading, stopping).await {
            Ended::Asked => break,
            Ended::Lost => info!("lost the Lease"),
        }
    }
    // The manager releases the Lease when nobody listens any more.
    drop(leading);
    election
        .await
        .context("the election was lost")?
        .context("failed to release the Lease")?;
    Ok(())
}

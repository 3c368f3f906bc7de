//! Keeps the logs of every container that ran, also of those whose pod is gone by the time somebody asks.

use std::{collections::BTreeSet, path::PathBuf, sync::Arc, time::Duration};

use futures::AsyncBufReadExt;
use futures::TryStreamExt;
use k8s_openapi::api::core::v1::Pod;
use kube::{Api, api::LogParams};
use tokio::{fs::File, io::AsyncWriteExt, task::JoinSet};

use super::error::ObserverError;
use crate::observe::observations::Observations;

/// Copies the log of each container into `folder`, as `<pod>-<restarts>.log`. Never returns.
///
/// A log that can't be read or written is missing where it is looked for; it changes no verdict.
pub(super) async fn keep(
    pods: Api<Pod>,
    container: String,
    folder: PathBuf,
    observations: Arc<Observations>,
) -> ObserverError {
    let mut known: BTreeSet<(String, i32)> = BTreeSet::new();
    let mut copies = JoinSet::new();
    loop {
        let fresh = observations
            .wait_for(Duration::MAX, |seen| {
                let ran = seen
                    .pods
                    .iter()
                    .filter(|pod| pod.running)
                    .map(|pod| (pod.name.clone(), pod.restarts));
                let fresh: Vec<_> = ran.filter(|run| !known.contains(run)).collect();
                (!fresh.is_empty()).then_some(fresh)
            })
            .await;
        for (pod, restarts) in fresh.unwrap_or_default() {
            if known.insert((pod.clone(), restarts)) {
                let file = folder.join(format!("{pod}-{restarts}.log"));
                copies.spawn(copy(pods.clone(), pod, container.clone(), file));
            }
        }
        // The tasks that ended are dropped; their containers ended with them.
        while copies.try_join_next().is_some() {}
    }
}

async fn copy(
    pods: Api<Pod>,
    pod: String,
    container: String,
    file: PathBuf,
) -> Result<(), std::io::Error> {
    let parameters = LogParams {
        container: Some(container),
        follow: true,
        timestamps: true,
        ..LogParams::default()
    };
    let lines = pods
        .log_stream(&pod, &parameters)
        .await
        .map_err(std::io::Error::other)?;
    let mut lines = lines.lines();
    let mut file = File::create(file).await?;
    while let Some(line) = lines.try_next().await? {
        file.write_all(line.as_bytes()).await?;
        file.write_all(b"\n").await?;
        file.flush().await?;
    }
    Ok(())
}

//! `failover cluster`: a cluster to look around in.

use std::path::Path;

use super::{Cluster, ClusterArgs, ClusterError};
use crate::progress::Progress;

/// Starts a cluster and holds it until it is interrupted, or leaves it running with `--keep`.
#[derive(Debug, Clone, clap::Args)]
pub struct HoldCommand {
    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

impl HoldCommand {
    /// Starts the cluster; `interrupted` resolves when it is to end. The kubeconfig is written into `folder`.
    pub async fn run(
        &self,
        folder: &Path,
        interrupted: impl Future<Output = ()>,
        progress: &dyn Progress,
    ) -> Result<(), ClusterError> {
        let options = self.cluster.options()?;
        let mut interrupted = std::pin::pin!(interrupted);
        let cluster = tokio::select! {
            started = Cluster::start(&options, progress) => started?,
            () = &mut interrupted => return Ok(()),
        };
        progress.note(&format!(
            "Kubernetes {} is ready",
            cluster.kubernetes_version()
        ));
        if options.keep {
            progress.note(&cluster.keep(folder).await?);
            return Ok(());
        }
        let path = cluster.kubeconfig_path(folder);
        cluster.write_kubeconfig(&path)?;
        progress.note(&cluster.describe_access(&path));
        interrupted.await;
        progress.step("removing the cluster");
        let removed = std::fs::remove_file(&path);
        cluster.stop().await?;
        removed.map_err(|source| ClusterError::Write { path, source })
    }
}

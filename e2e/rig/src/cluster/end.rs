//! How a cluster ends: removed, kept on purpose, or dropped.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::error::ClusterError;
use super::running::{Cluster, Containers};
use super::sweep;

impl Cluster {
    /// The commands that reach this cluster and end it, given where its kubeconfig was written.
    pub fn describe_access(&self, kubeconfig: &Path) -> String {
        let export = format!("export KUBECONFIG={}", kubeconfig.display());
        let Some(Containers { server, agents, .. }) = &self.containers else {
            return export;
        };
        let mut remove = format!("docker rm -f -v {server}");
        for agent in agents {
            remove = format!("{remove} {agent}");
        }
        if !agents.is_empty() {
            remove = format!("{remove} && docker network rm {server}");
        }
        format!(
            "{export}\ndocker exec {server} kubectl get pods --all-namespaces\n{remove}   # ends it"
        )
    }

    /// Leaves the cluster running after this process, writes its kubeconfig into `folder` and says how to reach it.
    ///
    /// A later run leaves it alone only if it was started with [`super::ClusterOptions::keep`].
    pub async fn keep(mut self, folder: &Path) -> Result<String, ClusterError> {
        let path = self.kubeconfig_path(folder);
        let written = self.write_kubeconfig(&path);
        if let Err(error) = written {
            self.stop().await?;
            return Err(error);
        }
        let mut words = self.describe_access(&path);
        if let Some(containers) = &mut self.containers {
            words = format!(
                "{words}\nfailover run --attach {}   # uses it again",
                containers.server
            );
            if let Some(guardian) = containers.guardian.take() {
                guardian.dismiss();
            }
        }
        Ok(words)
    }

    /// Removes the cluster. One that was brought, or kept by an earlier run, is left as it is.
    pub async fn stop(mut self) -> Result<(), ClusterError> {
        let Some(mut containers) = self.containers.take() else {
            return Ok(());
        };
        if containers.attached {
            return Ok(());
        }
        let removed = sweep::remove_run(containers.engine.docker(), &self.run).await;
        if removed.is_ok()
            && let Some(guardian) = containers.guardian.take()
        {
            guardian.dismiss();
        }
        removed.map(drop)
    }

    /// Where [`Cluster::keep`] writes the kubeconfig of this cluster, as an absolute path.
    pub fn kubeconfig_path(&self, folder: &Path) -> PathBuf {
        let path = folder.join(format!("kubeconfig-{}.yaml", self.run));
        std::path::absolute(&path).unwrap_or(path)
    }

    /// Writes the kubeconfig to a file that only this user can read.
    pub fn write_kubeconfig(&self, path: &Path) -> Result<(), ClusterError> {
        let failed = |source| ClusterError::Write {
            path: PathBuf::from(path),
            source,
        };
        let text = serde_saphyr::to_string(&self.kubeconfig)
            .map_err(|error| failed(std::io::Error::other(error)))?;
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(path)
            .map_err(failed)?;
        file.write_all(text.as_bytes()).map_err(failed)
    }
}

impl Drop for Containers {
    fn drop(&mut self) {
        if let Some(guardian) = self.guardian.take() {
            guardian.finish();
        }
    }
}

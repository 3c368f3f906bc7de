//! What can be done to a running cluster from outside: commands on its nodes, images, signals, a frozen server.

use futures::{StreamExt, stream};

use super::choice::require;
use super::error::ClusterError;
use super::on_node::Bytes;
use super::on_node::{Aimed, LineStream, Output};
use super::running::{Cluster, Containers};
use super::signal::Signal;
use super::{image, signal};

/// How much of an archive goes to a node at once, in bytes.
const PIECE: usize = 1 << 20;

impl Cluster {
    /// Runs a command on the machine or container of a node, to its end.
    pub async fn on_node(&self, node: &str, command: &[&str]) -> Result<Output, ClusterError> {
        self.access.run(node, command).await
    }

    /// Runs a command on a node that goes on, and gives its lines as they come.
    pub async fn follow_on_node(
        &self,
        node: &str,
        command: &[&str],
    ) -> Result<LineStream, ClusterError> {
        self.access.follow(node, command).await
    }

    /// Follows the audit log from its beginning.
    pub async fn follow_audit_log(&self) -> Result<LineStream, ClusterError> {
        let Some(log) = &self.audit_log else {
            return Err(ClusterError::NotWithProvider {
                action: "read the audit log".to_owned(),
                provider: self.provider(),
                advice: "say where it is with --audit-log and how to reach it with --on-node",
            });
        };
        self.follow_on_node(&log.node, &["tail", "-n", "+1", "-F", &log.path])
            .await
    }

    /// Loads an image of the engine into every node of a started cluster.
    pub async fn load_image(&self, reference: &str) -> Result<(), ClusterError> {
        for node in self.access.nodes() {
            self.load_image_into(node, reference).await?;
        }
        Ok(())
    }

    /// Loads an image of the engine into one node of a started cluster.
    pub(super) async fn load_image_into(
        &self,
        node: &str,
        reference: &str,
    ) -> Result<(), ClusterError> {
        let docker = self
            .containers(
                "load an image",
                "make the image available to the cluster yourself",
            )?
            .engine
            .docker();
        let found = image::find(docker, reference).await?;
        require(found, reference, image::advice(reference))?;
        let references = [reference.to_owned()];
        self.import_into(node, image::archive(docker, &references))
            .await
    }

    /// Loads an image into a node of a started cluster, from an archive that is an OCI layout or what `docker save` writes.
    /// The node has it under each name that the archive gives it.
    pub async fn import_image(&self, node: &str, archive: &[u8]) -> Result<(), ClusterError> {
        let pieces = archive.chunks(PIECE).map(|piece| Ok(piece.to_vec()));
        self.import_into(node, stream::iter(pieces).boxed()).await
    }

    async fn import_into(&self, node: &str, archive: Bytes<'_>) -> Result<(), ClusterError> {
        let command = ["ctr", "-n", "k8s.io", "images", "import", "-"];
        let output = self.access.feed(node, &command, archive).await?;
        output.success(node, &command)?;
        Ok(())
    }

    /// Prepares a signal to processes on a node, such as those that [`Self::container_pid`] gives.
    ///
    /// Unlike a forced delete, SIGKILL lets neither the process nor kubelet prepare. On a started cluster whatever takes
    /// time is done here, so that firing takes milliseconds.
    pub async fn aim(
        &self,
        node: &str,
        signal: Signal,
        pids: &[u32],
    ) -> Result<Aimed, ClusterError> {
        self.access.aim(node, signal, pids).await
    }

    /// The process id of a pod's container, as the node numbers it; `None` when it does not run.
    pub async fn container_pid(
        &self,
        node: &str,
        container_id: &str,
    ) -> Result<Option<u32>, ClusterError> {
        let output = self
            .on_node(node, &signal::LIST)
            .await?
            .success(node, &signal::LIST)?;
        Ok(signal::pid(&output.stdout, container_id))
    }

    /// Freezes the server with everything in it, API server and pods.
    pub async fn pause(&self) -> Result<(), ClusterError> {
        let Containers { server, engine, .. } = self.containers(
            "pause the server",
            "start a cluster with --provider k3s or node",
        )?;
        let paused = engine.docker().pause_container(server).await;
        paused.map_err(ClusterError::engine(format!(
            "pause the container {server}"
        )))
    }

    /// Lets a paused server go on.
    pub async fn unpause(&self) -> Result<(), ClusterError> {
        let Containers { server, engine, .. } = self.containers(
            "unpause the server",
            "start a cluster with --provider k3s or node",
        )?;
        let unpaused = engine.docker().unpause_container(server).await;
        unpaused.map_err(ClusterError::engine(format!(
            "unpause the container {server}"
        )))
    }

    fn containers(&self, action: &str, advice: &'static str) -> Result<&Containers, ClusterError> {
        let provider = self.provider();
        self.containers
            .as_ref()
            .ok_or_else(|| ClusterError::NotWithProvider {
                action: action.to_owned(),
                provider,
                advice,
            })
    }
}

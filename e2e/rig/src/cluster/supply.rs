//! `failover cluster-image`: makes sure that there is an image to start a cluster from.
//!
//! The same order as a run: k3s where its image is present or can be pulled, else the node image, which is built here
//! from source because no registry has it.

use std::path::{Path, PathBuf};

use tokio::process::Command;

use super::choice::require;
use super::defaults::{K3S_REPOSITORY, K3S_TAG, NODE_IMAGE};
use super::error::ClusterError;
use super::image;
use crate::engine;
use crate::progress::Progress;
use failover_judging::report::Provider;

/// Makes sure that there is an image to start a cluster from.
#[derive(Debug, Clone, clap::Args)]
pub struct ClusterImageCommand {
    /// Provider that the image is for [default: k3s where it is present or can be pulled, else node]
    #[arg(long, value_enum, env = "FAILOVER_PROVIDER")]
    pub provider: Option<Provider>,
    /// Program that builds the node image
    #[arg(long, value_name = "PROGRAM")]
    pub node_build: PathBuf,
    /// Version of k3s, a tag of its image
    #[arg(long, value_name = "TAG", env = "FAILOVER_K3S_TAG", default_value = K3S_TAG)]
    pub k3s_tag: String,
    /// Image of the provider `node`
    #[arg(long, value_name = "IMAGE", env = "FAILOVER_NODE_IMAGE", default_value = NODE_IMAGE)]
    pub node_image: String,
}

impl ClusterImageCommand {
    /// Pulls or builds what is missing and says what a run will use.
    pub async fn run(&self, progress: &dyn Progress) -> Result<(), ClusterError> {
        match self.provider {
            Some(Provider::Kubeconfig) => {
                progress.note("a cluster is brought by its kubeconfig, no image is needed");
                Ok(())
            }
            Some(Provider::Node) => self.build_node(progress).await,
            Some(Provider::K3s) => {
                let pulled = self.pull_k3s(progress).await?;
                pulled.map_err(|why| ClusterError::Pull {
                    image: self.k3s_image(),
                    why,
                })
            }
            None => {
                if let Err(why) = self.pull_k3s(progress).await? {
                    progress.note(&format!(
                        "{} cannot be pulled ({why}), so the node image is used",
                        self.k3s_image()
                    ));
                    self.build_node(progress).await?;
                }
                Ok(())
            }
        }
    }

    fn k3s_image(&self) -> String {
        format!("{K3S_REPOSITORY}:{}", self.k3s_tag)
    }

    async fn pull_k3s(&self, progress: &dyn Progress) -> Result<Result<(), String>, ClusterError> {
        let engine = engine::probe().await?;
        let image = self.k3s_image();
        if image::find(engine.docker(), &image).await?.is_some() {
            progress.note(&format!("{image} is present"));
            return Ok(Ok(()));
        }
        Ok(image::pull(engine.docker(), &image, progress).await)
    }

    /// The build keeps its own cache, so it is asked every time: the sources may have changed.
    async fn build_node(&self, progress: &dyn Progress) -> Result<(), ClusterError> {
        progress.step(&format!(
            "building {} by {}",
            self.node_image,
            self.node_build.display()
        ));
        build(&self.node_build).await?;
        let engine = engine::probe().await?;
        let found = image::find(engine.docker(), &self.node_image).await?;
        require(
            found,
            &self.node_image,
            "its build ended well but made another one, see --node-image",
        )?;
        Ok(())
    }
}

/// Its output goes straight to the terminal: a build of minutes is watched, not summarised.
async fn build(program: &Path) -> Result<(), ClusterError> {
    let failed = |source| ClusterError::NodeBuild {
        program: program.to_owned(),
        source,
    };
    let status = Command::new(program)
        .kill_on_drop(true)
        .status()
        .await
        .map_err(failed)?;
    if status.success() {
        Ok(())
    } else {
        Err(failed(std::io::Error::other(status.to_string())))
    }
}

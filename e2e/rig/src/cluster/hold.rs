//! `failover cluster`: a cluster to look around in.

use std::path::Path;

use super::args::{ClusterArgs, ClusterOptions};
use super::error::ClusterError;
use super::running::Cluster;
use crate::progress::Progress;

/// What `--image` means here, where there is no file and nothing is deployed.
const IMAGE_HELP: &str =
    "Image to load from the engine into a started cluster [default: none is loaded]";

/// Starts a cluster and holds it until it is interrupted, or leaves it running with `--keep`.
///
/// It deploys nothing, so it has no image unless one is named.
#[derive(Debug, Clone, clap::Args)]
#[command(mut_arg("image", |image| image.help(IMAGE_HELP)))]
pub struct HoldCommand {
    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

impl HoldCommand {
    fn options(&self) -> Result<ClusterOptions, ClusterError> {
        Ok(ClusterOptions {
            images: self.cluster.image.iter().cloned().collect(),
            ..self.cluster.options()?
        })
    }

    /// Starts the cluster; `interrupted` resolves when it is to end. The kubeconfig is written into `folder`.
    pub async fn run(
        &self,
        folder: &Path,
        interrupted: impl Future<Output = ()>,
        progress: &dyn Progress,
    ) -> Result<(), ClusterError> {
        let options = self.options()?;
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

#[cfg(test)]
mod tests {
    use clap::{CommandFactory as _, Parser};

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        hold: HoldCommand,
    }

    #[rstest::rstest]
    #[case(&["cluster"], &[])]
    #[case(&["cluster", "--image", "example/manager:2"], &["example/manager:2"])]
    fn a_cluster_to_look_around_in_has_the_image_that_is_named_and_no_other(
        #[case] flags: &[&str],
        #[case] images: &[&str],
    ) {
        let command = Command::try_parse_from(flags).unwrap();
        assert_eq!(command.hold.options().unwrap().images, images);
    }

    #[test]
    fn its_help_promises_no_image_of_a_file_it_does_not_read() {
        let help = Command::command().render_help().to_string();
        // Its lines are as long as the terminal allows.
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(help.contains("none is loaded"), "{help}");
        assert!(!help.contains("of the file"), "{help}");
    }
}

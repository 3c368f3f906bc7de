//! Starts a cluster, or reaches one.

use super::args::ClusterOptions;
use super::choice::{self, ProviderChoice};
use super::error::ClusterError;
use super::owner::RunId;
use super::running::Cluster;
use super::sweep::sweep;
use super::{access, image};
use crate::engine;
use crate::progress::Progress;
use failover_judging::report::Provider;

impl Cluster {
    /// Starts a cluster, or reaches the one that is brought or was kept, and waits until it takes pods.
    ///
    /// Cancel safe: dropping the future leaves nothing behind, the guardian removes what was begun.
    ///
    /// # Errors
    /// Every failure leaves nothing running.
    pub async fn start(
        options: &ClusterOptions,
        progress: &dyn Progress,
    ) -> Result<Self, ClusterError> {
        if options.provider == Some(Provider::Kubeconfig) {
            return Self::reach(options, progress).await;
        }
        let engine = engine::probe().await?;
        sweep(&engine, progress).await?;
        // Said before anything is started or changed.
        for image in &options.images {
            let found = image::find(engine.docker(), image).await?;
            choice::require(found, image, image::advice(image))?;
        }
        if let Some(kept) = &options.attach {
            return Self::attach(engine, kept, options, progress).await;
        }
        let choice = choice::choose(&engine, options, progress).await?;
        progress.note(&format!(
            "cluster provider {}: {}",
            choice.provider, choice.reason
        ));
        Self::boot(engine, choice, options, progress).await
    }

    async fn reach(
        options: &ClusterOptions,
        progress: &dyn Progress,
    ) -> Result<Self, ClusterError> {
        let reached = access::reach(&options.brought, progress).await?;
        for image in &options.images {
            progress.note(&format!(
                "the brought cluster has to have or pull {image} itself"
            ));
        }
        let choice = ProviderChoice {
            provider: Provider::Kubeconfig,
            image: None,
            reason: "a cluster was brought by its kubeconfig".to_owned(),
        };
        Ok(Self {
            run: RunId::random(),
            choice,
            version: reached.version,
            kubeconfig: reached.kubeconfig,
            access: reached.access,
            audit_log: reached.audit_log,
            containers: None,
            listen_on: options.listen_on,
        })
    }
}

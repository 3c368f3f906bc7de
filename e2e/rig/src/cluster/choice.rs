//! Which provider a run uses, and why.

use super::args::ClusterOptions;
use super::error::ClusterError;
use super::image::{self, Image};
use crate::engine::Engine;
use crate::progress::Progress;
use failover_judging::report::Provider;

/// The provider of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderChoice {
    /// What was chosen.
    pub provider: Provider,
    /// The image that the cluster starts from; a brought cluster has none.
    pub image: Option<Image>,
    /// Why, in words for the report.
    pub reason: String,
}

/// Chooses between the two providers that start a cluster.
///
/// # Errors
/// When the requested image, or without a request either image, cannot be had.
pub async fn choose(
    engine: &Engine,
    options: &ClusterOptions,
    progress: &dyn Progress,
) -> Result<ProviderChoice, ClusterError> {
    let docker = engine.docker();
    let (k3s, node) = (&options.k3s_image, &options.node_image);
    if options.provider == Some(Provider::Node) {
        let image = require(
            image::find(docker, node).await?,
            node,
            "build it with `just node`",
        )?;
        return Ok(ProviderChoice {
            provider: Provider::Node,
            image: Some(image),
            reason: "asked for by --provider".to_owned(),
        });
    }
    let asked = options.provider.is_some();
    if let Some(image) = image::find(docker, k3s).await? {
        let reason = if asked {
            "asked for by --provider".to_owned()
        } else {
            format!("{k3s} is present")
        };
        return Ok(ProviderChoice {
            provider: Provider::K3s,
            image: Some(image),
            reason,
        });
    }
    match image::pull(docker, k3s, progress).await {
        Ok(()) => {
            let image = require(
                image::find(docker, k3s).await?,
                k3s,
                "it was pulled and is gone; pull it by hand",
            )?;
            let reason = if asked {
                "asked for by --provider".to_owned()
            } else {
                format!("{k3s} was pulled")
            };
            Ok(ProviderChoice {
                provider: Provider::K3s,
                image: Some(image),
                reason,
            })
        }
        Err(why) if asked => Err(ClusterError::Pull {
            image: k3s.clone(),
            why,
        }),
        Err(why) => match image::find(docker, node).await? {
            Some(image) => {
                let reason = format!("{k3s} cannot be pulled ({why}), {node} is present");
                Ok(ProviderChoice {
                    provider: Provider::Node,
                    image: Some(image),
                    reason,
                })
            }
            None => Err(ClusterError::NoClusterImage {
                k3s: k3s.clone(),
                node: node.clone(),
                why,
            }),
        },
    }
}

pub(super) fn require(
    found: Option<Image>,
    reference: &str,
    advice: &'static str,
) -> Result<Image, ClusterError> {
    found.ok_or_else(|| ClusterError::ImageMissing {
        image: reference.to_owned(),
        advice,
    })
}

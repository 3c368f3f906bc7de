//! Images of the engine: whether they are there, what they are, and how to get them.

use std::io;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use testcontainers::bollard::Docker;
use testcontainers::bollard::errors::Error;
use testcontainers::bollard::models::ImageInspect;
use testcontainers::bollard::query_parameters::CreateImageOptionsBuilder;
use tokio::time::timeout;

use super::defaults::OPERATOR_IMAGE;
use super::error::ClusterError;
use crate::progress::Progress;

/// A pull that has not begun by then has no registry to talk to.
const PULL_BEGIN_LIMIT: Duration = Duration::from_secs(30);
/// A pull that has begun may pause this long between two signs of life.
const PULL_PAUSE_LIMIT: Duration = Duration::from_mins(2);

/// An image as the engine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// Name and tag.
    pub reference: String,
    /// Content identity: the registry's digest where the image was pulled, else the digest of its configuration.
    pub digest: String,
}

/// How to get an image that the engine does not have: only our own has a recipe.
pub(crate) fn advice(reference: &str) -> &'static str {
    if reference == OPERATOR_IMAGE {
        "build it with `just image`, or name another one with --image"
    } else {
        "build or pull it"
    }
}

/// The image, or `None` when the engine does not have it.
pub(crate) async fn find(docker: &Docker, reference: &str) -> Result<Option<Image>, ClusterError> {
    Ok(inspect(docker, reference).await?.map(|seen| {
        let pulled = seen.repo_digests.into_iter().flatten().next();
        let pulled =
            pulled.and_then(|digest| digest.split_once('@').map(|(_, digest)| digest.to_owned()));
        Image {
            reference: reference.to_owned(),
            digest: pulled.or(seen.id).unwrap_or_else(|| "unknown".to_owned()),
        }
    }))
}

/// What tells an image from every other that has or had its name; `None` when the engine does not have it.
pub(super) async fn identity(
    docker: &Docker,
    reference: &str,
) -> Result<Option<String>, ClusterError> {
    Ok(inspect(docker, reference).await?.and_then(|seen| seen.id))
}

async fn inspect(docker: &Docker, reference: &str) -> Result<Option<ImageInspect>, ClusterError> {
    match docker.inspect_image(reference).await {
        Ok(seen) => Ok(Some(seen)),
        Err(Error::DockerResponseServerError {
            status_code: 404, ..
        }) => Ok(None),
        Err(source) => Err(ClusterError::EngineCall {
            action: format!("look for the image {reference}"),
            source,
        }),
    }
}

/// Pulls an image; fails as soon as the engine says that it cannot, or when nothing moves any more.
pub(super) async fn pull(
    docker: &Docker,
    reference: &str,
    progress: &dyn Progress,
) -> Result<(), String> {
    progress.step(&format!("pulling {reference}"));
    let options = CreateImageOptionsBuilder::default()
        .from_image(reference)
        .build();
    let mut pulling = docker.create_image(Some(options), None, None);
    let mut limit = PULL_BEGIN_LIMIT;
    let mut told = String::new();
    loop {
        match timeout(limit, pulling.next()).await {
            Err(_) => return Err(format!("nothing moved for {} s", limit.as_secs())),
            Ok(None) => return Ok(()),
            Ok(Some(Err(
                Error::DockerResponseServerError { message, .. }
                | Error::DockerStreamError { error: message },
            ))) => {
                return Err(message);
            }
            Ok(Some(Err(other))) => return Err(other.to_string()),
            Ok(Some(Ok(info))) => {
                limit = PULL_PAUSE_LIMIT;
                let status = info.status.unwrap_or_default();
                if status != told && status.starts_with("Pull") {
                    progress.note(&format!("{reference}: {}", status.to_lowercase()));
                }
                told = status;
            }
        }
    }
}

/// The archive that `docker save` writes, piece by piece.
pub(super) fn archive<'a>(
    docker: &'a Docker,
    references: &'a [String],
) -> super::on_node::Bytes<'a> {
    let names: Vec<&str> = references.iter().map(String::as_str).collect();
    let pieces = docker.export_images(&names).map_err(io::Error::other);
    pieces.map_ok(|piece| piece.to_vec()).boxed()
}

/// Name and tag apart; the tag is `latest` where none is given.
pub(super) fn split(
    field: &'static str,
    reference: &str,
) -> Result<(String, String), ClusterError> {
    let refuse = |rule: &str| {
        Err(ClusterError::Setting {
            field,
            value: reference.to_owned(),
            rule: rule.to_owned(),
        })
    };
    if reference.is_empty() || reference.contains(char::is_whitespace) {
        return refuse("an image is named by NAME:TAG");
    }
    if reference.contains('@') {
        return refuse("an image is named by NAME:TAG here, a digest cannot be used");
    }
    match reference.rsplit_once(':') {
        // A colon before a slash belongs to the port of a registry.
        Some((name, tag)) if !tag.contains('/') && !name.is_empty() && !tag.is_empty() => {
            Ok((name.to_owned(), tag.to_owned()))
        }
        Some((_, "")) => refuse("the tag is empty"),
        _ => Ok((reference.to_owned(), "latest".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[test]
    fn only_our_own_image_is_said_to_have_a_recipe() {
        assert!(advice(OPERATOR_IMAGE).contains("`just image`"));
        assert_eq!(advice("example/manager:2"), "build or pull it");
    }

    #[rstest]
    #[case::with_tag("five-spot/node:v1.34.4", "five-spot/node", "v1.34.4")]
    #[case::registry_with_a_port("registry:5000/k3s:v1", "registry:5000/k3s", "v1")]
    #[case::port_but_no_tag("registry:5000/k3s", "registry:5000/k3s", "latest")]
    #[case::plain("k3s", "k3s", "latest")]
    fn name_and_tag_come_apart(#[case] reference: &str, #[case] name: &str, #[case] tag: &str) {
        assert_eq!(
            split("--node-image", reference).unwrap(),
            (name.to_owned(), tag.to_owned())
        );
    }

    #[rstest]
    #[case::empty("")]
    #[case::digest("node@sha256:00")]
    #[case::no_tag_behind_the_colon("node:")]
    #[case::space("a b")]
    fn what_is_no_name_and_tag_is_refused_with_the_flag(#[case] reference: &str) {
        let message = split("--node-image", reference).unwrap_err().to_string();
        assert!(
            message.starts_with(&format!("--node-image={reference}:")),
            "{message}"
        );
    }
}

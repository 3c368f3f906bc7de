//! Pushes the images and their bills of materials to a registry.
//!
//! A bill of materials is attached as a referrer. Registries that know no referrers get the index under the tag that the
//! OCI distribution specification has for them.

use std::fmt;

use oci_client::{
    Client, Reference, RegistryOperation,
    client::{ClientConfig, ClientProtocol},
    errors::OciDistributionError,
    manifest::{OCI_IMAGE_INDEX_MEDIA_TYPE, OCI_IMAGE_MEDIA_TYPE},
};

pub use oci_client::secrets::RegistryAuth;

use crate::{oci::Image, publish::Named};

/// Where to push to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Host and port, in place of that in the images' names.
    pub registry: String,
    /// Whether it speaks HTTP without TLS.
    pub is_plain_http: bool,
    /// How to log in.
    pub auth: RegistryAuth,
}

/// A push failed.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// An image has a name without a registry.
    #[error("the image's name is {name:?}: must be <registry>/<path>")]
    Name {
        /// The name.
        name: String,
    },
    /// There is no cryptography for TLS.
    #[error("failed to set up TLS: {0}")]
    Tls(String),
    /// The registry can't be reached, or refuses.
    #[error("failed to {action} {reference}")]
    Registry {
        /// What was attempted.
        action: &'static str,
        /// The image.
        reference: String,
        /// Why.
        #[source]
        source: OciDistributionError,
    },
    /// An index of referrers can't be written as JSON.
    #[error("failed to write the index of the referrers {reference}")]
    Index {
        /// The image.
        reference: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

/// A connection to a registry.
pub struct Pusher {
    client: Client,
    target: Target,
}

impl fmt::Debug for Pusher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The client can't be shown.
        f.debug_struct("Pusher")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Pusher {
    /// A connection to the target; nothing is sent yet.
    pub fn new(target: Target) -> Result<Self, PushError> {
        // Another part of the process may have done so before, which is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let protocol = if target.is_plain_http {
            ClientProtocol::Http
        } else {
            ClientProtocol::Https
        };
        let config = ClientConfig {
            protocol,
            ..ClientConfig::default()
        };
        let client = Client::try_from(config).map_err(|error| PushError::Tls(error.to_string()))?;
        Ok(Self { client, target })
    }

    /// Pushes an image under its tag; gives its reference by digest.
    pub async fn push(&self, named: &Named) -> Result<String, PushError> {
        let reference = self.reference(named, &named.tag)?;
        self.log_in(&reference).await?;
        self.push_image(&reference, &named.image).await?;
        Ok(format!(
            "{}/{}@{}",
            reference.registry(),
            reference.repository(),
            named.image.digest()
        ))
    }

    /// Attaches an artifact to an image that was pushed.
    pub async fn attach(&self, named: &Named, artifact: &Image) -> Result<(), PushError> {
        let by_digest = |digest: &str| self.reference_by_digest(named, digest);
        let reference = by_digest(artifact.digest())?;
        self.push_image(&reference, artifact).await?;
        let subject = by_digest(named.image.digest())?;
        let known = self.client.pull_referrers(&subject, None).await;
        let mut known = known.map_err(registry_error("list the referrers of", &subject))?;
        if known
            .manifests
            .iter()
            .any(|one| one.digest == artifact.digest())
        {
            return Ok(());
        }
        // The registry took no note of the subject. The client has read the index under the tag for that, or an empty one.
        let tag = self.reference(named, &named.image.digest().replace(':', "-"))?;
        known.manifests.push(artifact.index_entry());
        let text = serde_json::to_vec(&known).map_err(|source| PushError::Index {
            reference: tag.to_string(),
            source,
        })?;
        self.put(&tag, text, OCI_IMAGE_INDEX_MEDIA_TYPE).await
    }

    async fn log_in(&self, reference: &Reference) -> Result<(), PushError> {
        self.client
            .auth(reference, &self.target.auth, RegistryOperation::Push)
            .await
            .map(drop)
            .map_err(registry_error("log in for", reference))
    }

    async fn push_image(&self, reference: &Reference, image: &Image) -> Result<(), PushError> {
        for (digest, content) in &image.blobs {
            if digest != image.digest() {
                let pushed = self
                    .client
                    .push_blob(reference, content.clone(), digest)
                    .await;
                pushed.map_err(registry_error("push a layer of", reference))?;
            }
        }
        // There is one: an image is made with its manifest.
        let manifest = image.blobs.get(image.digest()).cloned().unwrap_or_default();
        self.put(reference, manifest, OCI_IMAGE_MEDIA_TYPE).await
    }

    async fn put(
        &self,
        reference: &Reference,
        content: Vec<u8>,
        media_type: &'static str,
    ) -> Result<(), PushError> {
        let media_type = http::HeaderValue::from_static(media_type);
        let put = self
            .client
            .push_manifest_raw(reference, content, media_type)
            .await;
        put.map(drop)
            .map_err(registry_error("push the manifest of", reference))
    }

    fn reference(&self, named: &Named, tag: &str) -> Result<Reference, PushError> {
        let path = path(named)?.to_owned();
        Ok(Reference::with_tag(
            self.target.registry.clone(),
            path,
            tag.to_owned(),
        ))
    }

    fn reference_by_digest(&self, named: &Named, digest: &str) -> Result<Reference, PushError> {
        let path = path(named)?.to_owned();
        Ok(Reference::with_digest(
            self.target.registry.clone(),
            path,
            digest.to_owned(),
        ))
    }
}

/// The path of an image without its registry.
fn path(named: &Named) -> Result<&str, PushError> {
    let path = named.repository.split_once('/').map(|(_, path)| path);
    path.ok_or_else(|| PushError::Name {
        name: named.repository.clone(),
    })
}

fn registry_error(
    action: &'static str,
    reference: &Reference,
) -> impl FnOnce(OciDistributionError) -> PushError + use<> {
    let reference = reference.to_string();
    move |source| PushError::Registry {
        action,
        reference,
        source,
    }
}

//! Whether a node has an image of the engine, by content and not by name.
//!
//! The engine knows an image by the digest of its configuration, or of its manifest where it keeps images in containerd;
//! a node knows it by the manifest that its import made, which names the configuration. They are the same image when one
//! of these digests is the same.

use serde::Deserialize;

use super::error::ClusterError;
use super::image;
use super::on_node::NodeAccess;
use super::running::Cluster;
use crate::progress::Progress;

const LIST: [&str; 5] = ["ctr", "-n", "k8s.io", "images", "ls"];

/// A manifest, or an index of manifests.
#[derive(Deserialize)]
struct Manifest {
    config: Option<Descriptor>,
    #[serde(default)]
    manifests: Vec<Descriptor>,
}

#[derive(Deserialize)]
struct Descriptor {
    digest: String,
}

impl Cluster {
    /// Loads an image of the engine into the nodes that do not have it, or another one of its name.
    pub(super) async fn bring_image(
        &self,
        reference: &str,
        progress: &dyn Progress,
    ) -> Result<(), ClusterError> {
        let Some(wanted) = self.image_identity(reference).await? else {
            return Ok(());
        };
        for node in self.nodes() {
            if identities(&self.access, node, reference)
                .await?
                .contains(&wanted)
            {
                continue;
            }
            progress.step(&format!("loading {reference} into {node}"));
            self.load_image_into(node, reference).await?;
        }
        Ok(())
    }

    /// What tells the engine's image of this name from every other; `None` where there is no engine or no such image.
    pub async fn image_identity(&self, reference: &str) -> Result<Option<String>, ClusterError> {
        match &self.containers {
            Some(containers) => image::identity(containers.engine.docker(), reference).await,
            None => Ok(None),
        }
    }
}

/// The digests by which a node knows what it has under this name; none when it has nothing.
async fn identities(
    access: &NodeAccess,
    node: &str,
    reference: &str,
) -> Result<Vec<String>, ClusterError> {
    let listed = access.run(node, &LIST).await?.success(node, &LIST)?;
    let Some(target) = digest_in(&listed.stdout, reference) else {
        return Ok(Vec::new());
    };
    let top = manifest(access, node, &target).await?;
    let mut known = vec![target];
    for inner in top.manifests {
        // An index may name platforms whose content was never loaded.
        if let Ok(manifest) = manifest(access, node, &inner.digest).await {
            known.extend(manifest.config.map(|config| config.digest));
        }
        known.push(inner.digest);
    }
    known.extend(top.config.map(|config| config.digest));
    Ok(known)
}

async fn manifest(access: &NodeAccess, node: &str, digest: &str) -> Result<Manifest, ClusterError> {
    let command = ["ctr", "-n", "k8s.io", "content", "get", digest];
    let text = access
        .run(node, &command)
        .await?
        .success(node, &command)?
        .stdout;
    serde_json::from_str(&text).map_err(|source| ClusterError::OnNode {
        node: node.to_owned(),
        command: command.join(" "),
        source: Box::new(source),
    })
}

/// The digest of an image in what [`LIST`] writes. The runtime spells out the registry that the engine leaves out.
fn digest_in(listing: &str, reference: &str) -> Option<String> {
    let names = [
        reference.to_owned(),
        format!("docker.io/{reference}"),
        format!("docker.io/library/{reference}"),
    ];
    listing.lines().find_map(|line| {
        let mut fields = line.split_whitespace();
        let name = fields.next()?;
        let digest = fields.nth(1)?;
        names
            .iter()
            .any(|known| known == name)
            .then(|| digest.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LISTING: &str = "\
REF                                 TYPE                                                 DIGEST      SIZE    PLATFORMS   LABELS
docker.io/five-spot/mutant:dev      application/vnd.docker.distribution.manifest.v2+json sha256:aa   9.1 MiB linux/amd64 io.cri-containerd.image=managed
docker.io/library/busybox:1         application/vnd.oci.image.index.v1+json              sha256:bb   1.0 MiB linux/amd64 -
ghcr.io/finos/5spot-rs:v0.1.0       application/vnd.docker.distribution.manifest.v2+json sha256:cc   9.2 MiB linux/amd64 -
";

    #[rstest::rstest]
    #[case("ghcr.io/finos/5spot-rs:v0.1.0", Some("sha256:cc"))]
    #[case("five-spot/mutant:dev", Some("sha256:aa"))]
    #[case("busybox:1", Some("sha256:bb"))]
    #[case("busybox:2", None)]
    #[case("spot/mutant:dev", None)]
    fn an_image_is_found_by_the_name_that_the_engine_gives_it(
        #[case] reference: &str,
        #[case] digest: Option<&str>,
    ) {
        assert_eq!(digest_in(LISTING, reference).as_deref(), digest);
    }

    #[test]
    fn a_manifest_names_its_configuration_and_an_index_its_manifests() {
        let manifest: Manifest = serde_json::from_str(
            r#"{"schemaVersion": 2, "config": {"digest": "sha256:c", "size": 1}}"#,
        )
        .unwrap();
        assert_eq!(manifest.config.unwrap().digest, "sha256:c");
        let index: Manifest =
            serde_json::from_str(r#"{"manifests": [{"digest": "sha256:m"}]}"#).unwrap();
        assert_eq!(index.manifests[0].digest, "sha256:m");
    }
}

//! An image as one file, that every engine can load.

use std::io;

use jiff::Timestamp;
use oci_client::manifest::{ImageIndexEntry, OCI_IMAGE_INDEX_MEDIA_TYPE, OciImageIndex};
use serde::Serialize;
use serde_json::json;
use tar::{Builder, EntryType};

use super::image::{Image, header};

/// What `docker load` goes by.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest<'a> {
    config: String,
    repo_tags: [&'a str; 1],
    layers: Vec<String>,
}

/// Writes an image as a tar that is an OCI layout and a docker archive at once, as `docker save` writes it.
///
/// The index lists the image under its tag and under its digest, so that an import into containerd
/// (`ctr -n k8s.io images import`) makes both names, and kubelet finds the image by digest without a pull.
pub fn archive(image: &Image, repository: &str, tag: &str) -> io::Result<Vec<u8>> {
    let tagged = format!("{repository}:{tag}");
    let names = [
        (tagged.clone(), tag.to_owned()),
        (
            format!("{repository}@{}", image.digest()),
            image.digest().to_owned(),
        ),
    ];
    let manifests = names.map(|(name, reference)| {
        let annotations = [
            ("io.containerd.image.name".to_owned(), name),
            ("org.opencontainers.image.ref.name".to_owned(), reference),
        ];
        ImageIndexEntry {
            annotations: Some(annotations.into()),
            ..image.index_entry()
        }
    });
    let index = OciImageIndex {
        schema_version: 2,
        media_type: Some(OCI_IMAGE_INDEX_MEDIA_TYPE.to_owned()),
        manifests: manifests.to_vec(),
        artifact_type: None,
        annotations: None,
    };
    let path = |digest: &str| format!("blobs/{}", digest.replace(':', "/"));
    let docker = [DockerManifest {
        config: path(&image.manifest.config.digest),
        repo_tags: [&tagged],
        layers: image
            .manifest
            .layers
            .iter()
            .map(|layer| path(&layer.digest))
            .collect(),
    }];
    let mut builder = Builder::new(Vec::new());
    for folder in ["blobs/", "blobs/sha256/"] {
        let mut header = header(EntryType::Directory, 0o755, 0, Timestamp::UNIX_EPOCH);
        builder.append_data(&mut header, folder, io::empty())?;
    }
    let mut add = |path: &str, content: &[u8]| {
        let mut header = header(
            EntryType::Regular,
            0o644,
            content.len() as u64,
            Timestamp::UNIX_EPOCH,
        );
        builder.append_data(&mut header, path, content)
    };
    for (digest, content) in &image.blobs {
        add(&path(digest), content)?;
    }
    add("index.json", &serde_json::to_vec(&index)?)?;
    add("manifest.json", &serde_json::to_vec(&docker)?)?;
    add(
        "oci-layout",
        &serde_json::to_vec(&json!({"imageLayoutVersion": "1.0.0"}))?,
    )?;
    builder.into_inner()
}

//! An image of one layer, and artifacts about images.

use std::{collections::BTreeMap, fmt::Write as _, io};

use jiff::Timestamp;
use oci_client::manifest::{
    IMAGE_CONFIG_MEDIA_TYPE, IMAGE_LAYER_MEDIA_TYPE, ImageIndexEntry, OCI_IMAGE_MEDIA_TYPE,
    OciDescriptor, OciImageManifest,
};
use serde::Serialize;
use serde_json::{Map, Value};
use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};

/// The configuration of an image. The type of oci-client has maps without an order, which would change the digest from run
/// to run.
#[derive(Serialize)]
struct Configuration {
    created: String,
    architecture: String,
    os: &'static str,
    config: ContainerSettings,
    rootfs: RootFs,
}

#[derive(Serialize)]
struct RootFs {
    r#type: &'static str,
    diff_ids: [String; 1],
}

/// How containers of an image run
/// ([OCI image specification](https://github.com/opencontainers/image-spec/blob/v1.1.1/config.md)).
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct ContainerSettings {
    /// User and group, by number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// Ports that are served, each with an empty object, which the format wants in place of a set.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub exposed_ports: BTreeMap<String, Map<String, Value>>,
    /// Program and first arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub entrypoint: Option<Vec<String>>,
    /// Further arguments.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cmd: Option<Vec<String>>,
    /// Labels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
}

/// A file of an image.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Its path, without a slash at the start.
    pub path: String,
    /// Its content.
    pub content: Vec<u8>,
    /// Whether it is a program.
    pub is_program: bool,
}

/// What an image is made with.
#[derive(Clone, Debug)]
pub struct ImageOptions {
    /// Architecture, in Go's words.
    pub architecture: String,
    /// When it was made: its own age, and that of its files.
    pub created: Timestamp,
    /// How containers of it run.
    pub settings: ContainerSettings,
    /// Annotations of its manifest.
    pub annotations: BTreeMap<String, String>,
}

/// An image or artifact: a manifest, and the content that it refers to.
#[derive(Clone, Debug)]
pub struct Image {
    /// What the manifest is.
    pub descriptor: OciDescriptor,
    /// The manifest.
    pub manifest: OciImageManifest,
    /// All content by its digest, the manifest too.
    pub blobs: BTreeMap<String, Vec<u8>>,
}

impl Image {
    /// Makes an image of these files.
    pub fn new(mut entries: Vec<Entry>, options: ImageOptions) -> io::Result<Self> {
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        let layer = layer(&entries, options.created)?;
        let layer_descriptor = describe(IMAGE_LAYER_MEDIA_TYPE, &layer)?;
        let configuration = serde_json::to_vec(&Configuration {
            created: options.created.to_string(),
            architecture: options.architecture,
            os: "linux",
            config: options.settings,
            rootfs: RootFs {
                r#type: "layers",
                diff_ids: [layer_descriptor.digest.clone()],
            },
        })?;
        let annotations = Some(options.annotations).filter(|annotations| !annotations.is_empty());
        let manifest = OciImageManifest {
            config: describe(IMAGE_CONFIG_MEDIA_TYPE, &configuration)?,
            layers: vec![layer_descriptor],
            annotations,
            ..OciImageManifest::default()
        };
        Self::of(manifest, [configuration, layer])
    }

    fn of(mut manifest: OciImageManifest, contents: [Vec<u8>; 2]) -> io::Result<Self> {
        manifest.media_type = Some(OCI_IMAGE_MEDIA_TYPE.to_owned());
        let text = serde_json::to_vec(&manifest)?;
        let mut descriptor = describe(OCI_IMAGE_MEDIA_TYPE, &text)?;
        descriptor.artifact_type.clone_from(&manifest.artifact_type);
        let contents = contents.into_iter().chain([text]);
        let blobs = contents
            .map(|content| (digest(&content), content))
            .collect();
        Ok(Self {
            descriptor,
            manifest,
            blobs,
        })
    }

    /// The entry of an index that refers to the manifest.
    pub fn index_entry(&self) -> ImageIndexEntry {
        let descriptor = self.descriptor.clone();
        ImageIndexEntry {
            media_type: descriptor.media_type,
            digest: descriptor.digest,
            size: descriptor.size,
            platform: None,
            annotations: None,
            artifact_type: descriptor.artifact_type,
        }
    }

    /// The digest of the manifest, by which the image is named.
    pub fn digest(&self) -> &str {
        &self.descriptor.digest
    }
}

/// Makes an artifact of one file that is about an image, for the referrers API of registries.
pub fn artifact(
    kind: &str,
    content: Vec<u8>,
    created: Timestamp,
    subject: &Image,
) -> io::Result<Image> {
    // The configuration that the specification gives for artifacts that need none.
    let empty = b"{}".to_vec();
    let created = (
        "org.opencontainers.image.created".to_owned(),
        created.to_string(),
    );
    let manifest = OciImageManifest {
        artifact_type: Some(kind.to_owned()),
        config: describe("application/vnd.oci.empty.v1+json", &empty)?,
        layers: vec![describe(kind, &content)?],
        subject: Some(subject.descriptor.clone()),
        annotations: Some([created].into()),
        ..OciImageManifest::default()
    };
    Image::of(manifest, [empty, content])
}

/// The digest of content, with `sha256:`.
pub(super) fn digest(content: &[u8]) -> String {
    let mut text = "sha256:".to_owned();
    for byte in Sha256::digest(content) {
        // Writing to a string does not fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// What refers to this content.
fn describe(media_type: &str, content: &[u8]) -> io::Result<OciDescriptor> {
    Ok(OciDescriptor {
        media_type: media_type.to_owned(),
        digest: digest(content),
        size: i64::try_from(content.len()).map_err(io::Error::other)?,
        ..OciDescriptor::default()
    })
}

/// A tar of the files and their folders, in their order, owned by root and of one age.
fn layer(entries: &[Entry], created: Timestamp) -> io::Result<Vec<u8>> {
    let mut builder = Builder::new(Vec::new());
    let mut folders: Vec<String> = Vec::new();
    for entry in entries {
        let parts: Vec<_> = entry.path.split('/').collect();
        for depth in 1..parts.len() {
            let folder = parts[..depth].join("/") + "/";
            if !folders.contains(&folder) {
                let mut header = header(EntryType::Directory, 0o755, 0, created);
                builder.append_data(&mut header, &folder, io::empty())?;
                folders.push(folder);
            }
        }
        let mode = if entry.is_program { 0o755 } else { 0o644 };
        let mut header = header(
            EntryType::Regular,
            mode,
            entry.content.len() as u64,
            created,
        );
        builder.append_data(&mut header, &entry.path, entry.content.as_slice())?;
    }
    builder.into_inner()
}

pub(super) fn header(kind: EntryType, mode: u32, size: u64, created: Timestamp) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_size(size);
    header.set_mtime(u64::try_from(created.as_second()).unwrap_or(0));
    header
}

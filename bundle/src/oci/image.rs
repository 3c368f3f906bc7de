//! An image of one layer, and artifacts about images.

use std::{collections::BTreeMap, io};

use jiff::Timestamp;
use tar::{Builder, EntryType, Header};

use super::{
    CONFIG, Configuration, ContainerSettings, Descriptor, LAYER, MANIFEST, Manifest, RootFs,
    describe,
};

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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What the manifest is.
    pub descriptor: Descriptor,
    /// The manifest.
    pub manifest: Manifest,
    /// All content by its digest, the manifest too.
    pub blobs: BTreeMap<String, Vec<u8>>,
}

impl Image {
    /// Makes an image of these files.
    pub fn new(mut entries: Vec<Entry>, options: ImageOptions) -> io::Result<Self> {
        entries.sort_by(|one, other| one.path.cmp(&other.path));
        let layer = layer(&entries, options.created)?;
        let layer_descriptor = describe(LAYER, &layer);
        let configuration = Configuration {
            created: Some(options.created.to_string()),
            architecture: options.architecture,
            os: "linux".to_owned(),
            config: options.settings,
            rootfs: RootFs {
                type_: "layers".to_owned(),
                diff_ids: vec![layer_descriptor.digest.clone()],
            },
        };
        let configuration = serde_json::to_vec(&configuration)?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: Some(MANIFEST.to_owned()),
            artifact_type: None,
            config: describe(CONFIG, &configuration),
            layers: vec![layer_descriptor],
            subject: None,
            annotations: options.annotations,
        };
        Self::of(manifest, [configuration, layer])
    }

    fn of(manifest: Manifest, contents: [Vec<u8>; 2]) -> io::Result<Self> {
        let text = serde_json::to_vec(&manifest)?;
        let mut descriptor = describe(MANIFEST, &text);
        descriptor.artifact_type.clone_from(&manifest.artifact_type);
        let contents = contents.into_iter().chain([text]);
        let blobs = contents
            .map(|content| (super::digest(&content), content))
            .collect();
        Ok(Self {
            descriptor,
            manifest,
            blobs,
        })
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
    let manifest = Manifest {
        schema_version: 2,
        media_type: Some(MANIFEST.to_owned()),
        artifact_type: Some(kind.to_owned()),
        config: describe("application/vnd.oci.empty.v1+json", &empty),
        layers: vec![describe(kind, &content)],
        subject: Some(subject.descriptor.clone()),
        annotations: [created].into(),
    };
    Image::of(manifest, [empty, content])
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

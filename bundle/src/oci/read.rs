//! Reads the files and labels of an image from an archive: an OCI layout, or what `docker save` writes.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use serde::{Deserialize, de::DeserializeOwned};
use tar::Archive;

use super::{Configuration, Index, Manifest};
use crate::{bundle::ImageSettings, files::Files};

/// The most that is read of an archive or unpacked from a layer, in bytes: a bundle is far smaller.
const LARGEST: u64 = 256 << 20;

/// An image that was read.
#[derive(Clone, Debug)]
pub struct ReadImage {
    /// The files of all layers.
    pub files: Files,
    /// What it was made with.
    pub settings: ImageSettings,
}

/// An archive can't be read as an image.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", .path.display())]
pub struct ImageError {
    /// The archive.
    pub path: PathBuf,
    /// What it lacks, or what is wrong.
    pub reason: String,
    /// Why.
    #[source]
    pub source: Option<io::Error>,
}

/// What `docker save` of old engines goes by.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DockerManifest {
    config: String,
    layers: Vec<String>,
}

/// Reads an image from an archive. Of several images it is the first.
pub fn read_image(path: &Path) -> Result<ReadImage, ImageError> {
    let error = |reason: &str, source| ImageError {
        path: path.to_owned(),
        reason: reason.to_owned(),
        source,
    };
    let bytes = fs::read(path).map_err(|source| error("it can't be read", Some(source)))?;
    let entries =
        unpack(&bytes).map_err(|source| error("it is no tar archive of an image", Some(source)))?;
    read(&entries).map_err(|reason| error(&reason, None))
}

fn read(entries: &BTreeMap<String, Vec<u8>>) -> Result<ReadImage, String> {
    let get = |name: &str| entries.get(name).ok_or_else(|| format!("it has no {name}"));
    let (configuration, layers) = if entries.contains_key("index.json") {
        let manifest = manifest(entries, "index.json")?;
        let layers = manifest
            .layers
            .iter()
            .map(|layer| blob(&layer.digest))
            .collect();
        (blob(&manifest.config.digest), layers)
    } else {
        let manifests: Vec<DockerManifest> = json(get("manifest.json")?, "manifest.json")?;
        let first = manifests
            .into_iter()
            .next()
            .ok_or("manifest.json lists no image")?;
        (first.config, first.layers)
    };
    let configuration: Configuration = json(get(&configuration)?, &configuration)?;
    let mut files = Files::default();
    for name in layers {
        let layer = unpack(get(&name)?)
            .map_err(|error| format!("layer {name} can't be unpacked ({error})"))?;
        apply(layer, &mut files);
    }
    Ok(ReadImage {
        files,
        settings: settings(&configuration),
    })
}

/// Where content is in an OCI layout.
fn blob(digest: &str) -> String {
    format!("blobs/{}", digest.replace(':', "/"))
}

fn json<T: DeserializeOwned>(content: &[u8], name: &str) -> Result<T, String> {
    serde_json::from_slice(content)
        .map_err(|error| format!("{name} is not what it should be ({error})"))
}

/// The manifest that an index leads to, through further indexes if need be.
fn manifest(entries: &BTreeMap<String, Vec<u8>>, index: &str) -> Result<Manifest, String> {
    let mut name = index.to_owned();
    // Two levels are usual: the layout's own index, and one of several architectures.
    for _ in 0..4 {
        let content = entries
            .get(&name)
            .ok_or_else(|| format!("it has no {name}"))?;
        if let Ok(manifest) = serde_json::from_slice::<Manifest>(content) {
            return Ok(manifest);
        }
        let index: Index = json(content, &name)?;
        let first = index
            .manifests
            .first()
            .ok_or_else(|| format!("{name} lists no image"))?;
        name = blob(&first.digest);
    }
    Err(format!("{index} leads to no manifest"))
}

/// The files of a tar, which may be compressed.
fn unpack(content: &[u8]) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let is_gzip = content.starts_with(&[0x1f, 0x8b]);
    let reader: Box<dyn Read> = if is_gzip {
        // Parallel compressors write several members, one after the other.
        Box::new(MultiGzDecoder::new(content).take(LARGEST))
    } else {
        Box::new(content)
    };
    let mut files = BTreeMap::new();
    for entry in Archive::new(reader).entries()? {
        let mut entry = entry?;
        if entry.header().entry_type().is_file() {
            let path = entry
                .path()?
                .to_string_lossy()
                .trim_start_matches("./")
                .to_owned();
            let mut file = Vec::new();
            entry.read_to_end(&mut file)?;
            files.insert(path.trim_start_matches('/').to_owned(), file);
        }
    }
    Ok(files)
}

/// Puts a layer over those below it.
fn apply(layer: BTreeMap<String, Vec<u8>>, files: &mut Files) {
    for (path, content) in layer {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
        match name.strip_prefix(".wh.") {
            Some(gone) => {
                files.remove(format!("{folder}/{gone}").trim_start_matches('/'));
            }
            None => files.insert(path, content),
        }
    }
}

fn settings(configuration: &Configuration) -> ImageSettings {
    const FILE: &str = "image configuration";
    let container = &configuration.config;
    let labels = container.labels.iter().flatten();
    let list = |list: &Option<Vec<String>>| list.clone().unwrap_or_default().join(" ");
    // Builders write the root as the working directory where none is asked for.
    let folder = container.working_dir.clone().filter(|folder| folder != "/");
    let said = [
        ("WORKDIR", folder.unwrap_or_default()),
        ("USER", container.user.clone().unwrap_or_default()),
        ("ENTRYPOINT", list(&container.entrypoint)),
        ("CMD", list(&container.cmd)),
    ];
    ImageSettings {
        file: FILE.to_owned(),
        labels: labels
            .map(|(key, value)| (key.clone(), (value.clone(), 1)))
            .collect(),
        superfluous: said
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(instruction, value)| (format!("{instruction} {value}"), 1))
            .collect(),
    }
}

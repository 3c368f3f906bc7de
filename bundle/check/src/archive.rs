//! Reads the files and settings of an image from an archive: an OCI layout, or what `docker save` writes.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;
use serde_json::Value;
use tar::Archive;

use crate::{files::Files, image::ImageSettings};

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
    /// The cause, where reading failed.
    #[source]
    pub source: Option<io::Error>,
}

/// Reads an image from an archive. Of several images it is the first.
pub fn read_image(path: &Path) -> Result<ReadImage, ImageError> {
    let error = |reason: &str, source| ImageError {
        path: path.to_owned(),
        reason: reason.to_owned(),
        source,
    };
    let bytes = fs::read(path).map_err(|source| error("it can't be read", Some(source)))?;
    let entries = unpack(&bytes)
        .map_err(|source| error("it is not a tar archive of an image", Some(source)))?;
    read(&entries).map_err(|reason| error(&reason, None))
}

/// What an archive holds, by path.
type Entries = BTreeMap<String, Vec<u8>>;

fn read(entries: &Entries) -> Result<ReadImage, String> {
    let (configuration, layers) = if entries.contains_key("index.json") {
        let manifest = manifest(entries)?;
        let layers = list(&manifest, "/layers").map(|layer| blob(layer, "/digest"));
        (blob(&manifest, "/config/digest")?, layers.collect())
    } else {
        let name = "manifest.json";
        let manifests = json(entries, name)?;
        let first = manifests
            .get(0)
            .ok_or_else(|| format!("{name} lists no image"))?;
        let text = |value: &Value| {
            let text = value.as_str().map(str::to_owned);
            text.ok_or_else(|| format!("{name} names no file"))
        };
        let layers = list(first, "/Layers").map(text);
        (text(&first["Config"])?, layers.collect())
    };
    let layers: Result<Vec<String>, String> = layers;
    let configuration = json(entries, &configuration)?;
    let mut files = Files::default();
    for name in layers? {
        let layer = unpack(get(entries, &name)?)
            .map_err(|error| format!("layer {name} can't be unpacked ({error})"))?;
        apply(layer, &mut files);
    }
    Ok(ReadImage {
        files,
        settings: ImageSettings::of_configuration(&configuration),
    })
}

fn get<'a>(entries: &'a Entries, name: &str) -> Result<&'a [u8], String> {
    let content = entries.get(name).map(Vec::as_slice);
    content.ok_or_else(|| format!("it has no {name}"))
}

fn json(entries: &Entries, name: &str) -> Result<Value, String> {
    serde_json::from_slice(get(entries, name)?)
        .map_err(|error| format!("{name} is not valid JSON ({error})"))
}

fn list<'a>(value: &'a Value, pointer: &str) -> impl Iterator<Item = &'a Value> {
    let list = value.pointer(pointer).and_then(Value::as_array);
    list.into_iter().flatten()
}

/// Where the content of a digest is in an OCI layout.
fn blob(value: &Value, pointer: &str) -> Result<String, String> {
    let digest = value.pointer(pointer).and_then(Value::as_str);
    let digest = digest.ok_or_else(|| format!("a manifest has no digest at {pointer}"))?;
    Ok(format!("blobs/{}", digest.replace(':', "/")))
}

/// The manifest that the index of a layout leads to, through further indexes if need be.
fn manifest(entries: &Entries) -> Result<Value, String> {
    let mut name = "index.json".to_owned();
    // Two levels are usual: the layout's own index, and one of several architectures.
    for _ in 0..4 {
        let found = json(entries, &name)?;
        if found.get("config").is_some() {
            return Ok(found);
        }
        let first = list(&found, "/manifests").next();
        let first = first.ok_or_else(|| format!("{name} lists no image"))?;
        name = blob(first, "/digest")?;
    }
    Err("index.json leads to no manifest".to_owned())
}

/// The files of a tar, which may be compressed.
fn unpack(content: &[u8]) -> io::Result<Entries> {
    let is_gzip = content.starts_with(&[0x1f, 0x8b]);
    let reader: Box<dyn Read> = if is_gzip {
        // Parallel compressors write several members, one after the other.
        Box::new(MultiGzDecoder::new(content).take(LARGEST))
    } else {
        Box::new(content)
    };
    let mut files = Entries::new();
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
fn apply(layer: Entries, files: &mut Files) {
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

#[cfg(test)]
mod tests;

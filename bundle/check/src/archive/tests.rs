//! Images are read in both layouts, compressed or not.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use serde_json::json;

use super::*;

fn tar(files: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (path, content) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        builder
            .append_data(&mut header, path, content.as_slice())
            .unwrap();
    }
    builder.into_inner().unwrap()
}

/// What `docker save` of old engines writes: a lower layer with two files, and one that takes the second away.
fn saved() -> Vec<u8> {
    let manifest = json!([{"Config": "c.json", "Layers": ["1.tar", "2.tar"]}]);
    let lower = tar(&[("a/x", b"1".to_vec()), ("a/y", b"2".to_vec())]);
    tar(&[
        ("manifest.json", manifest.to_string().into()),
        (
            "c.json",
            json!({"config": {"User": "1"}}).to_string().into(),
        ),
        ("1.tar", lower),
        (
            "2.tar",
            tar(&[("a/.wh.y", Vec::new()), ("b", b"3".to_vec())]),
        ),
    ])
}

/// An OCI layout whose index leads to the manifest through a second index.
fn layout() -> Vec<u8> {
    let manifest = json!({"config": {"digest": "d:c"}, "layers": [{"digest": "d:l"}]});
    let index = |to: &str| json!({"manifests": [{"digest": to}]}).to_string().into();
    tar(&[
        ("index.json", index("d:i")),
        ("blobs/d/i", index("d:m")),
        ("blobs/d/m", manifest.to_string().into()),
        (
            "blobs/d/c",
            json!({"config": {"User": "1"}}).to_string().into(),
        ),
        (
            "blobs/d/l",
            gzip(&tar(&[("a/x", b"1".to_vec()), ("b", b"3".to_vec())])),
        ),
    ])
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

fn read_back(bytes: &[u8]) -> Result<ReadImage, ImageError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    read_image(file.path())
}

#[test]
fn the_files_of_all_layers_are_read_from_both_layouts_compressed_or_not() {
    let saved = saved();
    // As parallel compressors write it, piece by piece.
    let pieces = saved.split_at(saved.len() / 2);
    let members = [gzip(pieces.0), gzip(pieces.1)].concat();
    for archive in [gzip(&saved), members, saved, layout()] {
        let found = read_back(&archive).unwrap();
        let files: Vec<_> = found.files.iter().collect();
        assert_eq!(files, [("a/x", &b"1"[..]), ("b", &b"3"[..])]);
        assert_eq!(found.settings.superfluous, [("USER 1".to_owned(), 1)]);
    }
}

#[test]
fn what_is_not_an_image_is_refused_with_the_reason() {
    let refused = |bytes: &[u8]| read_back(bytes).unwrap_err().reason;
    assert_eq!(
        refused(b"no archive at all"),
        "it is not a tar archive of an image"
    );
    assert_eq!(refused(&tar(&[])), "it has no manifest.json");
    let empty = tar(&[("index.json", b"{}".to_vec())]);
    assert_eq!(refused(&empty), "index.json lists no image");
    let error = read_image(Path::new("/nowhere")).unwrap_err();
    assert_eq!(error.to_string(), "/nowhere: it can't be read");
}

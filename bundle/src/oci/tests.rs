//! The same content is the same image; what is written can be read.

use std::{collections::BTreeMap, io::Write};

use bundle_check::archive::read_image;
use jiff::Timestamp;

use super::{image::digest, *};

fn entry(path: &str, content: &str) -> Entry {
    Entry {
        path: path.to_owned(),
        content: content.into(),
        is_program: false,
    }
}

fn owned((key, value): (&str, &str)) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn options() -> ImageOptions {
    ImageOptions {
        architecture: "amd64".to_owned(),
        created: Timestamp::from_second(1_700_000_000).unwrap(),
        settings: ContainerSettings {
            labels: Some([("b", "2"), ("a", "1")].map(owned).into()),
            ..ContainerSettings::default()
        },
        annotations: BTreeMap::new(),
    }
}

fn image() -> Image {
    image_with(options())
}

fn image_with(options: ImageOptions) -> Image {
    let entries = vec![entry("manifests/b", "2"), entry("manifests/a", "1")];
    Image::new(entries, options).unwrap()
}

#[test]
fn the_same_content_in_another_order_is_the_same_image_to_the_bit() {
    let other = Image::new(
        vec![entry("manifests/a", "1"), entry("manifests/b", "2")],
        options(),
    )
    .unwrap();
    assert_eq!(image().digest(), other.digest());
    let archives = [image(), other].map(|image| archive(&image, "r.example/x", "v1").unwrap());
    assert!(archives[0] == archives[1]);
}

#[test]
fn the_digest_is_pinned_so_that_no_new_version_of_a_library_changes_it_unseen() {
    assert_eq!(
        image().digest(),
        "sha256:e74e7f0ea17ff4950a1b707bacbb148dbca5218fbaffd8c3f2158a38ac3519df"
    );
}

#[test]
fn other_content_age_or_label_is_another_image() {
    let other = Image::new(vec![entry("manifests/a", "2")], options()).unwrap();
    assert_ne!(image().digest(), other.digest());
    let mut older = options();
    older.created = Timestamp::UNIX_EPOCH;
    let older = image_with(older);
    assert_ne!(image().digest(), older.digest());
}

#[test]
fn every_reference_in_an_image_is_to_content_of_that_digest_and_size() {
    let image = image();
    let descriptors = image
        .manifest
        .layers
        .iter()
        .chain([&image.manifest.config, &image.descriptor]);
    for descriptor in descriptors {
        let content = &image.blobs[&descriptor.digest];
        assert_eq!(digest(content), descriptor.digest);
        assert_eq!(i64::try_from(content.len()).unwrap(), descriptor.size);
    }
    assert_eq!(image.blobs.len(), 3);
}

#[test]
fn what_is_written_is_what_is_read() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&archive(&image(), "r.example/x", "v1").unwrap())
        .unwrap();
    let found = read_image(file.path()).unwrap();
    let files: Vec<_> = found.files.iter().collect();
    assert_eq!(
        files,
        [("manifests/a", &b"1"[..]), ("manifests/b", &b"2"[..])]
    );
    let labels: Vec<_> = found
        .settings
        .labels
        .iter()
        .map(|(key, (value, _))| (key.as_str(), value.as_str()))
        .collect();
    assert_eq!(labels, [("a", "1"), ("b", "2")]);
    assert_eq!(found.settings.superfluous, []);
}

#[test]
fn an_archive_names_the_image_by_tag_and_by_digest_and_says_so_to_docker() {
    let image = image();
    let bytes = archive(&image, "r.example/x", "v1").unwrap();
    let mut found = BTreeMap::new();
    for entry in tar::Archive::new(bytes.as_slice()).entries().unwrap() {
        let mut entry = entry.unwrap();
        let mut text = Vec::new();
        std::io::Read::read_to_end(&mut entry, &mut text).unwrap();
        found.insert(entry.path().unwrap().to_string_lossy().into_owned(), text);
    }
    let index: oci_client::manifest::OciImageIndex =
        serde_json::from_slice(&found["index.json"]).unwrap();
    let names: Vec<_> = index
        .manifests
        .iter()
        .map(|manifest| {
            (
                manifest.annotations.as_ref().unwrap()["io.containerd.image.name"].as_str(),
                manifest.digest.as_str(),
            )
        })
        .collect();
    let by_digest = format!("r.example/x@{}", image.digest());
    assert_eq!(
        names,
        [
            ("r.example/x:v1", image.digest()),
            (by_digest.as_str(), image.digest())
        ]
    );
    let docker: serde_json::Value = serde_json::from_slice(&found["manifest.json"]).unwrap();
    assert_eq!(docker[0]["RepoTags"][0], "r.example/x:v1");
    assert!(found.contains_key(docker[0]["Config"].as_str().unwrap()));
    assert!(found.contains_key(docker[0]["Layers"][0].as_str().unwrap()));
}

#[test]
fn an_artifact_refers_to_its_image_by_digest() {
    let image = image();
    let sbom = artifact(
        "application/vnd.cyclonedx+json",
        b"{}x".to_vec(),
        options().created,
        &image,
    )
    .unwrap();
    assert_eq!(
        sbom.manifest.subject.as_ref().unwrap().digest,
        image.digest()
    );
    assert_eq!(
        sbom.descriptor.artifact_type.as_deref(),
        Some("application/vnd.cyclonedx+json")
    );
    assert_ne!(sbom.digest(), image.digest());
}

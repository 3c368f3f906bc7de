//! The catalog is what is committed, and offers an upgrade from the release before.

use std::path::PathBuf;

use super::*;
use crate::{document::Document, files::Files};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn sources() -> Sources {
    Sources::read(&folder().join("..")).unwrap()
}

fn made() -> (Vec<Release>, Release, String) {
    let sources = sources();
    let this = Imaged::this(&sources).unwrap().release;
    let kept = releases(&folder().join(RELEASES)).unwrap();
    let text = catalog(&sources, &kept, &this).unwrap();
    (kept, this, text)
}

fn documents(text: &str) -> Vec<Document> {
    Document::parse("catalog.yaml", text.as_bytes()).unwrap()
}

#[test]
fn the_committed_catalog_is_the_one_that_is_made() {
    let committed = std::fs::read_to_string(folder().join(CATALOG)).unwrap();
    assert!(
        committed == made().2,
        "`just generate` writes bundle/catalog anew"
    );
}

#[test]
fn both_channels_lead_from_the_release_before_to_this_version() {
    let (kept, this, text) = made();
    let before = kept.last().unwrap();
    assert!(before.version < this.version);
    let documents = documents(&text);
    let entries = |channel: &str| {
        let document = documents
            .iter()
            .find(|document| {
                document.text("/schema") == Some("olm.channel")
                    && document.text("/name") == Some(channel)
            })
            .unwrap();
        document.at("/entries").unwrap().clone()
    };
    let head =
        serde_json::json!({"name": this.name().unwrap(), "replaces": before.name().unwrap()});
    assert_eq!(entries("stable"), serde_json::json!([head]));
    assert_eq!(
        entries("candidate"),
        serde_json::json!([{"name": before.name().unwrap()}, head])
    );
    assert_eq!(documents[0].text("/defaultChannel"), Some("stable"));
}

#[test]
fn every_version_is_named_by_the_digest_of_its_image() {
    let (kept, this, text) = made();
    let documents = documents(&text);
    let images: Vec<_> = documents
        .iter()
        .filter_map(|document| document.text("/image"))
        .collect();
    let wanted: Vec<_> = kept
        .iter()
        .chain([&this])
        .map(|release| release.image.to_string())
        .collect();
    assert_eq!(images, wanted);
    let image = Imaged::this(&sources()).unwrap().image;
    assert_eq!(this.image.digest(), image.digest());
}

#[test]
fn a_frozen_release_is_read_as_it_was() {
    let (_, this, _) = made();
    let place = tempfile::tempdir().unwrap();
    frozen(&this).write(place.path(), &[]).unwrap();
    let read = releases(&place.path().join(RELEASES)).unwrap();
    assert_eq!(read.len(), 1);
    assert_eq!(
        (&read[0].version, &read[0].image),
        (&this.version, &this.image)
    );
    assert_eq!(read[0].name().unwrap(), this.name().unwrap());
}

#[test]
fn a_release_that_does_not_name_its_image_is_refused_with_the_file() {
    let place = tempfile::tempdir().unwrap();
    let mut files = Files::default();
    files.insert("1.0.0/image", "ghcr.io/x/y:v1");
    files.write(place.path(), &[]).unwrap();
    let error = releases(place.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("/1.0.0/image: must hold the reference of the bundle's image by digest"),
        "{error}"
    );
}

#[test]
fn a_folder_that_is_no_version_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let mut files = Files::default();
    files.insert("latest/image", "");
    files.write(place.path(), &[]).unwrap();
    let error = releases(place.path()).unwrap_err().to_string();
    assert!(
        error.ends_with("/latest: the folder's name must be a semantic version"),
        "{error}"
    );
}

#[test]
fn what_was_frozen_of_this_version_gives_way_to_it() {
    let (kept, this, text) = made();
    let doubled = [kept, vec![this.clone()]].concat();
    assert!(catalog(&sources(), &doubled, &this).unwrap() == text);
}

#[test]
fn a_kept_release_refers_to_the_image_of_its_files() {
    for release in made().0 {
        let csv = release.csv().unwrap();
        let operator = csv.text("/metadata/annotations/containerImage").unwrap();
        let imaged = release.with_operator(&operator.parse().unwrap()).unwrap();
        assert_eq!(imaged.release.image, release.image);
    }
}

#[test]
fn a_channel_that_offers_nothing_is_left_out_and_is_not_the_default() {
    let (kept, _, _) = made();
    let documents = documents(&catalog(&sources(), &[], &kept[0]).unwrap());
    let channels: Vec<_> = documents
        .iter()
        .filter(|document| document.text("/schema") == Some("olm.channel"))
        .map(|document| document.text("/name").unwrap())
        .collect();
    assert_eq!(channels, ["candidate"]);
    assert_eq!(documents[0].text("/defaultChannel"), Some("candidate"));
}

//! The catalog is what is committed, and offers an upgrade from the release before.

use std::path::PathBuf;

use super::{
    release::{RELEASES, releases},
    *,
};
use bundle_check::{document::Document, files::Files};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn root() -> PathBuf {
    folder().join("..")
}

fn sources() -> Sources {
    Sources::read(&root()).unwrap()
}

fn made() -> (Vec<Release>, Release, String) {
    let sources = sources();
    let this = Imaged::this(&sources).unwrap().release;
    let before = earlier(&root(), &this.version).unwrap();
    let text = catalog(&sources, &before, &this).unwrap();
    (before, this, text)
}

fn documents(text: &str) -> Vec<Document> {
    Document::parse("catalog.yaml", text.as_bytes()).unwrap()
}

/// The channels, each with the number of its entries.
fn channels(documents: &[Document]) -> Vec<(&str, usize)> {
    let told = |document: &'_ Document| document.text("/schema") == Some("olm.channel");
    let mut channels = Vec::new();
    for channel in documents.iter().filter(|document| told(document)) {
        channels.push((
            channel.text("/name").unwrap(),
            channel.list("/entries").len(),
        ));
    }
    channels
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
fn this_version_is_the_head_of_both_channels_and_only_candidate_offers_candidates() {
    let (before, this, text) = made();
    let documents = documents(&text);
    let all: Vec<_> = before.iter().chain([&this]).collect();
    for (channel, offers_candidates) in [("stable", false), ("candidate", true)] {
        let document = documents
            .iter()
            .find(|document| {
                document.text("/schema") == Some("olm.channel")
                    && document.text("/name") == Some(channel)
            })
            .unwrap();
        let names = |entry: &Value| entry["name"].as_str().unwrap().to_owned();
        let offered: Vec<_> = document.list("/entries").iter().map(names).collect();
        let wanted: Vec<_> = all
            .iter()
            .filter(|release| offers_candidates || release.version.pre.is_empty())
            .map(|release| format!("5-spot.v{}", release.version))
            .collect();
        assert_eq!(offered, wanted, "{channel}");
        let head = document.list("/entries").last().unwrap();
        let replaced = sources().base.release.replaces.unwrap();
        assert_eq!(head["replaces"], format!("5-spot.v{replaced}"), "{channel}");
    }
    assert_eq!(documents[0].text("/defaultChannel"), Some("stable"));
}

#[test]
fn the_release_that_this_version_replaces_is_kept_and_is_the_newest_of_those_before_it() {
    let (before, this, _) = made();
    let versions: Vec<_> = before.iter().map(|release| &release.version).collect();
    assert!(versions.iter().all(|version| **version < this.version));
    assert_eq!(
        versions.last().copied(),
        sources().base.release.replaces.as_ref()
    );
}

#[test]
fn every_version_is_named_by_the_digest_of_its_image() {
    let (before, this, text) = made();
    let documents = documents(&text);
    let images: Vec<_> = documents
        .iter()
        .filter_map(|document| document.text("/image"))
        .collect();
    let wanted: Vec<_> = before
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
    let (before, this, _) = made();
    let place = tempfile::tempdir().unwrap();
    for release in before.iter().chain([&this]) {
        let folder = place.path().join("bundle");
        frozen(release).write(&folder, &[]).unwrap();
    }
    let versions = |releases: &[Release]| -> Vec<_> {
        let versions = releases.iter().map(|release| release.version.clone());
        versions.collect()
    };
    let found = earlier(place.path(), &this.version).unwrap();
    assert_eq!(versions(&found), versions(&before));
    // And is one of those before it for the next version.
    let next = semver::Version::new(this.version.major + 1, 0, 0);
    let found = earlier(place.path(), &next).unwrap();
    assert_eq!(versions(&found), versions(&[before, vec![this]].concat()));
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
fn without_a_release_there_are_candidates_alone() {
    let (before, _, _) = made();
    let candidate = before
        .iter()
        .find(|release| !release.version.pre.is_empty())
        .unwrap();
    let documents = documents(&catalog(&sources(), &[], candidate).unwrap());
    assert_eq!(channels(&documents), [("candidate", 1)]);
    assert_eq!(documents[0].text("/defaultChannel"), Some("candidate"));
}

#[test]
fn a_later_candidate_leaves_the_channel_of_releases_as_it_was_and_the_default() {
    let (mut before, this, _) = made();
    let candidate = before.last().unwrap().clone();
    before.push(this);
    let documents = documents(&catalog(&sources(), &before, &candidate).unwrap());
    assert_eq!(channels(&documents), [("stable", 1), ("candidate", 3)]);
    assert_eq!(documents[0].text("/defaultChannel"), Some("stable"));
}

//! Two builds give the same images, and the three belong together.

use std::io::Write;

use super::*;
use crate::{bundle::Bundle, files::Files};

/// A repository with what the bundle is derived from, and a binary.
fn repository() -> (tempfile::TempDir, PathBuf) {
    let place = tempfile::tempdir().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    for folder in ["deploy", "bundle/base", "bundle/releases"] {
        Files::read(&root.join(folder))
            .unwrap()
            .write(&place.path().join(folder), &[])
            .unwrap();
    }
    let binary = place.path().join("five-spot");
    fs::File::create(&binary)
        .unwrap()
        .write_all(b"a binary")
        .unwrap();
    (place, binary)
}

/// In place of bills of materials, which need the workspace and not only what the bundle is derived from.
fn no_boms() -> Vec<Vec<u8>> {
    vec![Vec::new(); 3]
}

#[test]
fn every_image_has_a_bill_of_materials_that_is_attached_to_it_and_to_no_other() {
    let (place, binary) = repository();
    pin(place.path(), &binary).unwrap();
    let images = all(place.path(), &binary).unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let boms = boms(&root, &images).unwrap();
    let names: Vec<_> = boms
        .iter()
        .map(|bom| {
            let bom: serde_json::Value = serde_json::from_slice(bom).unwrap();
            bom["metadata"]["component"]["name"]
                .as_str()
                .unwrap()
                .to_owned()
        })
        .collect();
    assert_eq!(names, ["five-spot", "5-spot-bundle", "5-spot-catalog"]);
    for (named, bom) in images.iter().zip(boms) {
        let artifact = bom_artifact(bom, &root, &named.image).unwrap();
        assert_eq!(
            artifact.manifest.subject.unwrap().digest,
            named.image.digest()
        );
    }
}

#[test]
fn two_builds_in_two_places_give_the_same_archives() {
    let archives = [(), ()].map(|()| {
        let (place, binary) = repository();
        pin(place.path(), &binary).unwrap();
        let images = all(place.path(), &binary).unwrap();
        let paths = write(&images, &no_boms(), &place.path().join("images")).unwrap();
        paths
            .iter()
            .map(|path| fs::read(path).unwrap())
            .collect::<Vec<_>>()
    });
    assert_eq!(archives[0].len(), 3);
    assert!(archives[0] == archives[1]);
}

#[test]
fn a_binary_that_the_bundle_does_not_name_is_refused() {
    let (place, binary) = repository();
    let error = all(place.path(), &binary).unwrap_err().to_string();
    assert!(
        error.contains("has operatorImage.digest sha256:"),
        "{error}"
    );
    assert!(error.contains("must name the image"), "{error}");
}

#[test]
fn a_pinned_image_is_the_one_that_the_bundle_names_and_the_comments_stay() {
    let (place, binary) = repository();
    let before = fs::read_to_string(place.path().join("bundle/base/release.yaml")).unwrap();
    let digest = pin(place.path(), &binary).unwrap();
    let sources = Sources::read(place.path()).unwrap();
    assert_eq!(sources.base.release.operator_image.digest, digest);
    let after = fs::read_to_string(place.path().join("bundle/base/release.yaml")).unwrap();
    assert_eq!(before.lines().count(), after.lines().count());
    assert_eq!(before.matches('#').count(), after.matches('#').count());
}

#[test]
fn the_archive_of_the_bundle_is_a_bundle_whose_labels_are_its_annotations() {
    let (place, binary) = repository();
    pin(place.path(), &binary).unwrap();
    let images = all(place.path(), &binary).unwrap();
    let paths = write(&images, &no_boms(), &place.path().join("images")).unwrap();
    let bundle = Bundle::read(&paths[1]).unwrap();
    let report = crate::check::check(&bundle, None, None);
    assert_eq!(report.findings, []);
    assert_eq!(bundle.image.unwrap().file, "image configuration");
}

#[test]
fn the_catalog_names_the_bundle_and_the_bundle_the_operator_by_digest() {
    let (place, binary) = repository();
    pin(place.path(), &binary).unwrap();
    let images = all(place.path(), &binary).unwrap();
    let whats: Vec<_> = images
        .iter()
        .map(|named| (named.what, named.tag.as_str()))
        .collect();
    let tag = concat!("v", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        whats,
        [("operator", tag), ("bundle", tag), ("catalog", tag)]
    );
    let text = |named: &Named| {
        let layer = &named.image.manifest.layers[0].digest;
        String::from_utf8_lossy(&named.image.blobs[layer]).into_owned()
    };
    let reference = |named: &Named| format!("{}@{}", named.repository, named.image.digest());
    assert!(text(&images[1]).contains(&reference(&images[0])));
    assert!(text(&images[2]).contains(&reference(&images[1])));
}

#[test]
fn a_binary_that_is_not_there_is_named() {
    let (place, _) = repository();
    let error = pin(place.path(), Path::new("/nowhere/five-spot")).unwrap_err();
    assert_eq!(error.to_string(), "failed to read /nowhere/five-spot");
}

//! Two builds give the same images, and the three belong together.

use bundle_check::{bundle::Bundle, document::Document, files::Files};

use super::*;
use crate::repository::pin;

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
    fs::write(&binary, program(AMD64)).unwrap();
    (place, binary)
}

/// A repository that names the image of its binary, and its images.
fn pinned() -> (tempfile::TempDir, Vec<Named>) {
    let (place, binary) = repository();
    pin(place.path(), &binary).unwrap();
    let images = all(place.path(), &binary).unwrap();
    (place, images)
}

/// The numbers of architectures in the header of a program.
const AMD64: u8 = 62;
const ARM64: u8 = 183;

/// As much of a program as says what it is built for.
fn program(machine: u8) -> Vec<u8> {
    let mut program = b"\x7fELF\x02\x01\x01".to_vec();
    program.resize(18, 0);
    program.extend([machine, 0]);
    program
}

#[test]
fn a_binary_of_another_architecture_than_the_image_says_is_refused() {
    let (place, binary) = repository();
    fs::write(&binary, program(ARM64)).unwrap();
    for error in [
        pin(place.path(), &binary).unwrap_err(),
        as_built(place.path(), &binary).unwrap_err(),
    ] {
        let error = error.to_string();
        assert!(
            error.contains("five-spot is built for arm64, and the image says amd64"),
            "{error}"
        );
    }
    let release = place.path().join("bundle/base/release.yaml");
    let text = fs::read_to_string(&release).unwrap();
    let text = text.replace("architectures: [amd64]", "architectures: [arm64]");
    fs::write(&release, text).unwrap();
    pin(place.path(), &binary).unwrap();
}

#[test]
fn a_binary_that_is_no_program_is_refused() {
    let (place, binary) = repository();
    fs::write(&binary, "#!/bin/sh").unwrap();
    let error = pin(place.path(), &binary).unwrap_err().to_string();
    assert!(
        error.ends_with("five-spot: must be an ELF file, as the operator is on Linux"),
        "{error}"
    );
}

#[test]
fn every_image_has_a_bill_of_materials_that_is_attached_to_it_and_to_no_other() {
    let (_place, images) = pinned();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let boms = boms(&root, &images).unwrap();
    let name = |bom: &Vec<u8>| {
        let bom: serde_json::Value = serde_json::from_slice(bom).unwrap();
        bom["metadata"]["component"]["name"].clone()
    };
    let names: Vec<_> = boms.iter().map(name).collect();
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
        let (place, images) = pinned();
        let paths = write(&images, &place.path().join("images")).unwrap();
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
    let (place, images) = pinned();
    let paths = write(&images, &place.path().join("images")).unwrap();
    let bundle = Bundle::read(&paths[1]).unwrap();
    let report = bundle_check::check::check(&bundle, None, None);
    assert_eq!(report.findings, []);
    assert_eq!(bundle.image.unwrap().file, "image configuration");
}

#[test]
fn the_catalog_names_the_bundle_and_the_bundle_the_operator_by_digest() {
    let (_place, images) = pinned();
    let whats: Vec<_> = images
        .iter()
        .map(|named| (named.what.as_str(), named.tag.as_str()))
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
fn as_built_every_release_names_the_operator_of_the_binary_and_upgrades_to_the_next() {
    let (place, binary) = repository();
    let images = as_built(place.path(), &binary).unwrap();
    assert_eq!(whats(&images), as_built_whats(place.path()));
    let paths = write(&images, &place.path().join("images")).unwrap();
    let operator = &images[0];
    let reference = format!("{}@{}", operator.repository, operator.image.digest());
    let bundles = images
        .iter()
        .zip(&paths)
        .filter(|(named, _)| named.what.starts_with("bundle"));
    for (_, path) in bundles {
        let bundle = Bundle::read(path).unwrap();
        assert_eq!(bundle_check::check::check(&bundle, None, None).findings, []);
        let text = bundle
            .files
            .get("manifests/5-spot.clusterserviceversion.yaml");
        let text = std::str::from_utf8(text.unwrap()).unwrap();
        assert!(text.contains(&reference), "{}", path.display());
    }
    let offered = |named: &Named| {
        let layer = &named.image.manifest.layers[0].digest;
        let mut archive = tar::Archive::new(named.image.blobs[layer].as_slice());
        let mut text = Vec::new();
        let mut entry = archive.entries().unwrap().nth(2).unwrap().unwrap();
        std::io::Read::read_to_end(&mut entry, &mut text).unwrap();
        let documents = Document::parse("catalog.yaml", &text).unwrap();
        let images = documents
            .iter()
            .filter_map(|document| document.text("/image"));
        images.map(str::to_owned).collect::<Vec<_>>()
    };
    // Oldest first, with this version at the end: each catalog offers its bundle and those before.
    let pairs: Vec<_> = images[3..].chunks(2).chain([&images[1..3]]).collect();
    let mut known = Vec::new();
    for pair in pairs {
        let [bundle, catalog] = pair else {
            panic!("{pair:?}")
        };
        known.push(format!("{}@{}", bundle.repository, bundle.image.digest()));
        assert_eq!(offered(catalog), known, "{}", catalog.what);
    }
}

fn whats(images: &[Named]) -> Vec<String> {
    images.iter().map(|named| named.what.clone()).collect()
}

/// What [`as_built`] gives for the releases that a repository keeps.
fn as_built_whats(root: &Path) -> Vec<String> {
    let this = Sources::read(root).unwrap().version;
    let earlier = catalog::earlier(root, &this).unwrap();
    let of_earlier = earlier.iter().flat_map(|release| {
        ["bundle", "catalog"].map(|what| format!("{what}-{}", release.version))
    });
    let of_this = ["operator", "bundle", "catalog"].map(str::to_owned);
    of_this.into_iter().chain(of_earlier).collect()
}

#[test]
fn a_version_that_is_frozen_already_is_written_once() {
    let (place, binary) = repository();
    let before = as_built(place.path(), &binary).unwrap();
    assert!(before.len() > 3, "{:?}", whats(&before));
    let this = Imaged::this(&Sources::read(place.path()).unwrap()).unwrap();
    catalog::frozen(&this.release)
        .write(&place.path().join("bundle"), &[])
        .unwrap();
    let after = as_built(place.path(), &binary).unwrap();
    assert_eq!(whats(&after), whats(&before));
    let digests = |images: &[Named]| -> Vec<_> {
        let digests = images.iter().map(|named| named.image.digest().to_owned());
        digests.collect()
    };
    assert_eq!(digests(&after), digests(&before));
}

#[test]
fn a_binary_that_is_not_there_is_named() {
    let (place, _) = repository();
    let error = pin(place.path(), Path::new("/nowhere/five-spot")).unwrap_err();
    assert_eq!(error.to_string(), "failed to read /nowhere/five-spot");
}

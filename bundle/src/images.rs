//! The three images of a release: operator, bundle and catalog.

use std::{collections::BTreeMap, io};

use bundle_check::{files::Files, image::VERSION_LABEL};
use jiff::Timestamp;
use semver::Version;

use crate::oci::{ContainerSettings, Entry, Image, ImageOptions};

/// Where a catalog's image has its files.
const CONFIGS: &str = "/configs";

/// The user that the operator runs as; the Deployment says the same.
const USER: &str = "65532:65532";

/// What an image is labelled with beside what makes it a bundle or a catalog.
#[derive(Clone, Debug)]
pub(crate) struct Stamp {
    pub(crate) version: Version,
    /// When the release was made.
    pub(crate) created: Timestamp,
}

impl Stamp {
    fn options(
        &self,
        architecture: &str,
        title: &str,
        labels: BTreeMap<String, String>,
    ) -> ImageOptions {
        let described = [
            (VERSION_LABEL, self.version.to_string()),
            ("org.opencontainers.image.title", title.to_owned()),
            (
                "org.opencontainers.image.licenses",
                env!("CARGO_PKG_LICENSE").to_owned(),
            ),
            (
                "org.opencontainers.image.source",
                env!("CARGO_PKG_REPOSITORY").to_owned(),
            ),
        ];
        let described = described.map(|(key, value)| (key.to_owned(), value));
        let mut labels = labels;
        labels.extend(described.clone());
        ImageOptions {
            architecture: architecture.to_owned(),
            created: self.created,
            settings: ContainerSettings {
                labels: Some(labels),
                ..ContainerSettings::default()
            },
            annotations: described.into(),
        }
    }
}

/// The operator's image: one static binary, the same as `deploy/Dockerfile` makes.
pub(crate) fn operator(binary: Vec<u8>, architecture: &str, stamp: &Stamp) -> io::Result<Image> {
    let mut options = stamp.options(architecture, "5-Spot operator", BTreeMap::new());
    options.settings.user = Some(USER.to_owned());
    options.settings.entrypoint = Some(vec!["/five-spot".to_owned()]);
    let ports = ["8080/tcp", "8081/tcp"];
    options.settings.exposed_ports = ports
        .map(|port| (port.to_owned(), serde_json::Map::new()))
        .into();
    let entry = Entry {
        path: "five-spot".to_owned(),
        content: binary,
        is_program: true,
    };
    Image::new(vec![entry], options)
}

/// A bundle's image: its files and nothing else. It is the same on every architecture; it says the first there is.
pub(crate) fn bundle(
    files: &Files,
    labels: BTreeMap<String, String>,
    stamp: &Stamp,
) -> io::Result<Image> {
    Image::new(
        entries(files, ""),
        stamp.options("amd64", "5-Spot bundle", labels),
    )
}

/// A catalog's image: its files, which opm serves from an image of its own.
pub(crate) fn catalog(catalog: &str, package: &str, stamp: &Stamp) -> io::Result<Image> {
    let label = (
        "operators.operatorframework.io.index.configs.v1".to_owned(),
        CONFIGS.to_owned(),
    );
    let mut files = Files::default();
    files.insert(format!("{package}/catalog.yaml"), catalog);
    let folder = format!("{}/", CONFIGS.trim_start_matches('/'));
    Image::new(
        entries(&files, &folder),
        stamp.options("amd64", "5-Spot catalog", [label].into()),
    )
}

fn entries(files: &Files, folder: &str) -> Vec<Entry> {
    files
        .iter()
        .map(|(path, content)| Entry {
            path: format!("{folder}{path}"),
            content: content.to_owned(),
            is_program: false,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp() -> Stamp {
        Stamp {
            version: Version::new(1, 2, 3),
            created: Timestamp::UNIX_EPOCH,
        }
    }

    fn configuration(image: &Image) -> serde_json::Value {
        serde_json::from_slice(&image.blobs[&image.manifest.config.digest]).unwrap()
    }

    #[test]
    fn the_operator_runs_its_binary_as_the_user_of_the_dockerfile() {
        let image = operator(b"x".to_vec(), "arm64", &stamp()).unwrap();
        let configuration = configuration(&image);
        assert_eq!(configuration["architecture"], "arm64");
        assert_eq!(configuration["config"]["Entrypoint"][0], "/five-spot");
        assert_eq!(configuration["config"]["Labels"][VERSION_LABEL], "1.2.3");
        let dockerfile = include_str!("../../deploy/Dockerfile");
        assert!(dockerfile.contains("ENTRYPOINT [\"/five-spot\"]"));
        let user = configuration["config"]["User"].as_str().unwrap();
        assert!(dockerfile.contains(&format!("USER {user}\n")));
        let layer = &image.blobs[&image.manifest.layers[0].digest];
        let mut archive = tar::Archive::new(layer.as_slice());
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_str(), Some("five-spot"));
        assert_eq!(entry.header().mode().unwrap(), 0o755);
    }

    #[test]
    fn a_catalog_says_where_its_files_are() {
        let image = catalog("x", "5-spot", &stamp()).unwrap();
        let label = "operators.operatorframework.io.index.configs.v1";
        assert_eq!(configuration(&image)["config"]["Labels"][label], "/configs");
        let layer = &image.blobs[&image.manifest.layers[0].digest];
        let mut archive = tar::Archive::new(layer.as_slice());
        let mut paths = Vec::new();
        for entry in archive.entries().unwrap() {
            paths.push(entry.unwrap().path().unwrap().display().to_string());
        }
        let wanted = ["configs/", "configs/5-spot/", "configs/5-spot/catalog.yaml"];
        assert_eq!(paths, wanted);
    }
}

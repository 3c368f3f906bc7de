//! Reads manifests: files, and folders by the `resources` of their `kustomization.yaml`, in order.
//!
//! Only a kustomization that lists resources is understood. Any other field could change what is deployed, so it is an
//! error rather than ignored; render such a folder with kustomize first, and name what comes out.

use std::path::{Path, PathBuf};

use kube::api::DynamicObject;
use serde::Deserialize;

/// The file that lists the resources.
const KUSTOMIZATION: &str = "kustomization.yaml";

pub(crate) fn is_a(object: &DynamicObject, kind: &str) -> bool {
    let types = object.types.as_ref();
    types.is_some_and(|types| types.kind == kind)
}

/// The objects, in the order in which they are applied.
#[derive(Clone, Debug, Default)]
pub struct Manifests {
    /// The objects.
    pub objects: Vec<DynamicObject>,
}

/// Why manifests can't be deployed.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message names each field")]
pub enum ManifestError {
    #[error(
        "--deploy={} (target.manifests): must be a file, or a folder with a {KUSTOMIZATION}",
        .path.display()
    )]
    NoKustomization {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{}: may have the fields apiVersion, kind and resources only", .file.display())]
    Kustomization {
        file: PathBuf,
        #[source]
        source: Box<serde_saphyr::Error>,
    },
    #[error("the manifest {} can't be read", .file.display())]
    Unreadable {
        file: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("{}: document {number} is not a Kubernetes object", .file.display())]
    NotAnObject {
        file: PathBuf,
        number: usize,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct Kustomization {
    #[serde(rename = "apiVersion", default)]
    _api_version: Option<String>,
    #[serde(rename = "kind", default)]
    _kind: Option<String>,
    resources: Vec<PathBuf>,
}

impl Manifests {
    /// Reads files and folders.
    pub fn read(paths: &[PathBuf]) -> Result<Self, ManifestError> {
        let mut manifests = Self::default();
        for path in paths {
            let found = if path.is_file() {
                read_file(path)?
            } else {
                read_folder(path)?
            };
            manifests.objects.extend(found);
        }
        Ok(manifests)
    }
}

fn read_folder(dir: &Path) -> Result<Vec<DynamicObject>, ManifestError> {
    let file = dir.join(KUSTOMIZATION);
    let text = std::fs::read_to_string(&file).map_err(|source| ManifestError::NoKustomization {
        path: dir.to_owned(),
        source,
    })?;
    let kustomization: Kustomization =
        serde_saphyr::from_str(&text).map_err(|source| ManifestError::Kustomization {
            file,
            source: Box::new(source),
        })?;
    let mut objects = Vec::new();
    for resource in &kustomization.resources {
        objects.extend(read_file(&dir.join(resource))?);
    }
    Ok(objects)
}

fn read_file(file: &Path) -> Result<Vec<DynamicObject>, ManifestError> {
    let text = std::fs::read_to_string(file).map_err(|source| ManifestError::Unreadable {
        file: file.to_owned(),
        source,
    })?;
    let not_an_object = |number: usize, source: Box<dyn std::error::Error + Send + Sync>| {
        ManifestError::NotAnObject {
            file: file.to_owned(),
            number,
            source,
        }
    };
    let documents: Vec<serde_json::Value> =
        serde_saphyr::from_multiple(&text).map_err(|source| not_an_object(1, Box::new(source)))?;
    documents
        .into_iter()
        .enumerate()
        .filter(|(_, document)| !document.is_null())
        .map(|(index, document)| {
            let object: DynamicObject = serde_json::from_value(document)
                .map_err(|source| not_an_object(index + 1, Box::new(source)))?;
            if object.types.is_none() || object.metadata.name.is_none() {
                return Err(not_an_object(
                    index + 1,
                    "apiVersion, kind and metadata.name are needed".into(),
                ));
            }
            Ok(object)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use failover_judging::samples::says;

    fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        folder
    }

    fn read(path: &Path) -> Result<Manifests, ManifestError> {
        Manifests::read(&[path.to_owned()])
    }

    const OBJECT: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

    #[test]
    fn resources_come_in_the_order_of_the_list_and_documents_in_that_of_the_file() {
        let two = format!("{OBJECT}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: b}}\n");
        let folder = folder(&[
            (
                "kustomization.yaml",
                "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [z.yaml, a.yaml]\n",
            ),
            ("a.yaml", OBJECT),
            ("z.yaml", &two),
        ]);
        let kinds: Vec<_> = read(folder.path())
            .unwrap()
            .objects
            .into_iter()
            .map(|object| object.types.unwrap().kind)
            .collect();
        assert_eq!(kinds, ["ConfigMap", "Secret", "ConfigMap"]);
    }

    #[test]
    fn files_and_folders_come_in_the_order_in_which_they_are_named() {
        let other = OBJECT.replace("ConfigMap", "Secret");
        let folder = folder(&[
            ("kustomization.yaml", "resources: [a.yaml]\n"),
            ("a.yaml", OBJECT),
            ("b.yaml", &other),
        ]);
        let paths = [folder.path().join("b.yaml"), folder.path().to_owned()];
        let kinds: Vec<_> = Manifests::read(&paths)
            .unwrap()
            .objects
            .into_iter()
            .map(|object| object.types.unwrap().kind)
            .collect();
        assert_eq!(kinds, ["Secret", "ConfigMap"]);
    }

    #[test]
    fn a_listed_file_that_is_missing_is_named() {
        let folder = folder(&[("kustomization.yaml", "resources: [gone.yaml]\n")]);
        says(&read(folder.path()).unwrap_err(), &["gone.yaml"]);
    }

    #[test]
    fn a_document_that_is_no_object_is_named_with_its_number() {
        let text = format!("{OBJECT}---\nhello: world\n");
        let folder = folder(&[
            ("kustomization.yaml", "resources: [a.yaml]\n"),
            ("a.yaml", &text),
        ]);
        says(&read(folder.path()).unwrap_err(), &["a.yaml: document 2"]);
    }
}

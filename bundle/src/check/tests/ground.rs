//! What fixtures and mutations are made of: a bundle, the release before and the catalog.

use std::sync::LazyLock;

use serde_json::Value;

use super::{
    edit::{self, Edit},
    folder,
};
use crate::{
    bundle::{ANNOTATIONS, Bundle},
    catalog::Release,
    check::{Report, check},
    document::Document,
    files::Files,
    sources::Sources,
};

/// A bundle, the release before and the catalog. The last two are read already, as few edits are of them.
#[derive(Clone)]
pub(super) struct Ground {
    files: Files,
    previous: Bundle,
    catalog: Catalog,
}

#[derive(Clone)]
struct Catalog {
    text: String,
    documents: Vec<Document>,
}

impl Catalog {
    fn of(text: String) -> Self {
        let documents = Document::parse("catalog.yaml", text.as_bytes()).unwrap();
        Self { text, documents }
    }
}

/// Our bundle as it is committed, read once.
static OURS: LazyLock<Ground> = LazyLock::new(|| {
    let root = folder().join("..");
    let sources = Sources::read(&root).unwrap();
    let kept = crate::catalog::earlier(&root, &sources.version).unwrap();
    let replaced =
        |release: &&Release| Some(&release.version) == sources.base.release.replaces.as_ref();
    let catalog = std::fs::read_to_string(folder().join(crate::catalog::CATALOG)).unwrap();
    Ground {
        files: Bundle::read(folder()).unwrap().files,
        previous: kept.iter().find(replaced).unwrap().bundle.clone(),
        catalog: Catalog::of(catalog),
    }
});

/// The bundle in `tests/good/kettle`, read once.
static GOOD: LazyLock<Ground> = LazyLock::new(|| {
    let place = folder().join("tests/good/kettle");
    let files = Bundle::read(&place).unwrap().files;
    let mut previous = files.clone();
    let csv = path(&files, CSV);
    let text = text(&files, &csv)
        .replace("1.1.0", "1.0.0")
        .replace("  replaces: kettle.v1.0.0\n", "");
    previous.insert(csv, text);
    Ground {
        files,
        previous: Bundle::from_files(previous),
        catalog: Catalog::of(std::fs::read_to_string(place.join("catalog.yaml")).unwrap()),
    }
});

const CSV: &str = ".clusterserviceversion.yaml";

impl Ground {
    pub(super) fn good() -> Self {
        GOOD.clone()
    }

    pub(super) fn ours() -> Self {
        OURS.clone()
    }

    pub(super) fn check(&self) -> Report {
        let bundle = Bundle::from_files(self.files.clone());
        check(&bundle, Some(&self.previous), Some(&self.catalog.documents))
    }

    pub(super) fn apply(&mut self, edits: &[Edit]) {
        for edit in edits {
            match (&edit.file, edit.place.as_deref()) {
                (Some(file), None) => {
                    let content = edit
                        .random
                        .map_or_else(|| edit.content.clone().unwrap(), incompressible);
                    self.files.insert(file, content);
                }
                (None, Some("catalog")) => {
                    self.catalog = Catalog::of(edited(&self.catalog.text, edit));
                }
                (None, Some("previous")) => {
                    let mut files = self.previous.files.clone();
                    let path = path(&files, CSV);
                    let text = edited(&text(&files, &path), edit);
                    files.insert(path, text);
                    self.previous = Bundle::from_files(files);
                }
                (None, Some(place)) => self.apply_to(place, edit),
                _ => panic!("{edit:?} must say either a file or a place"),
            }
        }
    }

    fn apply_to(&mut self, place: &str, edit: &Edit) {
        let path = match place {
            "csv" => path(&self.files, CSV),
            "definition" => path(&self.files, ".crd.yaml"),
            "budget" => path(&self.files, ".poddisruptionbudget.yaml"),
            "role" => path(&self.files, ".role.yaml"),
            "binding" => path(&self.files, ".rolebinding.yaml"),
            "service" => path(&self.files, ".service.yaml"),
            "annotations" => ANNOTATIONS.to_owned(),
            "dockerfile" => "Dockerfile".to_owned(),
            other => panic!("no such place: {other}"),
        };
        let before = text(&self.files, &path);
        if edit.delete {
            self.files.remove(&path);
        } else if let Some(copy) = &edit.copy {
            self.files.insert(copy, before);
        } else {
            let after = edited(&before, edit);
            assert_ne!(before, after, "{edit:?}");
            self.files.insert(path, after);
        }
    }
}

fn path(files: &Files, end: &str) -> String {
    let mut found = files
        .iter()
        .map(|(path, _)| path)
        .filter(|path| path.ends_with(end));
    found
        .next()
        .unwrap_or_else(|| panic!("no file ends with {end}"))
        .to_owned()
}

fn text(files: &Files, path: &str) -> String {
    String::from_utf8(files.get(path).unwrap().to_vec()).unwrap()
}

fn edited(text: &str, edit: &Edit) -> String {
    if let Some(from) = &edit.replace {
        assert!(text.contains(from.as_str()), "{from:?} is not there");
        return text.replace(from.as_str(), &edit.with);
    }
    if let Some(end) = &edit.append {
        return format!("{text}{end}");
    }
    let mut documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    let document = &mut documents[edit.document];
    if let Some(pointer) = &edit.set {
        edit::set(document, pointer, &edit.to);
    } else if let Some(pointer) = &edit.remove {
        edit::remove(document, pointer);
    } else if let Some(pointer) = &edit.example {
        let place = "/metadata/annotations/alm-examples";
        let text = document.pointer(place).and_then(Value::as_str).unwrap();
        let mut examples: Value = serde_json::from_str(text).unwrap();
        edit::set(&mut examples, pointer, &edit.to);
        edit::set(document, place, &Value::String(examples.to_string()));
    } else {
        panic!("{edit:?} does nothing");
    }
    let documents: Vec<_> = documents
        .iter()
        .map(|document| serde_json::to_string_pretty(document).unwrap())
        .collect();
    documents.join("\n---\n") + "\n"
}

/// A ConfigMap with this many characters that can't be compressed to much less.
fn incompressible(size: usize) -> String {
    let mut state: u64 = 5;
    let letters: String = (0..size)
        .map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            let number = u32::try_from((state >> 33) % 62).unwrap();
            char::from_digit(number % 36, 36).unwrap_or('x')
        })
        .collect();
    format!(
        "{{apiVersion: v1, kind: ConfigMap, metadata: {{name: large}}, data: {{x: {letters}}}}}"
    )
}

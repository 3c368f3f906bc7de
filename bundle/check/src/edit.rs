//! Edits of a bundle, as tests of the rules have them in YAML.
//!
//! It panics on an edit that changes nothing or does not apply: such a test would show nothing.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "it is a part of tests, which the clippy settings for tests do not know"
)]

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use crate::{
    bundle::{ANNOTATIONS, Bundle},
    check::check,
    document::Document,
    files::Files,
    finding::Report,
};

/// One edit. What is done is told by which of the fields is there.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Edit {
    /// The file, by what it is: `csv`, `definition`, `budget`, `role`, `binding`, `service`, `annotations`, `dockerfile`,
    /// `catalog`, or `previous` for the ClusterServiceVersion of the release before.
    #[serde(rename = "in")]
    place: Option<String>,
    /// A new file, by its path.
    file: Option<String>,
    /// Content of the new file.
    content: Option<String>,
    /// Size of the new file, a ConfigMap of bytes that can't be compressed.
    random: Option<usize>,
    /// Number of the document.
    document: usize,
    /// Pointer to what is set; `-` at its end adds to a list.
    set: Option<String>,
    /// The same within the list of examples.
    example: Option<String>,
    /// What it is set to.
    to: Value,
    /// Pointer to what is taken away.
    remove: Option<String>,
    /// Text that is replaced wherever it is.
    replace: Option<String>,
    /// The text in its place.
    with: String,
    /// Text that is put at the end.
    append: Option<String>,
    /// Path that the file is copied to.
    copy: Option<String>,
    /// Whether the file is taken away.
    delete: bool,
}

/// A bundle to edit, with the release before and the catalog. The last two are read already, as few edits are of them.
#[derive(Clone, Debug)]
pub struct Fixture {
    files: Files,
    previous: Bundle,
    catalog: Catalog,
}

#[derive(Clone, Debug)]
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

/// How the files end that hold a ClusterServiceVersion.
pub const CSV: &str = ".clusterserviceversion.yaml";

/// The edits in a folder with a file for each area, by the code of the rule that they break.
pub fn by_rule<T: DeserializeOwned>(folder: &Path) -> BTreeMap<String, T> {
    let mut edits = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        let of_area: BTreeMap<String, T> = serde_saphyr::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        edits.extend(of_area);
    }
    edits
}

/// The codes of what was found, each once.
pub fn codes(report: &Report) -> Vec<&'static str> {
    let mut codes: Vec<_> = report.findings.iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

impl Fixture {
    /// A bundle with these files, the release before it, and the text of the catalog that offers it.
    pub fn new(files: Files, previous: Bundle, catalog: String) -> Self {
        Self {
            files,
            previous,
            catalog: Catalog::of(catalog),
        }
    }

    /// Checks it by all rules.
    pub fn check(&self) -> Report {
        let bundle = Bundle::from_files(self.files.clone());
        check(&bundle, Some(&self.previous), Some(&self.catalog.documents))
    }

    /// Makes the edits, one after the other.
    pub fn apply(&mut self, edits: &[Edit]) {
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
        set(document, pointer, &edit.to);
    } else if let Some(pointer) = &edit.remove {
        remove(document, pointer);
    } else if let Some(pointer) = &edit.example {
        let place = "/metadata/annotations/alm-examples";
        let text = document.pointer(place).and_then(Value::as_str).unwrap();
        let mut examples: Value = serde_json::from_str(text).unwrap();
        set(&mut examples, pointer, &edit.to);
        set(document, place, &Value::String(examples.to_string()));
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

/// Short names of what pointers begin with.
const SHORT: [(&str, &str); 5] = [
    ("$deployment", "/spec/install/spec/deployments/0/spec"),
    (
        "$pod",
        "/spec/install/spec/deployments/0/spec/template/spec",
    ),
    (
        "$container",
        "/spec/install/spec/deployments/0/spec/template/spec/containers/0",
    ),
    ("$owned", "/spec/customresourcedefinitions/owned/0"),
    ("$schema", "/spec/versions/0/schema/openAPIV3Schema"),
];

fn full(pointer: &str) -> String {
    SHORT
        .iter()
        .find_map(|(short, full)| {
            pointer
                .strip_prefix(short)
                .map(|rest| format!("{full}{rest}"))
        })
        .unwrap_or_else(|| pointer.to_owned())
}

/// The parent of a pointer, and the name in it.
fn split<'a>(value: &'a mut Value, pointer: &str) -> (&'a mut Value, String) {
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let name = name.replace("~1", "/").replace("~0", "~");
    let parent = value
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("nothing at {parent}"));
    (parent, name)
}

fn set(value: &mut Value, pointer: &str, to: &Value) {
    let (parent, name) = split(value, &full(pointer));
    match parent {
        Value::Object(fields) => drop(fields.insert(name, to.clone())),
        Value::Array(items) if name == "-" => items.push(to.clone()),
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = to.clone(),
        other => panic!("{pointer} is in {other}"),
    }
}

fn remove(value: &mut Value, pointer: &str) {
    let (parent, name) = split(value, &full(pointer));
    match parent {
        Value::Object(fields) => assert!(fields.remove(&name).is_some(), "nothing at {pointer}"),
        Value::Array(items) => drop(items.remove(name.parse().unwrap())),
        other => panic!("{pointer} is in {other}"),
    }
}

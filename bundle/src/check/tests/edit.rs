//! An edit of a bundle, as `tests/rules` has it.

use serde::Deserialize;
use serde_json::Value;

/// One edit. What is done is told by which of the fields is there.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Edit {
    /// The file, by what it is: `csv`, `definition`, `budget`, `role`, `binding`, `service`, `annotations`, `dockerfile`,
    /// `catalog`, or `previous` for the ClusterServiceVersion of the release before.
    #[serde(default, rename = "in")]
    pub(super) place: Option<String>,
    /// A new file, by its path.
    #[serde(default)]
    pub(super) file: Option<String>,
    /// Content of the new file.
    #[serde(default)]
    pub(super) content: Option<String>,
    /// Size of the new file, a ConfigMap of bytes that can't be compressed.
    #[serde(default)]
    pub(super) random: Option<usize>,
    /// Number of the document.
    #[serde(default)]
    pub(super) document: usize,
    /// Pointer to what is set; `-` at its end adds to a list.
    #[serde(default)]
    pub(super) set: Option<String>,
    /// The same within the list of examples.
    #[serde(default)]
    pub(super) example: Option<String>,
    /// What it is set to.
    #[serde(default)]
    pub(super) to: Value,
    /// Pointer to what is taken away.
    #[serde(default)]
    pub(super) remove: Option<String>,
    /// Text that is replaced wherever it is.
    #[serde(default)]
    pub(super) replace: Option<String>,
    /// The text in its place.
    #[serde(default)]
    pub(super) with: String,
    /// Text that is put at the end.
    #[serde(default)]
    pub(super) append: Option<String>,
    /// Path that the file is copied to.
    #[serde(default)]
    pub(super) copy: Option<String>,
    /// Whether the file is taken away.
    #[serde(default)]
    pub(super) delete: bool,
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

pub(super) fn set(value: &mut Value, pointer: &str, to: &Value) {
    let (parent, name) = split(value, &full(pointer));
    match parent {
        Value::Object(fields) => drop(fields.insert(name, to.clone())),
        Value::Array(items) if name == "-" => items.push(to.clone()),
        Value::Array(items) => items[name.parse::<usize>().unwrap()] = to.clone(),
        other => panic!("{pointer} is in {other}"),
    }
}

pub(super) fn remove(value: &mut Value, pointer: &str) {
    let (parent, name) = split(value, &full(pointer));
    match parent {
        Value::Object(fields) => assert!(fields.remove(&name).is_some(), "nothing at {pointer}"),
        Value::Array(items) => drop(items.remove(name.parse().unwrap())),
        other => panic!("{pointer} is in {other}"),
    }
}

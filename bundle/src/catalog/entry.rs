//! The documents of a file-based catalog (operator-registry, `alpha/declcfg`), as types.

use serde::Serialize;
use serde_json::{Value, json};

use super::release::{CatalogError, Release};
use crate::csv::Icon;

/// `olm.package`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Package<'a> {
    pub(super) schema: &'static str,
    pub(super) name: &'a str,
    pub(super) default_channel: &'a str,
    pub(super) description: &'a str,
    /// Other than in a ClusterServiceVersion, it is not a list.
    pub(super) icon: Icon,
}

/// `olm.channel`.
#[derive(Serialize)]
pub(super) struct Channel<'a> {
    pub(super) schema: &'static str,
    pub(super) package: &'a str,
    pub(super) name: &'a str,
    pub(super) entries: Vec<ChannelEntry>,
}

/// A version that a channel offers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ChannelEntry {
    pub(super) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) replaces: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) skips: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) skip_range: Option<String>,
}

/// `olm.bundle`.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BundleBlob<'a> {
    schema: &'static str,
    name: String,
    package: &'a str,
    image: String,
    properties: Vec<Property>,
    related_images: Vec<Value>,
}

#[derive(Serialize)]
struct Property {
    r#type: &'static str,
    value: Value,
}

/// Fields of a ClusterServiceVersion's spec that a catalog tells, where they are there.
const TOLD: [&str; 10] = [
    "description",
    "displayName",
    "installModes",
    "keywords",
    "links",
    "maintainers",
    "maturity",
    "minKubeVersion",
    "nativeAPIs",
    "provider",
];

/// What a catalog tells of a release: the same as `opm render --migrate-level=bundle-object-to-csv-metadata`.
pub(super) fn bundle_blob<'a>(
    release: &Release,
    package: &'a str,
) -> Result<BundleBlob<'a>, CatalogError> {
    let csv = release.csv()?;
    let mut metadata = json!({
        "annotations": csv.at("/metadata/annotations"),
        "apiServiceDefinitions": csv.at("/spec/apiservicedefinitions").cloned().unwrap_or(json!({})),
        "crdDescriptions": csv.at("/spec/customresourcedefinitions"),
        "labels": csv.at("/metadata/labels"),
    });
    for field in TOLD {
        if let Some(value) = csv.at(&format!("/spec/{field}")) {
            metadata[field] = value.clone();
        }
    }
    let property = |r#type, value| Property { r#type, value };
    let mut properties: Vec<_> = csv
        .list("/spec/customresourcedefinitions/owned")
        .iter()
        .map(|owned| property("olm.gvk", gvk(owned)))
        .collect();
    properties.push(property(
        "olm.package",
        json!({"packageName": package, "version": release.version.to_string()}),
    ));
    properties.push(property("olm.csv.metadata", metadata));
    let own = json!({"name": "", "image": release.image.to_string()});
    let further = csv.list("/spec/relatedImages").iter().cloned();
    Ok(BundleBlob {
        schema: "olm.bundle",
        name: release.name()?,
        package,
        image: release.image.to_string(),
        properties,
        related_images: [own].into_iter().chain(further).collect(),
    })
}

fn gvk(owned: &Value) -> Value {
    let text = |field: &str| owned.get(field).and_then(Value::as_str).unwrap_or_default();
    let (_, group) = text("name").split_once('.').unwrap_or_default();
    json!({"group": group, "kind": text("kind"), "version": text("version")})
}

//! Bills of materials in CycloneDX 1.6, as JSON: what the operator is compiled of, and what the other images refer to.
//!
//! They have no serial number and the age of the release, so that the same sources give the same bytes.

mod graph;

use jiff::Timestamp;
use semver::Version;
use serde::Serialize;

use crate::reference::ImageReference;

pub(crate) use graph::{CargoError, Graph};

/// Media type of a CycloneDX document, and the type of the artifact that it is attached as.
pub const CYCLONEDX: &str = "application/vnd.cyclonedx+json";

/// A bill of materials.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Bom {
    #[serde(rename = "bomFormat")]
    format: &'static str,
    spec_version: &'static str,
    version: u32,
    metadata: Metadata,
    components: Vec<Component>,
    dependencies: Vec<Dependency>,
}

#[derive(Serialize)]
struct Metadata {
    timestamp: String,
    component: Component,
}

/// Something that is part of something else.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
struct Component {
    r#type: &'static str,
    bom_ref: String,
    name: String,
    version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    licenses: Vec<License>,
    purl: String,
}

#[derive(Serialize)]
struct License {
    expression: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Dependency {
    r#ref: String,
    depends_on: Vec<String>,
}

impl Bom {
    fn new(
        created: Timestamp,
        subject: Component,
        components: Vec<Component>,
        dependencies: Vec<Dependency>,
    ) -> Self {
        Self {
            format: "CycloneDX",
            spec_version: "1.6",
            version: 1,
            metadata: Metadata {
                timestamp: created.to_string(),
                component: subject,
            },
            components,
            dependencies,
        }
    }

    /// What a program is compiled of.
    pub(crate) fn of_program(graph: &Graph, created: Timestamp) -> Self {
        let component = |package: &graph::Package, r#type| Component {
            r#type,
            bom_ref: package.purl(),
            name: package.name.clone(),
            version: package.version.clone(),
            licenses: package
                .license
                .iter()
                .map(|text| License {
                    expression: spdx(text),
                })
                .collect(),
            purl: package.purl(),
        };
        let components = graph
            .libraries()
            .map(|package| component(package, "library"))
            .collect();
        let dependencies = graph.edges().map(|(from, to)| Dependency {
            r#ref: from.purl(),
            depends_on: to.into_iter().map(graph::Package::purl).collect(),
        });
        Self::new(
            created,
            component(graph.program(), "application"),
            components,
            dependencies.collect(),
        )
    }

    /// What an image of files refers to: other images.
    pub(crate) fn of_references(
        name: &str,
        version: &Version,
        created: Timestamp,
        images: &[ImageReference],
    ) -> Self {
        let subject = Component {
            r#type: "container",
            bom_ref: name.to_owned(),
            name: name.to_owned(),
            version: version.to_string(),
            licenses: vec![License {
                expression: env!("CARGO_PKG_LICENSE").to_owned(),
            }],
            purl: format!("pkg:generic/{name}@{version}"),
        };
        let components: Vec<_> = images.iter().map(container).collect();
        let dependencies = vec![Dependency {
            r#ref: name.to_owned(),
            depends_on: components.iter().map(|one| one.bom_ref.clone()).collect(),
        }];
        Self::new(created, subject, components, dependencies)
    }

    /// The document, with a line break at its end.
    pub(crate) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }
}

fn container(image: &ImageReference) -> Component {
    let repository = image.repository();
    let name = repository.rsplit('/').next().unwrap_or(repository);
    let digest = image.digest().replace(':', "%3A");
    Component {
        r#type: "container",
        bom_ref: image.to_string(),
        name: repository.to_owned(),
        version: image.digest().to_owned(),
        licenses: Vec::new(),
        purl: format!("pkg:oci/{name}@{digest}?repository_url={repository}"),
    }
}

/// A licence as an SPDX expression: some crates still write a slash for `OR`.
fn spdx(text: &str) -> String {
    text.split('/')
        .map(str::trim)
        .collect::<Vec<_>>()
        .join(" OR ")
}

#[cfg(test)]
mod tests;

//! The file-based catalog: every release that is kept, and this version.
//!
//! A release that was made is frozen in `bundle/releases/<version>`, with the reference of its image. A channel offers the
//! versions whose annotations name it, each upgrading from what its ClusterServiceVersion replaces.

mod entry;
mod release;

use serde_json::Value;

use crate::{csv::Icon, sources::Sources};

pub(crate) use release::{CatalogError, Imaged, Release, earlier, frozen};

use entry::{Channel, ChannelEntry, Package, bundle_blob};

/// The catalog's file, below `bundle/`.
pub(crate) const CATALOG: &str = "catalog/catalog.yaml";

/// The catalog with this release and those before it, oldest first, as YAML.
pub(crate) fn catalog(
    sources: &Sources,
    before: &[Release],
    this: &Release,
) -> Result<String, CatalogError> {
    let prose = &sources.base.prose;
    let all: Vec<&Release> = before.iter().chain([this]).collect();
    let names = channels(&all);
    let mut channels = Vec::new();
    for name in &names {
        channels.push(Channel {
            schema: "olm.channel",
            package: &prose.package,
            name,
            entries: entries(&all, name)?,
        });
    }
    let package = Package {
        schema: "olm.package",
        name: &prose.package,
        default_channel: names.first().map_or("", String::as_str),
        description: &sources.base.description,
        icon: Icon::svg(&sources.base.icon),
    };
    let mut documents = vec![serde_saphyr::to_string(&package)?];
    for channel in &channels {
        documents.push(serde_saphyr::to_string(channel)?);
    }
    for release in &all {
        documents.push(serde_saphyr::to_string(&bundle_blob(
            release,
            &prose.package,
        )?)?);
    }
    Ok(format!(
        "# Generated from bundle/releases and bundle/manifests by `bundle generate`; edits are lost.\n{}",
        documents.join("---\n")
    ))
}

/// The channels that any release is in, so that none of them disappears under its subscribers; the default first, which
/// is that of the newest release, and a candidate has no say in it once there is another.
fn channels(all: &[&Release]) -> Vec<String> {
    let is_final = |release: &&&Release| release.version.pre.is_empty();
    let newest_first = || all.iter().rev();
    let deciding = newest_first().find(is_final);
    let mut names = Vec::new();
    for name in deciding
        .into_iter()
        .chain(newest_first())
        .flat_map(|release| release.channels())
    {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The versions that a channel offers.
fn entries(all: &[&Release], channel: &str) -> Result<Vec<ChannelEntry>, CatalogError> {
    let mut entries = Vec::new();
    for release in all {
        if release.channels().iter().any(|name| name == channel) {
            let csv = release.csv()?;
            let text = |pointer: &str| csv.text(pointer).map(str::to_owned);
            let skips = csv.list("/spec/skips").iter();
            entries.push(ChannelEntry {
                name: release.name()?,
                replaces: text("/spec/replaces"),
                skips: skips.filter_map(Value::as_str).map(str::to_owned).collect(),
                skip_range: text("/metadata/annotations/olm.skipRange"),
            });
        }
    }
    Ok(entries)
}

#[cfg(test)]
mod tests;

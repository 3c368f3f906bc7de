//! The images that OLM runs and installs, put into the nodes out of files.
//!
//! Bundles and catalog are generated from what the repository commits, with one difference: they name the operator that was
//! built here. A binary that is built elsewhere has another digest than the one that is pinned.

use std::{collections::BTreeMap, fs, path::Path};

use five_spot_bundle::{
    oci::{ContainerSettings, Entry, Image, ImageOptions, archive},
    publish::{Named, as_built},
    sources::Sources,
};
use futures::future::join_all;
use jiff::Timestamp;

use crate::{lifecycle_manager::BUILT, rig::Rig};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The operator that `just image` built, below the root.
const BINARY: &str = "target/image/five-spot";

const PACKAGE: &str = "5-spot";

/// What OLM's pods run as; it has to be a number, for they must not run as root.
const USER: &str = "65532:65532";

/// What is in the nodes, named by digest.
pub(crate) struct Images {
    pub(crate) olm: String,
    pub(crate) opm: String,
    pub(crate) catalog: String,
    pub(crate) operator: String,
    /// The ClusterServiceVersion of the release before.
    pub(crate) previous: String,
    /// That of this version.
    pub(crate) this: String,
}

/// Puts everything into the nodes that take pods.
pub(crate) async fn load(rig: &Rig<'_>) -> Images {
    rig.step("putting the images of OLM, opm, the operator, its bundles and the catalog together");
    let root = Path::new(ROOT);
    let ours = as_built(root, &root.join(BINARY)).unwrap();
    let olm = programs("olm", &["olm", "catalog", "copy-content", "cpb", "cp"], &[]);
    // OLM calls the probe by the name that it has in opm's own image.
    let opm = programs(
        "opm",
        &["opm"],
        &[("grpc-health-probe", "grpc_health_probe")],
    );
    rig.step("loading them into the nodes");
    for named in ours.iter().chain([&olm, &opm]) {
        let bytes = archive(&named.image, &named.repository, &named.tag).unwrap();
        let nodes = rig.cluster.agents().iter();
        let loading = nodes.map(|node| rig.cluster.import_image(node, &bytes));
        join_all(loading).await.into_iter().for_each(Result::unwrap);
    }
    let version = |what: &str| {
        let found = ours.iter().find(|named| named.what == what);
        format!("{PACKAGE}.{}", found.unwrap().tag)
    };
    let replaced = Sources::read(root).unwrap().base.release.replaces;
    let previous = format!("bundle-{}", replaced.unwrap());
    let by_digest = |what: &str| {
        let found = ours.iter().find(|named| named.what == what);
        reference(found.unwrap())
    };
    Images {
        olm: reference(&olm),
        opm: reference(&opm),
        catalog: by_digest("catalog"),
        operator: by_digest("operator"),
        previous: version(&previous),
        this: version("bundle"),
    }
}

fn reference(named: &Named) -> String {
    format!("{}@{}", named.repository, named.image.digest())
}

/// An image of programs that `just olm` built, some under another name.
fn programs(what: &str, names: &[&str], renamed: &[(&str, &str)]) -> Named {
    let same = names.iter().map(|name| (*name, *name));
    let entries = same.chain(renamed.iter().copied()).map(|(file, name)| {
        let path = format!("{BUILT}/bin/{file}");
        let content = fs::read(&path);
        Entry {
            path: format!("bin/{name}"),
            content: content.unwrap_or_else(|error| panic!("{path}: {error}: `just olm` makes it")),
            is_program: true,
        }
    });
    let options = ImageOptions {
        architecture: "amd64".to_owned(),
        created: Timestamp::UNIX_EPOCH,
        settings: ContainerSettings {
            user: Some(USER.to_owned()),
            ..ContainerSettings::default()
        },
        annotations: BTreeMap::new(),
    };
    Named {
        what: what.to_owned(),
        repository: format!("five-spot.invalid/{what}"),
        tag: "e2e".to_owned(),
        image: Image::new(entries.collect(), options).unwrap(),
    }
}

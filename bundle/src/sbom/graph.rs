//! The crates that a program is compiled of, from `cargo metadata`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    path::Path,
    process::Command,
};

use serde::Deserialize;

/// The crates of a program, and which needs which. Only what ends in the program counts: neither what builds it nor what
/// tests it.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    packages: BTreeMap<String, Package>,
    edges: BTreeMap<String, BTreeSet<String>>,
    program: Package,
}

/// A crate.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct Package {
    id: String,
    pub(super) name: String,
    pub(super) version: String,
    pub(super) license: Option<String>,
}

/// What a program is compiled of can't be told.
#[derive(Debug, thiserror::Error)]
pub enum CargoError {
    #[error("failed to run cargo metadata")]
    Run(#[source] io::Error),
    #[error("cargo metadata failed: {0}")]
    Failed(String),
    #[error("failed to parse the answer of cargo metadata")]
    Parse(#[from] serde_json::Error),
    #[error("cargo metadata has no package {0}")]
    NoPackage(String),
}

#[derive(Deserialize)]
struct Answer {
    packages: Vec<Package>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Deserialize)]
struct Kind {
    /// None for what is linked, else `dev` or `build`.
    kind: Option<String>,
}

impl Graph {
    /// Asks cargo for the crates of a program of the workspace, compiled for a target.
    pub(crate) fn read(root: &Path, program: &str, target: &str) -> Result<Self, CargoError> {
        let output = Command::new("cargo")
            .args([
                "metadata",
                "--locked",
                "--format-version=1",
                "--filter-platform",
                target,
            ])
            .current_dir(root)
            .output()
            .map_err(CargoError::Run)?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            return Err(CargoError::Failed(words.trim().to_owned()));
        }
        Self::parse(&output.stdout, program)
    }

    /// Takes cargo's answer.
    pub(super) fn parse(answer: &[u8], program: &str) -> Result<Self, CargoError> {
        let Answer { packages, resolve } = serde_json::from_slice(answer)?;
        let program = packages
            .iter()
            .find(|package| package.name == program)
            .cloned()
            .ok_or_else(|| CargoError::NoPackage(program.to_owned()))?;
        let linked: BTreeMap<String, BTreeSet<String>> = resolve
            .nodes
            .into_iter()
            .map(|node| {
                let deps = node.deps.into_iter();
                let deps =
                    deps.filter(|edge| edge.dep_kinds.iter().any(|kind| kind.kind.is_none()));
                (node.id, deps.map(|edge| edge.pkg).collect())
            })
            .collect();
        let mut reached = BTreeSet::new();
        let mut open = vec![program.id.clone()];
        while let Some(id) = open.pop() {
            if reached.insert(id.clone()) {
                open.extend(linked.get(&id).into_iter().flatten().cloned());
            }
        }
        let packages = packages
            .into_iter()
            .filter(|package| reached.contains(&package.id));
        Ok(Self {
            packages: packages
                .map(|package| (package.id.clone(), package))
                .collect(),
            edges: linked
                .into_iter()
                .filter(|(id, _)| reached.contains(id))
                .collect(),
            program,
        })
    }

    pub(super) fn program(&self) -> &Package {
        &self.program
    }

    /// All but the program, by name and version.
    pub(super) fn libraries(&self) -> impl Iterator<Item = &Package> {
        let mut libraries: Vec<_> = self
            .packages
            .values()
            .filter(|package| package.id != self.program.id)
            .collect();
        libraries
            .sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
        libraries.into_iter()
    }

    /// What each needs, in the order of the libraries, the program first.
    pub(super) fn edges(&self) -> impl Iterator<Item = (&Package, Vec<&Package>)> {
        [&self.program]
            .into_iter()
            .chain(self.libraries())
            .map(move |package| {
                let needed = self.edges.get(&package.id).into_iter().flatten();
                (
                    package,
                    needed.filter_map(|id| self.packages.get(id)).collect(),
                )
            })
    }
}

impl Package {
    /// Its package URL.
    pub(super) fn purl(&self) -> String {
        // A plus has a meaning of its own in URLs.
        format!(
            "pkg:cargo/{}@{}",
            self.name,
            self.version.replace('+', "%2B")
        )
    }
}

//! Our bundle keeps every rule of the checker, and every rule catches independent mutations of it.
//!
//! `tests/rules/<area>.yaml` says for each rule how our bundle is mutated.

use std::{collections::BTreeMap, path::Path, sync::LazyLock};

use bundle_check::{
    bundle::Bundle,
    edit::{Edit, Fixture, by_rule, codes},
    rules::rules,
};

use crate::{
    catalog::{self, CATALOG, Release},
    sources::Sources,
};

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Our bundle as it is committed, read once.
fn ours() -> Fixture {
    static OURS: LazyLock<Fixture> = LazyLock::new(|| {
        let root = folder().join("..");
        let sources = Sources::read(&root).unwrap();
        let kept = catalog::earlier(&root, &sources.version).unwrap();
        let replaced =
            |release: &&Release| Some(&release.version) == sources.base.release.replaces.as_ref();
        let previous = kept.iter().find(replaced).unwrap().bundle.clone();
        let catalog = std::fs::read_to_string(folder().join(CATALOG)).unwrap();
        Fixture::new(Bundle::read(folder()).unwrap().files, previous, catalog)
    });
    OURS.clone()
}

#[test]
fn our_bundle_keeps_every_rule() {
    let report = ours().check();
    assert_eq!(report.findings, []);
    assert!(report.not_checked.is_empty(), "{:?}", report.not_checked);
}

#[test]
fn every_rule_catches_two_mutations_of_our_bundle_or_more() {
    let mutations: BTreeMap<String, Vec<Vec<Edit>>> = by_rule(&folder().join("tests/rules"));
    let mut missed = Vec::new();
    for rule in rules() {
        let of_rule = mutations.get(rule.code).map_or(&[][..], Vec::as_slice);
        assert!(of_rule.len() >= 2, "{}", rule.code);
        for (index, edits) in of_rule.iter().enumerate() {
            let mut bundle = ours();
            bundle.apply(edits);
            let found = codes(&bundle.check());
            if !found.contains(&rule.code) {
                missed.push(format!("{}, mutation {index}: {found:?}", rule.code));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
    assert_eq!(mutations.len(), rules().count());
}

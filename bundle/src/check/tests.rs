//! Every rule has a negative fixture that breaks it and no other, and catches independent mutations of our own bundle.
//!
//! `tests/good` has bundles that keep all rules; `tests/rules/<area>.yaml` says for each rule how the fixture is made of one
//! of them, and how our bundle is mutated.

mod edit;
mod ground;

use std::{collections::BTreeMap, path::Path};

use rstest::rstest;
use serde::Deserialize;

use super::*;
use edit::Edit;
use ground::Ground;

/// How a rule is broken.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// Edits of the good bundle that break this rule and no other.
    fixture: Vec<Edit>,
    /// Edits of our bundle, each of which is caught.
    mutations: Vec<Vec<Edit>>,
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn cases() -> BTreeMap<String, Case> {
    let mut cases = BTreeMap::new();
    for entry in std::fs::read_dir(folder().join("tests/rules")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let of_area: BTreeMap<String, Case> = serde_saphyr::from_str(&text)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        cases.extend(of_area);
    }
    cases
}

fn codes(report: &Report) -> Vec<&'static str> {
    let mut codes: Vec<_> = report.findings.iter().map(|finding| finding.code).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

#[test]
fn every_rule_has_a_fixture_and_two_mutations_and_nothing_else_has() {
    let cases = cases();
    let tested: Vec<_> = cases.keys().map(String::as_str).collect();
    let mut known: Vec<_> = rules().map(|rule| rule.code).collect();
    known.sort_unstable();
    assert_eq!(tested, known);
    for (code, case) in &cases {
        assert!(case.mutations.len() >= 2, "{code}");
    }
}

#[test]
fn the_ground_of_the_fixtures_keeps_every_rule() {
    let report = Ground::good().check();
    assert_eq!(report.findings, []);
    assert!(report.not_checked.is_empty(), "{:?}", report.not_checked);
}

#[rstest]
#[case("kettle")]
#[case("teapot")]
#[case("sieve")]
#[case("pantry")]
#[case("clock")]
fn good_bundles_of_many_shapes_raise_no_alarm(#[case] name: &str) {
    let bundle = Bundle::read(&folder().join("tests/good").join(name)).unwrap();
    let report = check(&bundle, None, None);
    assert_eq!(report.findings, []);
    // Nothing but what needs more than the bundle.
    let given_up = report.not_checked.iter().find(|missed| {
        rules().any(|rule| rule.code == missed.code && rule.needs == Needs::Nothing)
    });
    assert!(given_up.is_none(), "{given_up:?}");
}

#[test]
fn our_bundle_keeps_every_rule() {
    let report = Ground::ours().check();
    assert_eq!(report.findings, []);
    assert!(report.not_checked.is_empty(), "{:?}", report.not_checked);
}

#[test]
fn every_fixture_breaks_exactly_its_rule() {
    let mut wrong = Vec::new();
    for (code, case) in cases() {
        let mut ground = Ground::good();
        ground.apply(&case.fixture);
        let report = ground.check();
        if codes(&report) != [code.as_str()] {
            wrong.push(format!("{code}: {:#?}", report.findings));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_mutation_of_our_bundle_is_caught_by_its_rule() {
    let mut missed = Vec::new();
    for (code, case) in cases() {
        for (index, edits) in case.mutations.iter().enumerate() {
            let mut ground = Ground::ours();
            ground.apply(edits);
            let found = codes(&ground.check());
            if !found.contains(&code.as_str()) {
                missed.push(format!("{code}, mutation {index}: {found:?}"));
            }
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn a_finding_says_where_it_is() {
    let mut ground = Ground::good();
    let edit = "{in: budget, replace: 'maxUnavailable: 1', with: 'maxUnavailable: 0'}";
    ground.apply(&[serde_saphyr::from_str(edit).unwrap()]);
    let report = ground.check();
    let finding = &report.findings[0];
    assert_eq!(
        (finding.file.as_str(), finding.line, finding.code),
        (
            "manifests/kettle.poddisruptionbudget.yaml",
            6,
            "availability/budget-drain"
        )
    );
    assert_eq!(
        finding.message,
        "maxUnavailable is 0: allows no eviction at 2 replicas of Deployment kettle"
    );
}

#[test]
fn what_needs_more_than_the_bundle_is_told_as_not_checked() {
    let bundle = Bundle::read(&folder().join("tests/good/kettle")).unwrap();
    let report = check(&bundle, None, None);
    let told: Vec<_> = report
        .not_checked
        .iter()
        .map(|missed| missed.code)
        .collect();
    let wanted: Vec<_> = rules()
        .filter(|rule| rule.needs != Needs::Nothing)
        .map(|rule| rule.code)
        .collect();
    assert_eq!(told, wanted);
    assert!(report.not_checked[0].why.contains("--previous"));
}

#[test]
fn codes_are_of_their_area_and_once() {
    let mut codes: Vec<_> = rules().map(|rule| rule.code).collect();
    let count = codes.len();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), count);
    assert!(codes.iter().all(|code| code.split('/').count() == 2));
}

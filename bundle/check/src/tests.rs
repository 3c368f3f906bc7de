//! Every rule has a fixture that breaks it and no other.
//!
//! `tests/good` has bundles that keep all rules; `tests/rules/<area>.yaml` says for each rule how the fixture is made of
//! `kettle`, one of them.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use rstest::rstest;

use crate::{
    bundle::Bundle,
    check::check,
    edit::{CSV, Edit, Fixture, by_rule, codes},
    rule::Needs,
    rules::rules,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

fn edits() -> BTreeMap<String, Vec<Edit>> {
    by_rule(&folder().join("rules"))
}

/// The bundle in `tests/good/kettle`, read once.
fn kettle() -> Fixture {
    static KETTLE: LazyLock<Fixture> = LazyLock::new(|| {
        let place = folder().join("good/kettle");
        let files = Bundle::read(&place).unwrap().files;
        let mut previous = files.clone();
        let (csv, text) = files.iter().find(|(path, _)| path.ends_with(CSV)).unwrap();
        let text = std::str::from_utf8(text).unwrap();
        let text = text
            .replace("1.1.0", "1.0.0")
            .replace("  replaces: kettle.v1.0.0\n", "");
        previous.insert(csv, text);
        let catalog = std::fs::read_to_string(place.join("catalog.yaml")).unwrap();
        Fixture::new(files.clone(), Bundle::from_files(previous), catalog)
    });
    KETTLE.clone()
}

#[test]
fn every_rule_has_a_fixture_and_nothing_else_has() {
    let edits = edits();
    let tested: Vec<_> = edits.keys().map(String::as_str).collect();
    let mut known: Vec<_> = rules().map(|rule| rule.code).collect();
    known.sort_unstable();
    assert_eq!(tested, known);
}

#[test]
fn what_the_fixtures_are_made_of_keeps_every_rule() {
    let report = kettle().check();
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
    let bundle = Bundle::read(&folder().join("good").join(name)).unwrap();
    let report = check(&bundle, None, None);
    assert_eq!(report.findings, []);
    // Nothing but what needs more than the bundle.
    let given_up = report.not_checked.iter().find(|missed| {
        rules().any(|rule| rule.code == missed.code && rule.needs == Needs::Nothing)
    });
    assert!(given_up.is_none(), "{given_up:?}");
}

#[test]
fn every_fixture_breaks_exactly_its_rule() {
    let mut wrong = Vec::new();
    for (code, edits) in edits() {
        let mut fixture = kettle();
        fixture.apply(&edits);
        let report = fixture.check();
        if codes(&report) != [code.as_str()] {
            wrong.push(format!("{code}: {:#?}", report.findings));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_finding_says_where_it_is() {
    let mut fixture = kettle();
    let edit = "{in: budget, replace: 'maxUnavailable: 1', with: 'maxUnavailable: 0'}";
    fixture.apply(&[serde_saphyr::from_str(edit).unwrap()]);
    let report = fixture.check();
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
    let bundle = Bundle::read(&folder().join("good/kettle")).unwrap();
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

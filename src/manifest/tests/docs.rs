//! The pages in `docs/` say what is so.

use std::{collections::BTreeSet, fs, path::Path};

use crate::manifest::reference_markdown;

fn page(name: &str) -> String {
    let path = format!("{}/docs/{name}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_committed_reference_is_the_one_that_the_types_give() {
    assert!(
        page("reference.md") == reference_markdown(),
        "docs/reference.md is not what src/api says: run `just generate`"
    );
}

fn tests_below(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            tests_below(&path, found);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        let mut is_test = false;
        for line in text.lines().map(str::trim) {
            let name = line.strip_prefix("async fn ").or(line.strip_prefix("fn "));
            if line.starts_with("#[test]") || line.contains("::test") || line == "#[rstest]" {
                is_test = true;
            } else if let Some(name) = name {
                let end = name.find(['(', '<']).unwrap_or(name.len());
                if std::mem::take(&mut is_test) {
                    found.insert(name[..end].to_owned());
                }
            }
        }
    }
}

#[test]
fn every_claim_against_the_public_implementation_names_tests_that_exist() {
    let mut tests = BTreeSet::new();
    for source in ["src", "election/src"] {
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(source);
        tests_below(&source, &mut tests);
    }
    let page = page("public-implementation.md");
    let rows: Vec<_> = page
        .lines()
        .filter(|line| line.starts_with("| ") && !line.starts_with("| public 5-Spot"))
        .collect();
    assert!(rows.len() > 30, "the tables could not be read");
    for row in rows {
        let evidence = row.trim_end_matches('|').rsplit_once('|').unwrap().1;
        let named: Vec<_> = evidence.split('`').skip(1).step_by(2).collect();
        assert!(!named.is_empty(), "no test in {row}");
        for name in named {
            assert!(tests.contains(name), "no test is named {name}");
        }
    }
}

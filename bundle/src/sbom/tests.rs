//! What a program is compiled of is told, and nothing else.

use serde_json::{Value, json};

use super::*;

fn answer() -> Vec<u8> {
    let package = |name: &str, version: &str, license: Option<&str>| json!({"id": name, "name": name, "version": version, "license": license});
    let edge = |name: &str, kind: Option<&str>| json!({"pkg": name, "dep_kinds": [{"kind": kind}]});
    json!({
        "packages": [
            package("program", "1.0.0", Some("Apache-2.0")),
            package("linked", "2.0.0+x", Some("MIT/Apache-2.0")),
            package("deeper", "3.0.0", None),
            package("builder", "4.0.0", Some("MIT")),
            package("tester", "5.0.0", Some("MIT")),
        ],
        "resolve": {"nodes": [
            {"id": "program", "deps": [edge("linked", None), edge("builder", Some("build")), edge("tester", Some("dev"))]},
            {"id": "linked", "deps": [edge("deeper", None)]},
            {"id": "deeper", "deps": []},
            {"id": "builder", "deps": []},
            {"id": "tester", "deps": []},
        ]},
    })
    .to_string()
    .into_bytes()
}

fn document(bom: &Bom) -> Value {
    serde_json::from_slice(&bom.to_json().unwrap()).unwrap()
}

#[test]
fn what_is_linked_is_told_with_its_licence_and_what_needs_it() {
    let graph = Graph::parse(&answer(), "program").unwrap();
    let bom = document(&Bom::of_program(&graph, Timestamp::UNIX_EPOCH));
    assert_eq!(
        (&bom["bomFormat"], &bom["specVersion"]),
        (&json!("CycloneDX"), &json!("1.6"))
    );
    assert_eq!(bom["metadata"]["component"]["name"], "program");
    let names: Vec<_> = bom["components"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["purl"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        ["pkg:cargo/deeper@3.0.0", "pkg:cargo/linked@2.0.0%2Bx"]
    );
    assert_eq!(
        bom["components"][1]["licenses"],
        json!([{"expression": "MIT OR Apache-2.0"}])
    );
    assert_eq!(
        bom["dependencies"],
        json!([
            {"ref": "pkg:cargo/program@1.0.0", "dependsOn": ["pkg:cargo/linked@2.0.0%2Bx"]},
            {"ref": "pkg:cargo/deeper@3.0.0", "dependsOn": []},
            {"ref": "pkg:cargo/linked@2.0.0%2Bx", "dependsOn": ["pkg:cargo/deeper@3.0.0"]},
        ])
    );
}

#[test]
fn a_program_that_is_not_there_is_named() {
    let error = Graph::parse(&answer(), "other").unwrap_err();
    assert_eq!(error.to_string(), "cargo metadata has no package other");
}

#[test]
fn an_image_of_files_tells_the_images_that_it_names() {
    let digest = "sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    let image: ImageReference = format!("r.example/a/b@{digest}").parse().unwrap();
    let bom = Bom::of_references(
        "5spot-bundle",
        &Version::new(1, 0, 0),
        Timestamp::UNIX_EPOCH,
        &[image],
    );
    let bom = document(&bom);
    let purl = format!(
        "pkg:oci/b@{}?repository_url=r.example/a/b",
        digest.replace(':', "%3A")
    );
    assert_eq!(bom["components"][0]["purl"], purl);
    assert_eq!(
        bom["dependencies"][0]["dependsOn"],
        json!([format!("r.example/a/b@{digest}")])
    );
}

#[test]
fn the_operator_is_compiled_of_what_cargo_says() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let graph = Graph::read(&root, "five-spot", "x86_64-unknown-linux-gnu").unwrap();
    let names: Vec<_> = graph
        .libraries()
        .map(|package| package.name.as_str())
        .collect();
    assert!(names.contains(&"kube"), "{names:?}");
    assert!(!names.contains(&"proptest"), "{names:?}");
    assert!(!names.contains(&"five-spot-e2e"), "{names:?}");
}

//! What a `failover.toml` may say, and how it is told what it may not.

use std::path::Path;

use super::*;
use crate::{
    deploy::{LeaseDuration, Seconds},
    observe::canary::has_counter,
};
use failover_judging::samples::says;
use failover_rig::cluster::OPERATOR_IMAGE;

const EXAMPLES: [&str; 4] = ["5spot", "client-go", "kube-lease-manager", "kube-rs"];

fn parse(text: &str) -> Result<Config, ConfigError> {
    Config::parse(Path::new("some/failover.toml"), text.to_owned())
}

fn example(name: &str) -> Config {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples"));
    Config::read(&folder.join(name).join(FILE)).unwrap_or_else(|error| panic!("{error}"))
}

fn refused(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[test]
fn every_key_can_be_said() {
    let config = parse(
        r#"
        [target]
        manifests = ["a", "b.yaml"]
        image = "x"
        images = ["y"]
        namespace = "n"
        deployment = "d"
        container = "c"
        lease = "l"
        holder = "hostname_uuid"
        [target.election]
        lease_duration = "lease"
        renew_deadline = "10s"
        retry_period = "2s"
        [canary]
        object = { kind = "ConfigMap" }
        patch = { data = { x = "{counter}" } }
        modulo = 5
        answer = "configmaps"
        answer_name = "out"
        [metrics]
        port = 8080
        path = "/m"
        leader = "leading"
        standby = "standing_by"
        [run]
        replicas = [2, 3]
        faults = ["graceful", "crash-loop"]
        trials = 10
        seed = 7
        steady = "500ms"
        set_env = { A = "1" }
        ignore_writes = ["secrets", "leases.coordination.k8s.io"]
        fence = "on"
        hint = "off"
        fail_if = ["graceful.lease.p95>2s"]
        within = "15s"
        baseline = "old.json"
        regression = "20%"
        out = "results"
        "#,
    )
    .unwrap()
    .file;
    let target = config.target;
    assert_eq!(
        target.manifests,
        [PathBuf::from("a"), PathBuf::from("b.yaml")]
    );
    assert_eq!(target.holder, Some(HolderIdentity::HostnameUuid));
    assert_eq!(
        target.election.lease_duration,
        Some(LeaseDuration::FromLease)
    );
    assert_eq!(target.election.retry_period, Some(Seconds(2)));
    let run = config.run;
    assert_eq!(
        run.faults,
        Some(vec![FaultKind::Graceful, FaultKind::CrashLoop])
    );
    assert_eq!((run.fence, run.hint), (Some(Switch::On), Some(Switch::Off)));
    let regression = run.regression.unwrap();
    let percent = regression.get(&Config::default(), "run.regression");
    assert_eq!(percent.unwrap().to_string(), "20%");
    assert!(config.canary.is_some() && config.metrics.is_some());
}

#[test]
fn nothing_has_to_be_said() {
    assert_eq!(parse("").unwrap().file, ConfigFile::default());
}

#[test]
fn one_path_needs_no_list_and_is_relative_to_the_file() {
    let config = parse("target.manifests = \"deploy\"").unwrap();
    let paths = &config.file.target.manifests;
    assert_eq!(config.resolve(&paths[0]), Path::new("some/deploy"));
    assert_eq!(config.resolve(Path::new("/deploy")), Path::new("/deploy"));
}

#[rstest::rstest]
#[case::unknown_key("[target]\nnamespce = \"x\"\n", &["some/failover.toml:2:1", "target.namespce", "unknown field"])]
#[case::unknown_table("[tarket]\n", &["failover.toml:1:", "tarket", "unknown field"])]
#[case::wrong_type("[run]\ntrials = \"ten\"\n", &["failover.toml:2:10", "run.trials"])]
#[case::too_many("[run]\nreplicas = [2, 21]\n", &["failover.toml:2:12", "run.replicas[1]", "21 must be a whole number from 1 to 20"])]
#[case::unknown_fault("[run]\nfaults = [\"meteor\"]\n", &["failover.toml:2:11", "run.faults[0]", "meteor", "crash-loop"])]
#[case::no_time("[run]\nsteady = \"soon\"\n", &["failover.toml:2:10", "run.steady", "\"soon\" must be a time such as 15s"])]
#[case::no_seconds(
    "[target.election]\nretry_period = \"1500ms\"\n",
    &["failover.toml:2:16", "target.election.retry_period", "\"1500ms\" must be a whole number of seconds"]
)]
#[case::neither_time_nor_lease("[target.election]\nlease_duration = \"x\"\n", &["failover.toml:2:18", "or \"lease\""])]
#[case::unknown_holder("[target]\nholder = \"pod\"\n", &["failover.toml:2:10", "target.holder", "pod", "hostname_uuid"])]
#[case::no_resource(
    "[run]\nignore_writes = [\"ConfigMap\"]\n", &["failover.toml:2:17", "run.ignore_writes[0]", "\"ConfigMap\" must be RESOURCE"]
)]
#[case::no_paths("[target]\nmanifests = 5\n", &["failover.toml:2:13", "target.manifests", "a path or a list of paths"])]
#[case::incomplete_canary("[canary]\nanswer = \"configmaps\"\n", &["failover.toml:1:1", "canary", "missing field `object`"])]
#[case::no_toml("[target\n", &["failover.toml:1:"])]
#[case::twice("[run]\nseed = 1\nseed = 2\n", &["failover.toml:3:1", "duplicate key"])]
fn what_is_wrong_is_said_with_its_place_its_key_and_the_rule(
    #[case] text: &str,
    #[case] expected: &[&str],
) {
    let message = refused(text);
    says(&message, expected);
}

#[test]
fn a_column_counts_characters() {
    let message = refused("[target]\nimage = \"ü\"\nlease = 5 # é\n");
    assert!(
        message.starts_with("some/failover.toml:3:9: target.lease: "),
        "{message}"
    );
    let message = refused("[run]\nset_env = { \"é\" = 5 }\n");
    says(&message, &["failover.toml:2:19"]);
}

#[test]
fn a_file_that_is_named_must_be_there() {
    says(
        &Config::find(Some(Path::new("/nonexistent/failover.toml"))).unwrap_err(),
        &["--config=/nonexistent/failover.toml"],
    );
}

#[test]
fn every_example_reads_and_its_canary_changes() {
    for name in EXAMPLES {
        let config = example(name);
        let canary = config.file.canary.as_ref().unwrap();
        assert!(
            has_counter(&json(canary.patch.get_ref()).unwrap()),
            "{name}"
        );
        let manifests: Vec<PathBuf> = config.file.target.manifests.clone();
        let paths: Vec<PathBuf> = manifests.iter().map(|path| config.resolve(path)).collect();
        let objects = crate::deploy::Manifests::read(&paths).unwrap().objects;
        assert!(!objects.is_empty(), "{name}");
    }
}

#[test]
fn what_runs_without_a_file_is_the_example_of_our_own_operator() {
    let ours = Config::ours().unwrap();
    let example = example("5spot");
    assert_eq!(ours.file.target.image.as_deref(), Some(OPERATOR_IMAGE));
    let mut expected = example.file;
    expected.target.manifests = vec!["deploy".into()];
    assert_eq!(ours.file.target, expected.target);
    assert_eq!(ours.file.canary, expected.canary);
}

#[test]
fn the_canary_of_our_own_operator_is_a_scheduled_machine_that_is_never_active() {
    let canary = Config::ours().unwrap().file.canary.unwrap();
    let object = json(canary.object.get_ref()).unwrap();
    let machine: five_spot::api::ScheduledMachine = serde_json::from_value(object).unwrap();
    assert!(!machine.spec.schedule.enabled);
}

#[test]
fn a_table_is_the_json_that_it_looks_like() {
    let table: toml::Table =
        toml::from_str("a = 1\nb = [true, 1.5, \"x\"]\nc.d = 1979-05-27T07:32:00Z\n").unwrap();
    assert_eq!(
        json(&table).unwrap(),
        serde_json::json!({"a": 1, "b": [true, 1.5, "x"], "c": {"d": "1979-05-27T07:32:00Z"}})
    );
    let table: toml::Table = toml::from_str("a.b = [nan]\n").unwrap();
    assert!(json(&table).unwrap_err().starts_with("a: b: "));
}

#[test]
fn the_committed_schema_is_that_of_the_types() {
    let committed = include_str!("../../failover.schema.json");
    assert!(
        schema().unwrap() == committed,
        "e2e/failover.schema.json is stale: just generate writes it"
    );
}

#[test]
fn the_examples_are_valid_against_the_schema_and_a_misspelt_key_is_not() {
    let schema: serde_json::Value = serde_json::from_str(&schema().unwrap()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for name in EXAMPLES {
        let path = format!("{}/examples/{name}/{FILE}", env!("CARGO_MANIFEST_DIR"));
        let table: toml::Table = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let value = json(&table).unwrap();
        let errors: Vec<String> = validator
            .iter_errors(&value)
            .map(|error| error.to_string())
            .collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
    assert!(!validator.is_valid(&serde_json::json!({"target": {"namespce": "x"}})));
}

#[test]
fn the_file_in_the_readme_reads() {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```toml\n").unwrap();
    let (text, _) = rest.split_once("```").unwrap();
    let config = parse(text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    assert!(config.file.canary.is_some() && config.file.metrics.is_some());
}

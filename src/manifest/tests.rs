//! `deploy/` agrees with the code, and with itself.

mod access;
mod docs;
mod monitoring;

use std::collections::BTreeMap;

use clap::CommandFactory;
use k8s_openapi::api::{
    apps::v1::Deployment,
    core::v1::{Container, EnvVar, PodSpec, Service},
    policy::v1::PodDisruptionBudget,
};
use kube::Resource;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::crd_yaml;
use crate::{
    api::{GROUP, ScheduledMachine, Subject, VERSION},
    args::Args,
    schedule::Schedule,
};

fn read(name: &str) -> String {
    let path = format!("{}/deploy/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn documents(name: &str) -> Vec<Value> {
    serde_saphyr::from_multiple(&read(name)).unwrap()
}

/// The one object of kind `T` in a file.
fn object<T: DeserializeOwned + Resource<DynamicType = ()>>(name: &str) -> T {
    let kind = T::kind(&());
    let mut found: Vec<_> = documents(name)
        .into_iter()
        .filter(|document| document["kind"] == *kind)
        .collect();
    assert_eq!(found.len(), 1, "{kind} in {name}");
    serde_json::from_value(found.remove(0)).unwrap()
}

fn resources() -> Vec<String> {
    let kustomization = documents("kustomization.yaml").remove(0);
    serde_json::from_value(kustomization["resources"].clone()).unwrap()
}

fn deployment() -> Deployment {
    object("operator.yaml")
}

fn pod_spec() -> PodSpec {
    deployment().spec.unwrap().template.spec.unwrap()
}

fn container() -> Container {
    let mut containers = pod_spec().containers;
    assert_eq!(containers.len(), 1);
    containers.remove(0)
}

fn pod_labels() -> Value {
    json!(deployment().spec)["template"]["metadata"]["labels"].clone()
}

fn env() -> BTreeMap<String, EnvVar> {
    container()
        .env
        .unwrap()
        .into_iter()
        .map(|variable| (variable.name.clone(), variable))
        .collect()
}

/// What the argument of this name is when nothing is set.
fn default_of(argument: &str) -> String {
    let command = Args::command();
    let argument = command
        .get_arguments()
        .find(|found| found.get_id() == argument)
        .unwrap();
    argument.get_default_values()[0]
        .to_str()
        .unwrap()
        .to_owned()
}

#[test]
fn the_committed_definition_is_the_one_that_the_types_give() {
    assert!(
        read("crd.yaml") == crd_yaml().unwrap(),
        "deploy/crd.yaml differs from src/api; `five-spot crd > deploy/crd.yaml` (`just generate`) renders it anew"
    );
}

#[test]
fn the_kind_is_of_the_group_and_version_that_everything_else_names() {
    assert_eq!(
        ScheduledMachine::api_version(&()),
        format!("{GROUP}/{VERSION}")
    );
    assert_eq!(ScheduledMachine::plural(&()), "scheduledmachines");
}

#[test]
fn the_kustomization_lists_every_manifest_that_every_cluster_can_take() {
    let mut listed = resources();
    let mut present: Vec<String> =
        std::fs::read_dir(format!("{}/deploy", env!("CARGO_MANIFEST_DIR")))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.rsplit('.').next() == Some("yaml"))
            .filter(|name| !["kustomization.yaml", "sample.yaml"].contains(&name.as_str()))
            .collect();
    assert_eq!(
        listed[..2],
        ["namespace.yaml", "crd.yaml"],
        "what others need comes first"
    );
    listed.sort();
    present.sort();
    assert_eq!(listed, present);
}

#[test]
fn every_namespaced_object_names_its_namespace() {
    const CLUSTER_WIDE: [&str; 7] = [
        "Namespace",
        "CustomResourceDefinition",
        "ClusterRole",
        "ClusterRoleBinding",
        "ValidatingAdmissionPolicy",
        "ValidatingAdmissionPolicyBinding",
        "FlowSchema",
    ];
    for file in resources()
        .iter()
        .map(String::as_str)
        .chain(["monitoring/scrape.yaml", "monitoring/alerts.yaml"])
    {
        for document in documents(file) {
            let kind = document["kind"].as_str().unwrap();
            let namespace = &document["metadata"]["namespace"];
            if CLUSTER_WIDE.contains(&kind) {
                assert_eq!(*namespace, Value::Null, "{kind} in {file}");
            } else {
                assert_eq!(namespace, "5spot-system", "{kind} in {file}");
            }
        }
    }
    assert_eq!(
        documents("namespace.yaml")[0]["metadata"]["name"],
        "5spot-system"
    );
}

#[test]
fn the_environment_is_the_documented_one() {
    let field = |path: &str| json!({"fieldRef": {"fieldPath": path}});
    let expected = json!([
        {"name": "POD_NAME", "valueFrom": field("metadata.name")},
        {"name": "POD_NAMESPACE", "valueFrom": field("metadata.namespace")},
        {"name": "POD_UID", "valueFrom": field("metadata.uid")},
        {"name": "ENABLE_LEADER_ELECTION", "value": "true"},
        {"name": "LEASE_NAME", "value": "5spot-leader"},
        {"name": "LEASE_DURATION_SECONDS", "value": "15"},
        {"name": "LEASE_RENEW_DEADLINE_SECONDS", "value": "10"},
        {"name": "LEASE_RETRY_PERIOD_SECONDS", "value": "2"},
    ]);
    assert_eq!(json!(container().env), expected);
}

#[test]
fn every_variable_is_one_that_the_program_reads() {
    let command = Args::command();
    let read: Vec<_> = command
        .get_arguments()
        .filter_map(|argument| argument.get_env()?.to_str())
        .collect();
    for name in env().keys() {
        assert!(
            read.contains(&name.as_str()),
            "{name} is not one of {read:?}"
        );
    }
}

#[test]
fn the_pods_run_as_the_account_that_the_roles_are_bound_to() {
    let account = pod_spec().service_account_name.unwrap();
    let bindings: Vec<_> = documents("rbac.yaml")
        .into_iter()
        .filter(|document| document["kind"].as_str().unwrap().ends_with("Binding"))
        .collect();
    assert_eq!(bindings.len(), 2);
    for binding in bindings {
        let subjects =
            json!([{"kind": "ServiceAccount", "name": account, "namespace": "5spot-system"}]);
        assert_eq!(binding["subjects"], subjects);
    }
}

#[test]
fn the_probes_ask_the_one_port_that_is_served() {
    let container = json!(container());
    let ports = container["ports"].as_array().unwrap();
    assert_eq!(ports.len(), 2);
    let address = default_of("listen_address");
    assert!(address.ends_with(&format!(":{}", ports[0]["containerPort"])));
    for (probe, path) in [
        ("startupProbe", "/livez"),
        ("livenessProbe", "/livez"),
        ("readinessProbe", "/readyz"),
    ] {
        let asked = json!({"path": path, "port": ports[0]["name"]});
        assert_eq!(container[probe]["httpGet"], asked, "{probe}");
    }
    let service: Service = object("service.yaml");
    assert_eq!(
        json!(service.spec)["ports"][0]["targetPort"],
        ports[0]["name"]
    );
}

#[test]
fn what_proves_the_death_of_a_replica_is_where_the_program_expects_it() {
    let container = json!(container());
    assert_eq!(container["name"], default_of("container_name"));
    let path = &container["terminationMessagePath"];
    assert_eq!(*path, default_of("termination_log"));
    // Lines of a log must never pass for last words.
    assert_eq!(container["terminationMessagePolicy"], "File");
}

#[test]
fn the_hint_port_is_open_to_replicas_only_and_the_other_to_all() {
    let ports = container().ports.unwrap();
    let hint = ports
        .iter()
        .find(|port| port.name.as_deref() == Some("hint"));
    let address = default_of("hint_address");
    assert!(
        address.ends_with(&format!(":{}", hint.unwrap().container_port)),
        "{address}"
    );
    let policy = documents("network-policy.yaml").remove(0);
    let labels = pod_labels();
    assert_eq!(policy["spec"]["podSelector"]["matchLabels"], labels);
    assert_eq!(
        policy["spec"]["ingress"],
        json!([
            {"from": [{"podSelector": {"matchLabels": labels}}], "ports": [{"port": "hint"}]},
            {"ports": [{"port": "http"}]},
        ])
    );
}

#[test]
fn all_selectors_select_the_pods() {
    let labels = json!({"app": "5spot-controller"});
    let spec = json!(deployment().spec);
    let (budget, service): (PodDisruptionBudget, Service) =
        (object("pdb.yaml"), object("service.yaml"));
    assert_eq!(spec["template"]["metadata"]["labels"], labels);
    assert_eq!(spec["selector"]["matchLabels"], labels);
    assert_eq!(json!(budget.spec)["selector"]["matchLabels"], labels);
    assert_eq!(json!(service.spec)["selector"], labels);
    let spread = &spec["template"]["spec"]["affinity"]["podAntiAffinity"];
    let preferred = &spread["preferredDuringSchedulingIgnoredDuringExecution"];
    let by = |index: usize, key: &str| {
        let term = json!({"labelSelector": {"matchLabels": labels}, "topologyKey": key});
        assert_eq!(preferred[index]["podAffinityTerm"], term);
    };
    by(0, "kubernetes.io/hostname");
    by(1, "topology.kubernetes.io/zone");
    assert_eq!(preferred[2], Value::Null);
}

#[test]
fn neither_an_eviction_nor_a_rollout_leaves_nobody_ready() {
    let budget: PodDisruptionBudget = object("pdb.yaml");
    let least = json!(budget.spec)["minAvailable"].as_i64().unwrap();
    let deployment = json!(deployment().spec);
    assert!(least >= 1);
    let replicas = deployment["replicas"].as_i64().unwrap();
    assert!(replicas > least, "else no node could be drained");
    let rollout = json!({"maxUnavailable": 0, "maxSurge": 1});
    assert_eq!(deployment["strategy"]["rollingUpdate"], rollout);
}

#[test]
fn the_grace_period_has_room_for_the_drain_and_the_release() {
    let release = i64::try_from(lease_election::RELEASE_TIMEOUT.as_secs()).unwrap();
    let drain: i64 = default_of("drain_timeout_seconds").parse().unwrap();
    let grace = pod_spec().termination_grace_period_seconds.unwrap();
    assert!(
        grace > drain + release,
        "{grace} s for a drain of {drain} s and a release of {release} s"
    );
}

#[test]
fn the_image_is_that_of_this_version() {
    assert_eq!(
        container().image.unwrap(),
        format!("ghcr.io/finos/5spot-rs:v{}", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn the_pods_keep_the_restricted_standard() {
    let pod = json!(pod_spec().security_context);
    assert_eq!(pod["runAsNonRoot"], true);
    assert_eq!(pod["runAsUser"], 65532);
    assert_eq!(pod["seccompProfile"]["type"], "RuntimeDefault");
    let expected = json!({
        "readOnlyRootFilesystem": true, "allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]},
    });
    assert_eq!(json!(container().security_context), expected);
    let labels = documents("namespace.yaml").remove(0)["metadata"]["labels"].clone();
    assert_eq!(labels["pod-security.kubernetes.io/enforce"], "restricted");
    let dockerfile = read("Dockerfile");
    assert!(dockerfile.lines().any(|line| line == "USER 65532:65532"));
}

#[test]
fn a_service_has_a_name_that_dns_takes() {
    let service: Service = object("service.yaml");
    let name = service.metadata.name.unwrap();
    assert!(name.starts_with(|first: char| first.is_ascii_lowercase()));
}

#[rstest::rstest]
#[case("sample.yaml")]
#[case("samples/first-window.yaml")]
#[case("samples/kill-switch.yaml")]
#[case("samples/kubeadm.yaml")]
#[case("samples/workload-cluster.yaml")]
fn a_sample_is_one_that_the_operator_acts_on(#[case] file: &str) {
    let sample: ScheduledMachine = object(file);
    let texts = &sample.spec.schedule;
    Schedule::parse(&texts.days_of_week, &texts.hours_of_day, &texts.timezone).unwrap();
    sample.spec.check(Subject::References).unwrap();
    sample.spec.check(Subject::Timeouts).unwrap();
}

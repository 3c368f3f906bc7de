//! The generator: its output is what is committed, and differs from `deploy/` only where it must.

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use five_spot::{
    access::{NAMESPACE, RIGHTS, Reach},
    args::Args,
};
use k8s_openapi::api::{
    apps::v1::{Deployment, DeploymentSpec},
    core::v1::Service,
    policy::v1::PodDisruptionBudget,
    rbac::v1::{PolicyRule, Role, RoleBinding},
};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::*;
use crate::sources::Sources;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources() -> Sources {
    Sources::read(&root()).unwrap()
}

fn generated() -> Files {
    generate(&sources()).unwrap()
}

fn object<T: DeserializeOwned>(file: &str) -> T {
    let files = generated();
    let text = std::str::from_utf8(files.get(file).unwrap()).unwrap();
    serde_saphyr::from_str(text).unwrap()
}

fn csv() -> Value {
    object("manifests/5-spot.clusterserviceversion.yaml")
}

fn deployment() -> DeploymentSpec {
    let spec = csv()["spec"]["install"]["spec"]["deployments"][0]["spec"].clone();
    serde_json::from_value(spec).unwrap()
}

#[test]
fn the_committed_bundle_is_the_generated_one() {
    let committed = Files::read(Path::new(env!("CARGO_MANIFEST_DIR"))).unwrap();
    let committed =
        committed.within(&["manifests/", "metadata/", "tests/scorecard/", "Dockerfile"]);
    let differences = generated().differences(&committed);
    assert!(
        differences.is_empty(),
        "`just generate` writes bundle/ anew: {differences:?}"
    );
}

#[test]
fn the_same_sources_give_the_same_bytes() {
    assert_eq!(generate(&sources()).unwrap(), generated());
}

#[test]
fn the_definition_is_that_of_deploy_to_the_byte() {
    let deployed = std::fs::read(root().join("deploy/crd.yaml")).unwrap();
    let file = "manifests/scheduledmachines.5spot.finos.org.crd.yaml";
    assert!(generated().get(file).unwrap() == deployed);
}

#[test]
fn the_version_is_that_of_the_workspace_everywhere() {
    let version = env!("CARGO_PKG_VERSION");
    let csv = csv();
    assert_eq!(csv["spec"]["version"], version);
    assert_eq!(csv["metadata"]["name"], format!("5-spot.v{version}"));
    let files = generated();
    let dockerfile = std::str::from_utf8(files.get("Dockerfile").unwrap()).unwrap();
    let label = format!("LABEL org.opencontainers.image.version={version}\n");
    assert!(dockerfile.contains(&label), "{dockerfile}");
}

#[test]
fn the_deployment_is_that_of_deploy_but_for_what_olm_needs() {
    let sources = sources();
    let mut spec = deployment();
    let plain = sources.deployment.spec.clone().unwrap();
    assert_ne!(spec, plain);
    let pod = spec.template.spec.as_mut().unwrap();
    let affinity = pod.affinity.as_mut().unwrap().node_affinity.take().unwrap();
    assert_eq!(
        json!(affinity.required_during_scheduling_ignored_during_execution),
        json!({"nodeSelectorTerms": [{"matchExpressions": [
            {"key": "kubernetes.io/arch", "operator": "In", "values": ["amd64"]},
            {"key": "kubernetes.io/os", "operator": "In", "values": ["linux"]},
        ]}]})
    );
    let container = &mut pod.containers[0];
    assert_eq!(container.name, "manager");
    "controller".clone_into(&mut container.name);
    let told = container.env.as_mut().unwrap().pop().unwrap();
    assert_eq!(
        (told.name.as_str(), told.value.as_deref()),
        ("CONTAINER_NAME", Some("manager"))
    );
    assert_eq!(
        container.image,
        Some(sources.base.release.operator_image.reference())
    );
    let plain_pod = plain.template.spec.as_ref().unwrap();
    container.image.clone_from(&plain_pod.containers[0].image);
    let annotations = spec.template.metadata.as_mut().unwrap();
    annotations.annotations = plain
        .template
        .metadata
        .as_ref()
        .unwrap()
        .annotations
        .clone();
    assert_eq!(
        json!(spec.strategy),
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 1}})
    );
    spec.strategy.clone_from(&plain.strategy);
    assert_eq!(spec, plain);
}

#[test]
fn the_service_is_that_of_deploy_wherever_it_is_installed() {
    let mut deployed = sources().service;
    deployed.metadata.namespace = None;
    assert_eq!(
        object::<Service>("manifests/five-spot-metrics.service.yaml"),
        deployed
    );
}

#[test]
fn the_budget_lets_one_go_at_any_number_of_replicas() {
    let budget: PodDisruptionBudget = object("manifests/5spot-controller.poddisruptionbudget.yaml");
    assert_eq!(
        json!(budget.spec),
        json!({
            "maxUnavailable": 1,
            "selector": {"matchLabels": {"app": "5spot-controller"}},
            "unhealthyPodEvictionPolicy": "AlwaysAllow",
        })
    );
}

#[test]
fn all_rights_are_granted_and_each_where_it_reaches() {
    let granted = |rules: &[PolicyRule]| {
        rules
            .iter()
            .map(|rule| {
                json!([
                    rule.api_groups,
                    rule.resources,
                    rule.resource_names,
                    rule.verbs
                ])
            })
            .collect::<Vec<_>>()
    };
    let wanted = |reach| {
        RIGHTS
            .iter()
            .filter(|right| right.reach == reach)
            .map(|right| {
                let names = (!right.names.is_empty()).then_some(right.names);
                json!([[right.group], [right.resource], names, right.verbs])
            })
            .collect::<Vec<_>>()
    };
    let role: Role = object("manifests/5spot-controller-election.role.yaml");
    assert_eq!(granted(&role.rules.unwrap()), wanted(Reach::OwnNamespace));
    let csv = csv();
    let install = &csv["spec"]["install"]["spec"];
    let rules: Vec<PolicyRule> =
        serde_json::from_value(install["clusterPermissions"][0]["rules"].clone()).unwrap();
    assert_eq!(granted(&rules), wanted(Reach::Cluster));
    assert_eq!(install["permissions"], Value::Null);
    let binding: RoleBinding = object("manifests/5spot-controller-election.rolebinding.yaml");
    let account = deployment().template.spec.unwrap().service_account_name;
    assert_eq!(Some(binding.subjects.unwrap()[0].name.clone()), account);
    assert_eq!(
        install["clusterPermissions"][0]["serviceAccountName"],
        json!(account)
    );
}

#[test]
fn every_setting_is_a_variable_because_users_of_olm_set_no_flags() {
    let command = Args::command();
    for argument in command.get_arguments() {
        let name = argument.get_id().as_str();
        assert!(
            ["help", "version"].contains(&name) || argument.get_env().is_some(),
            "{name}"
        );
    }
    let container = deployment().template.spec.unwrap().containers.remove(0);
    assert_eq!((container.args, container.command), (None, None));
    let literal: Vec<_> = container
        .env
        .unwrap()
        .into_iter()
        .filter(|variable| variable.name.starts_with("LEASE_") && variable.value.is_some())
        .map(|variable| variable.name)
        .collect();
    assert_eq!(
        literal,
        [
            "LEASE_NAME",
            "LEASE_DURATION_SECONDS",
            "LEASE_RENEW_DEADLINE_SECONDS",
            "LEASE_RETRY_PERIOD_SECONDS"
        ]
    );
}

#[test]
fn nothing_says_where_it_is_installed() {
    for (path, content) in generated().within(&["manifests/"]).iter() {
        let text = std::str::from_utf8(content).unwrap();
        assert!(!text.contains(NAMESPACE), "{path}");
    }
}

#[test]
fn one_replica_is_refused() {
    let mut sources = sources();
    sources.deployment.spec.as_mut().unwrap().replicas = Some(1);
    let error = generate(&sources).unwrap_err().to_string();
    assert_eq!(
        error,
        "deploy/operator.yaml: spec.replicas is \"1\": must be 2 or more, as users of OLM can't change it"
    );
}

#[test]
fn a_service_whose_name_begins_with_a_digit_is_refused() {
    let mut sources = sources();
    sources.service.metadata.name = Some("5spot".to_owned());
    let error = generate(&sources).unwrap_err().to_string();
    assert!(
        error.starts_with("deploy/service.yaml: metadata.name is \"5spot\": must begin"),
        "{error}"
    );
}

#[test]
fn a_second_container_is_refused() {
    let mut sources = sources();
    let deployment: &mut Deployment = &mut sources.deployment;
    let pod = deployment.spec.as_mut().unwrap().template.spec.as_mut();
    let containers = &mut pod.unwrap().containers;
    containers.push(containers[0].clone());
    let error = generate(&sources).unwrap_err().to_string();
    assert_eq!(error, "deploy/operator.yaml has no single container");
}

//! Shapes of the objects, and whose they are.

use kube::core::DynamicObject;
use rstest::rstest;
use serde_json::{Value, json};

use super::*;
use crate::api::{ScheduledMachine, fixture::office_with};

fn office(change: &[(&str, Value)]) -> ScheduledMachine {
    let common = [
        ("/metadata/uid", json!("u1")),
        ("/spec/nodeDrainTimeout", json!("10m")),
    ];
    office_with(&[&common[..], change].concat())
}

fn seen(mut object: Value) -> Seen {
    object["metadata"]["uid"] = json!("x");
    object["metadata"]["resourceVersion"] = json!("1");
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    Seen::of_machine(&object).unwrap()
}

#[test]
fn the_machine_of_v1beta1_refers_by_version_and_namespace() {
    let machine = manifest(Part::Machine, &office(&[]), MachineVersion::V1Beta1);
    assert_eq!(machine["apiVersion"], "cluster.x-k8s.io/v1beta1");
    assert_eq!(
        machine["spec"],
        json!({
            "clusterName": "lab",
            "bootstrap": {"configRef": {
                "apiVersion": "bootstrap.cluster.x-k8s.io/v1beta1", "kind": "K0sWorkerConfig", "name": "a",
                "namespace": "default",
            }},
            "infrastructureRef": {
                "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1", "kind": "RemoteMachine", "name": "a",
                "namespace": "default",
            },
            "nodeDrainTimeout": "600s",
        })
    );
}

#[test]
fn the_machine_of_v1beta2_refers_by_group() {
    let machine = manifest(Part::Machine, &office(&[]), MachineVersion::V1Beta2);
    assert_eq!(machine["apiVersion"], "cluster.x-k8s.io/v1beta2");
    assert_eq!(
        machine["spec"],
        json!({
            "clusterName": "lab",
            "bootstrap": {"configRef": {
                "apiGroup": "bootstrap.cluster.x-k8s.io", "kind": "K0sWorkerConfig", "name": "a",
            }},
            "infrastructureRef": {
                "apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "RemoteMachine", "name": "a",
            },
            "deletion": {"nodeDrainTimeoutSeconds": 600},
        })
    );
}

#[test]
fn the_version_is_that_of_the_template_where_it_has_one() {
    for version in MachineVersion::ALL {
        let machine = manifest(Part::Machine, &office(&[]), version);
        assert_eq!(machine["spec"].get("version"), None);
        let template = json!({"version": "v1.34.4"});
        let object = office(&[("/spec/machineTemplate", template)]);
        let machine = manifest(Part::Machine, &object, version);
        assert_eq!(machine["spec"]["version"], "v1.34.4");
    }
}

#[test]
fn all_parts_are_labelled_and_only_the_machine_is_owned() {
    let template =
        json!({"labels": {"example.com/pool": "x"}, "annotations": {"example.com/note": "y"}});
    let object = office(&[("/spec/machineTemplate", template)]);
    for part in Part::ALL {
        let made = manifest(part, &object, MachineVersion::V1Beta2);
        let metadata = &made["metadata"];
        assert_eq!(metadata["name"], "a");
        assert_eq!(metadata["namespace"], "default");
        assert_eq!(metadata["labels"]["5spot.finos.org/scheduled-machine"], "a");
        assert_eq!(metadata["labels"]["cluster.x-k8s.io/cluster-name"], "lab");
        assert_eq!(
            metadata["annotations"]["5spot.finos.org/scheduled-machine-uid"],
            "u1"
        );
        let is_machine = part == Part::Machine;
        assert_eq!(metadata["ownerReferences"].is_array(), is_machine);
        assert_eq!(metadata["labels"]["example.com/pool"] == "x", is_machine);
        assert_eq!(
            metadata["annotations"]["example.com/note"] == "y",
            is_machine
        );
        assert!(seen(made).is_of(part, "a", "u1"), "{part:?}");
    }
}

#[test]
fn a_drain_timeout_of_zero_exempts_the_machine_because_cluster_api_takes_zero_for_no_limit() {
    let object = office(&[("/spec/nodeDrainTimeout", json!("0s"))]);
    for version in MachineVersion::ALL {
        let machine = manifest(Part::Machine, &object, version);
        assert_eq!(machine["spec"]["nodeDrainTimeout"], Value::Null);
        assert_eq!(machine["spec"]["deletion"], Value::Null);
        assert!(seen(machine).machine.unwrap().exempted_by_us().drain);
    }
}

#[rstest]
#[case::another_name(json!({"labels": {"5spot.finos.org/scheduled-machine": "b"}}), false, false)]
#[case::no_label(json!({}), false, false)]
#[case::an_earlier_one_of_the_name(json!({
    "labels": {"5spot.finos.org/scheduled-machine": "a"},
    "annotations": {"5spot.finos.org/scheduled-machine-uid": "u0"},
}), false, false)]
#[case::owned_by_an_earlier_one(json!({
    "labels": {"5spot.finos.org/scheduled-machine": "a"},
    "ownerReferences": [{"apiVersion": "5spot.finos.org/v1alpha1", "kind": "ScheduledMachine", "name": "a", "uid": "u0"}],
}), false, false)]
#[case::made_by_the_public_implementation(json!({
    "labels": {"5spot.finos.org/scheduled-machine": "a"},
}), true, false)]
#[case::a_machine_made_by_the_public_implementation(json!({
    "labels": {"5spot.finos.org/scheduled-machine": "a"},
    "ownerReferences": [{"apiVersion": "5spot.finos.org/v1alpha1", "kind": "ScheduledMachine", "name": "a", "uid": "u1"}],
}), true, true)]
#[case::an_owner_of_that_kind_in_another_group(json!({
    "labels": {"5spot.finos.org/scheduled-machine": "a"},
    "ownerReferences": [{"apiVersion": "example.com/v1", "kind": "ScheduledMachine", "name": "a", "uid": "u1"}],
}), true, false)]
fn ours_is_what_carries_our_label_and_nobody_elses_uid(
    #[case] mut metadata: Value,
    #[case] as_bootstrap: bool,
    #[case] as_machine: bool,
) {
    metadata["name"] = json!("a");
    metadata["uid"] = json!("x");
    let seen = seen(json!({"apiVersion": "x/v1", "kind": "X", "metadata": metadata}));
    assert_eq!(seen.is_of(Part::Bootstrap, "a", "u1"), as_bootstrap);
    assert_eq!(seen.is_of(Part::Machine, "a", "u1"), as_machine);
}

#[rstest]
#[case::v1beta1(json!({
    "phase": "Running",
    "nodeRef": {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "nu"},
    "conditions": [{"type": "Ready", "status": "True"}],
}), Some("n"), true)]
#[case::v1beta2_refers_to_a_node_by_name_alone(json!({
    "phase": "Running",
    "nodeRef": {"name": "n"},
    "conditions": [{"type": "Ready", "status": "True", "reason": "Ready"}],
}), Some("n"), true)]
#[case::without_the_condition(json!({"phase": "Running", "nodeRef": {"name": "n"}}), Some("n"), true)]
#[case::not_ready(json!({
    "phase": "Running", "nodeRef": {"name": "n"},
    "conditions": [{"type": "Ready", "status": "False", "reason": "NodeNotHealthy"}],
}), Some("n"), false)]
#[case::without_a_node(json!({"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}), None, false)]
#[case::without_a_status(json!(null), None, false)]
fn a_machine_is_ready_with_its_node(
    #[case] status: Value,
    #[case] node: Option<&str>,
    #[case] is_ready: bool,
) {
    let machine = seen(json!({
        "apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Machine", "metadata": {"name": "a", "uid": "x"},
        "spec": {"clusterName": "lab", "providerID": "p://n"}, "status": status,
    }))
    .machine
    .unwrap();
    assert_eq!(machine.node.as_deref(), node);
    assert_eq!(machine.is_ready, is_ready);
    assert_eq!(machine.provider_id.as_deref(), Some("p://n"));
}

#[test]
fn a_kind_is_the_same_in_another_version_and_not_in_another_group() {
    let kind = Kind::named("g/v1", "X");
    assert!(kind.is_same(&Kind::named("g/v2", "X")));
    assert!(!kind.is_same(&Kind::named("h/v1", "X")));
    assert!(!kind.is_same(&Kind::named("g/v1", "Y")));
    assert!(!kind.is_same(&Kind::Machine));
}

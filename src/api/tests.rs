//! Names, and what the types make of objects as users write them.

use kube::{CustomResourceExt, Resource};
use serde_json::{Value, json};
use strum::VariantArray;

use super::fixture::office_json;
use super::*;

/// The schema of a field of the spec, by its JSON pointer.
fn schema(pointer: &str) -> Value {
    let definition = json!(ScheduledMachine::crd());
    let root = "/spec/versions/0/schema/openAPIV3Schema/properties";
    definition
        .pointer(&format!("{root}{pointer}"))
        .unwrap_or_else(|| panic!("no schema at {pointer}"))
        .clone()
}

#[test]
fn all_names_belong_to_the_group() {
    assert_eq!(ScheduledMachine::group(&()), GROUP);
    assert_eq!(ScheduledMachine::version(&()), VERSION);
    for name in [FINALIZER, SCHEDULED_MACHINE_LABEL] {
        assert!(name.starts_with(&format!("{GROUP}/")), "{name}");
    }
    assert!(RESERVED_METADATA_PREFIXES.contains(&format!("{GROUP}/").as_str()));
}

#[test]
fn what_is_left_out_gets_the_documented_default_from_the_types_and_from_the_schema() {
    let object: ScheduledMachine = serde_json::from_value(office_json("a")).unwrap();
    let spec = object.spec;
    let written = json!(spec);
    for (field, default) in [
        ("priority", json!(50)),
        ("gracefulShutdownTimeout", json!("5m")),
        ("nodeDrainTimeout", json!("5m")),
        ("killSwitch", json!(false)),
        ("schedule/timezone", json!("UTC")),
        ("schedule/enabled", json!(true)),
    ] {
        let found = written.pointer(&format!("/{field}"));
        assert_eq!(found, Some(&default), "{field}");
        let place = field.replace('/', "/properties/");
        let schema = schema(&format!("/spec/properties/{place}"));
        assert_eq!(schema["default"], default, "{field}");
    }
}

#[test]
fn the_definition_has_the_public_shape() {
    let definition = json!(ScheduledMachine::crd());
    assert_eq!(definition["spec"]["names"]["shortNames"], json!(["sm"]));
    assert_eq!(definition["spec"]["scope"], "Namespaced");
    assert_eq!(
        definition["spec"]["versions"][0]["subresources"],
        json!({"status": {}})
    );
    assert_eq!(
        schema("/spec")["required"],
        json!([
            "bootstrapSpec",
            "clusterName",
            "infrastructureSpec",
            "schedule"
        ])
    );
    let columns = definition["spec"]["versions"][0]["additionalPrinterColumns"].clone();
    let names: Vec<_> = columns
        .as_array()
        .unwrap()
        .iter()
        .map(|column| column["name"].as_str().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "Phase",
            "InSchedule",
            "Enabled",
            "Schedule Days",
            "Schedule Hours",
            "Next Activation",
            "KillSwitch",
            "Message",
            "Age"
        ]
    );
}

#[test]
fn everything_that_a_cel_rule_looks_at_is_bounded() {
    fn walk(schema: &Value, path: &str, unbounded: &mut Vec<String>) {
        let Value::Object(fields) = schema else {
            return;
        };
        if fields.contains_key("x-kubernetes-validations") {
            let bound = match fields["type"].as_str() {
                Some("string") => "maxLength",
                Some("array") => "maxItems",
                Some("object") if fields.contains_key("additionalProperties") => "maxProperties",
                _ => "type",
            };
            if !fields.contains_key(bound) {
                unbounded.push(path.to_owned());
            }
        }
        for (name, inner) in fields {
            walk(inner, &format!("{path}/{name}"), unbounded);
        }
    }
    let mut unbounded = Vec::new();
    walk(&schema("/spec"), "", &mut unbounded);
    assert_eq!(unbounded, Vec::<String>::new());
}

#[test]
fn taints_are_unique_by_key_and_effect_and_conditions_by_type() {
    let taints = schema("/spec/properties/nodeTaints");
    assert_eq!(
        taints["x-kubernetes-list-map-keys"],
        json!(["key", "effect"])
    );
    let conditions = schema("/status/properties/conditions");
    assert_eq!(conditions["x-kubernetes-list-map-keys"], json!(["type"]));
}

#[test]
fn every_phase_is_written_as_it_is_called() {
    for phase in Phase::VARIANTS {
        assert_eq!(json!(phase), phase.to_string());
    }
}

#[test]
fn the_list_of_phases_is_that_of_the_schema() {
    assert_eq!(
        schema("/status/properties/phase")["enum"],
        json!(Phase::VARIANTS)
    );
}

#[test]
fn a_status_that_the_public_implementation_wrote_can_be_read() {
    let mut object = office_json("a");
    object["status"] = json!({
        "phase": "Active",
        "message": "Machine added to cluster",
        "inSchedule": true,
        "conditions": [{
            "type": "Ready", "status": "True", "reason": "MachineCreated", "message": "x",
            "lastTransitionTime": "2026-03-02T09:00:12.123456+00:00",
        }],
        "nodeRef": {"apiVersion": "v1", "kind": "Node", "name": "n", "uid": "u"},
        "providerID": "remote://n",
        "appliedNodeTaints": [{"key": "a", "value": "b", "effect": "NoSchedule"}],
    });
    let object: ScheduledMachine = serde_json::from_value(object).unwrap();
    assert_eq!(object.status.unwrap().phase, Some(Phase::Active));
}

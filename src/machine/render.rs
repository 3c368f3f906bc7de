//! What the objects of a `ScheduledMachine` look like when they are created. Pure.
//!
//! All are in its namespace and named like it, carry its label, and name it as an owner: by its UID an object of ours is
//! told from one of somebody else. Of the Machine it is the controller; of the other two Cluster API makes the Machine
//! the controller. Should the operator be gone for good, the garbage collector removes what it left.

use kube::{Resource, ResourceExt};
use serde_json::{Map, Value, json};

use super::{
    kind::{Contract, Kind, Role},
    objects::ObjectView,
};
use crate::api::{
    CLUSTER_NAME_LABEL, EmbeddedObject, ObjectReference, SCHEDULED_MACHINE_LABEL, ScheduledMachine,
    parse_timeout,
};

/// The object of `role`, as `kind` is served.
pub(crate) fn rendered(owner: &ScheduledMachine, role: Role, kind: &Kind) -> Value {
    let spec = match role {
        Role::Bootstrap => Value::Object(owner.spec.bootstrap_spec.spec.clone()),
        Role::Infrastructure => Value::Object(owner.spec.infrastructure_spec.spec.clone()),
        Role::Machine => machine_spec(owner, kind.contract().unwrap_or(Contract::V1Beta2)),
    };
    let mut labels = Map::new();
    let mut annotations = Map::new();
    if let (Role::Machine, Some(template)) = (role, &owner.spec.machine_template) {
        labels.extend(
            template
                .labels
                .iter()
                .map(|(key, value)| (key.clone(), json!(value))),
        );
        annotations.extend(
            template
                .annotations
                .iter()
                .map(|(key, value)| (key.clone(), json!(value))),
        );
    }
    labels.insert(SCHEDULED_MACHINE_LABEL.to_owned(), json!(owner.name_any()));
    labels.insert(
        CLUSTER_NAME_LABEL.to_owned(),
        json!(owner.spec.cluster_name),
    );
    let mut metadata = json!({
        "name": owner.name_any(),
        "namespace": owner.namespace(),
        "labels": labels,
        "ownerReferences": [owner_reference(owner, role)],
    });
    if !annotations.is_empty() {
        metadata["annotations"] = Value::Object(annotations);
    }
    json!({
        "apiVersion": kind.resource.api_version,
        "kind": kind.resource.kind,
        "metadata": metadata,
        "spec": spec,
    })
}

/// What is applied to an object that carries the label and has no owner among `ScheduledMachine`s.
pub(crate) fn adoption(owner: &ScheduledMachine, role: Role, object: &ObjectView) -> Value {
    json!({
        "apiVersion": object.kind.resource.api_version,
        "kind": object.kind.resource.kind,
        "metadata": {
            "name": object.name,
            "namespace": object.namespace,
            "uid": object.uid,
            "labels": {SCHEDULED_MACHINE_LABEL: owner.name_any()},
            "ownerReferences": [owner_reference(owner, role)],
        },
    })
}

/// Without `blockOwnerDeletion`: our finalizer keeps the order, and it would take a right to update the finalizers.
fn owner_reference(owner: &ScheduledMachine, role: Role) -> Value {
    let mut reference = json!({
        "apiVersion": ScheduledMachine::api_version(&()),
        "kind": ScheduledMachine::kind(&()),
        "name": owner.name_any(),
        "uid": owner.uid(),
    });
    if role == Role::Machine {
        reference["controller"] = json!(true);
    }
    reference
}

fn machine_spec(owner: &ScheduledMachine, contract: Contract) -> Value {
    let spec = &owner.spec;
    let mut machine = json!({
        "clusterName": spec.cluster_name,
        "bootstrap": {"configRef": reference(owner, &spec.bootstrap_spec, contract)},
        "infrastructureRef": reference(owner, &spec.infrastructure_spec, contract),
    });
    // For whoever deletes the Machine by hand. Zero means "for ever" to Cluster API, and "do not wait" to us.
    let timeout = parse_timeout(&spec.node_drain_timeout).unwrap_or_default();
    let seconds = timeout.as_secs().max(1);
    match contract {
        Contract::V1Beta1 => machine["nodeDrainTimeout"] = json!(format!("{seconds}s")),
        Contract::V1Beta2 => {
            machine["deletion"] = json!({"nodeDrainTimeoutSeconds": seconds});
        }
    }
    machine
}

fn reference(owner: &ScheduledMachine, object: &EmbeddedObject, contract: Contract) -> Value {
    let name = owner.name_any();
    match contract {
        Contract::V1Beta1 => json!(ObjectReference {
            api_version: object.api_version.clone(),
            kind: object.kind.clone(),
            name,
            namespace: owner.namespace(),
        }),
        Contract::V1Beta2 => {
            let group = object
                .api_version
                .split_once('/')
                .map_or("", |(group, _version)| group);
            json!({"apiGroup": group, "kind": object.kind, "name": name})
        }
    }
}

//! The objects as they are created.

use std::time::Duration;

use kube::ResourceExt;
use serde_json::{Value, json};

use super::kind::{CLUSTER_API, Kind, MachineVersion, Part};
use crate::api::{
    CLUSTER_NAME_LABEL, EmbeddedObject, GROUP, SCHEDULED_MACHINE_LABEL, SCHEDULED_MACHINE_UID,
    ScheduledMachine, VERSION, parse_timeout,
};

/// Annotation of Cluster API: whatever its value, Cluster API does not drain the Machine's Node.
pub(crate) const EXEMPT_FROM_DRAIN: &str = "machine.cluster.x-k8s.io/exclude-node-draining";

/// The same for waiting until volumes are detached.
pub(crate) const EXEMPT_FROM_DETACH: &str =
    "machine.cluster.x-k8s.io/exclude-wait-for-node-volume-detach";

/// The value by which an exemption of ours is known from one of a user's.
pub(crate) const EXEMPT_BY_US: &str = "5spot.finos.org";

/// The object to create for `part` of `object`. Its name and namespace are those of `object`.
///
/// # Labels, annotations and owners
/// All three carry the name of the `ScheduledMachine` and of its cluster as labels and its UID as an annotation; by those
/// they are found and recognized. Only the Machine is owned: it will be the owner of the other two, and an owner of ours
/// on those would have a foreground deletion take the host away under a Node that is not drained yet.
pub(crate) fn manifest(part: Part, object: &ScheduledMachine, version: MachineVersion) -> Value {
    let spec = &object.spec;
    match part {
        Part::Bootstrap => embedded(object, &spec.bootstrap_spec),
        Part::Infrastructure => embedded(object, &spec.infrastructure_spec),
        Part::Machine => machine(object, version),
    }
}

fn embedded(object: &ScheduledMachine, embedded: &EmbeddedObject) -> Value {
    json!({
        "apiVersion": embedded.api_version,
        "kind": embedded.kind,
        "metadata": metadata(object),
        "spec": embedded.spec,
    })
}

fn machine(object: &ScheduledMachine, version: MachineVersion) -> Value {
    let mut metadata = metadata(object);
    // An API server that checks it wants the right to update scheduledmachines/finalizers for blockOwnerDeletion.
    metadata["ownerReferences"] = json!([{
        "apiVersion": format!("{GROUP}/{VERSION}"),
        "kind": "ScheduledMachine",
        "name": object.name_any(),
        "uid": object.uid(),
        "controller": true,
        "blockOwnerDeletion": true,
    }]);
    let drain = parse_timeout(&object.spec.node_drain_timeout).unwrap_or_default();
    if drain.is_zero() {
        // To Cluster API a timeout of zero is none at all.
        metadata["annotations"][EXEMPT_FROM_DRAIN] = json!(EXEMPT_BY_US);
    }
    if let Some(template) = &object.spec.machine_template {
        for (field, entries) in [
            ("labels", &template.labels),
            ("annotations", &template.annotations),
        ] {
            for (key, value) in entries {
                metadata[field][key] = json!(value);
            }
        }
    }
    json!({
        "apiVersion": format!("{CLUSTER_API}/{}", version.as_str()),
        "kind": "Machine",
        "metadata": metadata,
        "spec": machine_spec(object, version, drain),
    })
}

fn machine_spec(object: &ScheduledMachine, version: MachineVersion, drain: Duration) -> Value {
    let spec = &object.spec;
    let reference = |embedded: &EmbeddedObject| match version {
        MachineVersion::V1Beta1 => json!({
            "apiVersion": embedded.api_version,
            "kind": embedded.kind,
            "name": object.name_any(),
            "namespace": object.namespace(),
        }),
        MachineVersion::V1Beta2 => json!({
            "apiGroup": embedded.api_version.split_once('/').map(|(group, _version)| group),
            "kind": embedded.kind,
            "name": object.name_any(),
        }),
    };
    let mut machine = json!({
        "clusterName": spec.cluster_name,
        "bootstrap": {"configRef": reference(&spec.bootstrap_spec)},
        "infrastructureRef": reference(&spec.infrastructure_spec),
    });
    let template = spec.machine_template.as_ref();
    if let Some(version) = template.and_then(|template| template.version.as_ref()) {
        machine["version"] = json!(version);
    }
    // For a Machine that somebody else deletes; the drain before our own deletion is ours.
    match version {
        _ if drain.is_zero() => {}
        MachineVersion::V1Beta1 => {
            machine["nodeDrainTimeout"] = json!(format!("{}s", drain.as_secs()));
        }
        MachineVersion::V1Beta2 => {
            machine["deletion"] = json!({"nodeDrainTimeoutSeconds": drain.as_secs()});
        }
    }
    machine
}

fn metadata(object: &ScheduledMachine) -> Value {
    let name = object.name_any();
    json!({
        "name": name,
        "namespace": object.namespace(),
        "labels": {
            SCHEDULED_MACHINE_LABEL: name,
            CLUSTER_NAME_LABEL: object.spec.cluster_name,
        },
        "annotations": {SCHEDULED_MACHINE_UID: object.uid()},
    })
}

impl Kind {
    /// The `apiVersion` and `kind` that a reference in a status carries.
    pub(crate) fn reference(&self, version: MachineVersion) -> (String, String) {
        match self {
            Self::Machine => (
                format!("{CLUSTER_API}/{}", version.as_str()),
                "Machine".to_owned(),
            ),
            Self::Embedded(kind) => (kind.api_version(), kind.kind.clone()),
        }
    }
}

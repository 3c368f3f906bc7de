//! Valid objects by name, for tests.

use serde_json::{Value, json};

use crate::api::ScheduledMachine;

/// Monday to Friday, 09:00 to 17:59:59 UTC.
pub(crate) fn office(name: &str) -> ScheduledMachine {
    serde_json::from_value(office_json(name)).unwrap()
}

/// The same with fields that are changed or added, by their JSON pointers.
pub(crate) fn office_with(change: &[(&str, Value)]) -> ScheduledMachine {
    let mut object = office_json("a");
    for (pointer, value) in change {
        let (parent, field) = pointer.rsplit_once('/').unwrap();
        object.pointer_mut(parent).unwrap()[field] = value.clone();
    }
    serde_json::from_value(object).unwrap()
}

pub(crate) fn office_json(name: &str) -> Value {
    json!({
        "apiVersion": "5spot.finos.org/v1alpha1",
        "kind": "ScheduledMachine",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {
            "schedule": {"daysOfWeek": ["mon-fri"], "hoursOfDay": ["9-17"]},
            "clusterName": "lab",
            "bootstrapSpec": {
                "apiVersion": "bootstrap.cluster.x-k8s.io/v1beta1",
                "kind": "K0sWorkerConfig",
                "spec": {"version": "v1.34.4"},
            },
            "infrastructureSpec": {
                "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1",
                "kind": "RemoteMachine",
                "spec": {"address": "192.0.2.1"},
            },
        },
    })
}

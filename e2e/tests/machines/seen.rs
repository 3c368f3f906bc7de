//! What a status says, and what is there.

use serde_json::{Value, json};

use crate::{
    provider::{bootstraps, kubeadm, machines, remote_machines},
    rig::Rig,
};

fn condition<'a>(status: &'a Value, kind: &str) -> Option<&'a Value> {
    let conditions = status["conditions"].as_array()?;
    conditions.iter().find(|found| found["type"] == kind)
}

/// Whether a condition is so.
pub(crate) fn is(status: &Value, kind: &str, is_true: bool) -> bool {
    let wanted = if is_true { "True" } else { "False" };
    condition(status, kind).is_some_and(|found| found["status"] == wanted)
}

pub(crate) fn reason<'a>(status: &'a Value, kind: &str) -> &'a str {
    condition(status, kind)
        .and_then(|found| found["reason"].as_str())
        .unwrap_or_default()
}

pub(crate) fn is_ready(status: &Value) -> bool {
    ["Ready", "Scheduled", "MachineReady", "ReferencesValid"]
        .into_iter()
        .all(|kind| is(status, kind, true))
}

/// A window of one hour that is twelve hours away, whenever this is asked.
pub(crate) fn shut() -> Value {
    let now = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC);
    let hour = (now.hour() + 12) % 24;
    json!({"schedule": {"hoursOfDay": [hour.to_string()]}})
}

/// Nothing of a machine is left, its Node included.
pub(crate) async fn is_gone(rig: &Rig, name: &str) -> bool {
    let kinds = [machines(), bootstraps(), kubeadm(), remote_machines()];
    for resource in kinds {
        if rig.get(&resource, name).await.is_some() {
            return false;
        }
    }
    rig.node().await.is_none()
}

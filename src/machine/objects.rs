//! What is remembered of an object of Cluster API, and whose it is.
//!
//! Ten thousand machines are thirty thousand objects, so only what a decision depends on is kept.

use std::sync::Arc;

use kube::{ResourceExt, api::DynamicObject};
use serde_json::Value;

use super::kind::{Kind, KindId};
use crate::api::{
    GROUP, NodeReference, ObjectReference, SCHEDULED_MACHINE_LABEL, ScheduledMachine,
};

/// Cluster API does not drain the Node of a Machine that has this annotation
/// (<https://cluster-api.sigs.k8s.io/reference/api/labels-and-annotations>).
pub(crate) const SKIPS_DRAIN: &str = "machine.cluster.x-k8s.io/exclude-node-draining";

/// Its value where it is ours.
pub(crate) const SKIP_DRAIN_BY_US: &str = "5spot-controller";

/// An object of Cluster API that carries the label of a `ScheduledMachine`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectView {
    /// Its kind, shared by all objects of it.
    pub(crate) kind: Arc<Kind>,
    /// Namespace.
    pub namespace: String,
    /// Name.
    pub name: String,
    /// UID, which tells it from a later object of the same name.
    pub uid: String,
    /// The value of the label.
    pub label: String,
    /// UIDs of the `ScheduledMachine`s that own it: one at most, unless somebody meddled.
    pub owners: Vec<String>,
    /// Whether it is being deleted.
    pub is_deleting: bool,
    /// What only a Machine has.
    pub machine: Option<MachineView>,
}

/// What is remembered of a Machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MachineView {
    /// The cluster that it belongs to.
    pub cluster: String,
    /// The provider's identifier.
    pub provider_id: Option<String>,
    /// The Node that it became.
    pub node: Option<NodeReference>,
    /// Whether Cluster API calls it ready.
    pub is_ready: bool,
    /// What Cluster API says about that.
    pub explanation: String,
    /// Whether we have told Cluster API not to drain its Node.
    pub skips_drain: bool,
}

/// Whose an object is, seen from a `ScheduledMachine`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// It refers to this one as its owner.
    Ours,
    /// It carries the label and no `ScheduledMachine` owns it: it was made by the public implementation, or restored
    /// from a backup.
    Adoptable,
    /// Somebody else's: it is never touched.
    Foreign,
}

impl ObjectView {
    /// What matters of `object`; `None` where it lacks what every object has.
    pub(crate) fn of(kind: &Arc<Kind>, object: &DynamicObject) -> Option<Self> {
        let is_owner = |api_version: &str| {
            api_version
                .split_once('/')
                .is_some_and(|(group, _version)| group == GROUP)
        };
        let owners = object
            .owner_references()
            .iter()
            .filter(|owner| is_owner(&owner.api_version))
            .map(|owner| owner.uid.clone())
            .collect();
        let machine = (kind.id == KindId::Machine).then(|| MachineView::of(object));
        Some(Self {
            kind: Arc::clone(kind),
            namespace: object.namespace()?,
            name: object.name_any(),
            uid: object.uid()?,
            label: object
                .labels()
                .get(SCHEDULED_MACHINE_LABEL)
                .cloned()
                .unwrap_or_default(),
            owners,
            is_deleting: object.metadata.deletion_timestamp.is_some(),
            machine,
        })
    }

    /// Whose it is, seen from `owner`.
    pub fn ownership(&self, owner: &ScheduledMachine) -> Ownership {
        let uid = owner.metadata.uid.as_deref().unwrap_or_default();
        if self.owners.iter().any(|found| found == uid) {
            return Ownership::Ours;
        }
        let is_labelled = self.label == owner.name_any()
            && Some(&self.namespace) == owner.metadata.namespace.as_ref();
        if is_labelled && self.owners.is_empty() {
            Ownership::Adoptable
        } else {
            Ownership::Foreign
        }
    }

    /// As a status refers to it.
    pub fn reference(&self) -> ObjectReference {
        ObjectReference {
            api_version: self.kind.resource.api_version.clone(),
            kind: self.kind.resource.kind.clone(),
            name: self.name.clone(),
            namespace: Some(self.namespace.clone()),
        }
    }
}

impl MachineView {
    fn of(object: &DynamicObject) -> Self {
        let data = &object.data;
        let text = |pointer: &str| {
            data.pointer(pointer)
                .and_then(Value::as_str)
                .map(str::to_owned)
        };
        let node = text("/status/nodeRef/name").map(|name| NodeReference {
            api_version: "v1".to_owned(),
            kind: "Node".to_owned(),
            name,
            // v1beta2 refers by name alone.
            uid: text("/status/nodeRef/uid"),
        });
        let conditions = data.pointer("/status/conditions").and_then(Value::as_array);
        let ready = conditions
            .into_iter()
            .flatten()
            .find(|found| found["type"] == "Ready");
        let is_ready = ready.is_some_and(|ready| ready["status"] == "True");
        Self {
            cluster: text("/spec/clusterName").unwrap_or_default(),
            provider_id: text("/spec/providerID"),
            is_ready: is_ready && node.is_some(),
            explanation: explanation(ready, text("/status/phase")),
            node,
            skips_drain: object.annotations().get(SKIPS_DRAIN).map(String::as_str)
                == Some(SKIP_DRAIN_BY_US),
        }
    }
}

fn explanation(ready: Option<&Value>, phase: Option<String>) -> String {
    /// Enough for a person, and little enough for ten thousand statuses.
    const LONGEST: usize = 256;
    let words = ready.map(|ready| {
        let text = |field: &str| ready[field].as_str().unwrap_or_default().trim();
        [text("reason"), text("message")].map(str::to_owned)
    });
    let parts: Vec<String> = phase
        .map(|phase| format!("phase {phase}"))
        .into_iter()
        .chain(words.into_iter().flatten())
        .filter(|part| !part.is_empty())
        .collect();
    let mut text = parts.join(", ");
    text.truncate(text.floor_char_boundary(LONGEST));
    text
}

//! The objects as they are found, without all that nobody here reads.

use kube::{
    ResourceExt,
    core::{DynamicObject, ObjectMeta},
};
use serde_json::Value;

use super::{
    kind::{CLUSTER_API, Part},
    manifest::{EXEMPT_BY_US, EXEMPT_FROM_DETACH, EXEMPT_FROM_DRAIN},
};
use crate::api::{GROUP, SCHEDULED_MACHINE_LABEL, SCHEDULED_MACHINE_UID};

/// Which object it was that something was decided about, and as of when. A write that names both is refused once the object
/// is another one or has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Revision {
    pub(crate) uid: String,
    pub(crate) version: String,
}

/// An object that carries the label of a `ScheduledMachine`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) uid: String,
    /// Its resourceVersion.
    version: String,
    /// Whether it is being deleted.
    pub(crate) is_deleting: bool,
    /// The UID of the Machine that Cluster API made its owner.
    pub(crate) machine_uid: Option<String>,
    /// What only a Machine has.
    pub(crate) machine: Option<MachineState>,
    label: String,
    annotation: Option<String>,
    owner_uid: Option<String>,
}

/// What a Machine says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MachineState {
    /// The cluster that it belongs to.
    pub(crate) cluster: String,
    /// Name of its Node.
    pub(crate) node: Option<String>,
    /// UID of its Node, which only v1beta1 tells.
    pub(crate) node_uid: Option<String>,
    /// What its provider calls it.
    pub(crate) provider_id: Option<String>,
    /// Whether it is a Node that is ready.
    pub(crate) is_ready: bool,
    /// Where it is in its life, in Cluster API's words.
    pub(crate) phase: Option<String>,
    /// Why it is not ready, in one word of Cluster API's.
    pub(crate) reason: Option<String>,
    /// Whether it is exempt from Cluster API's own drain.
    pub(crate) from_drain: Exemption,
    /// Whether it is exempt from Cluster API's wait for volumes.
    pub(crate) from_detach: Exemption,
}

/// Whether Cluster API leaves something out when it removes a Machine, and who wants that.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Exemption {
    /// It does not.
    #[default]
    None,
    /// We do; it can be taken back.
    ByUs,
    /// Somebody else does; it is theirs to change.
    ByOthers,
}

impl Seen {
    /// Reads an object of which only metadata are known; `None` where it has no UID or no version, which all have that the
    /// API server answers with.
    pub(crate) fn of_metadata(metadata: &ObjectMeta) -> Option<Self> {
        let owners = metadata.owner_references.iter().flatten();
        let owner = |group: &str, kind: &str| {
            let mut owners = owners.clone();
            owners
                .find(|owner| {
                    owner.kind == kind
                        && owner
                            .api_version
                            .split_once('/')
                            .is_some_and(|(of, _version)| of == group)
                })
                .map(|owner| owner.uid.clone())
        };
        let entry = |entries: &Option<std::collections::BTreeMap<String, String>>, key: &str| {
            entries
                .as_ref()
                .and_then(|entries| entries.get(key))
                .cloned()
        };
        Some(Self {
            uid: metadata.uid.clone()?,
            version: metadata.resource_version.clone()?,
            is_deleting: metadata.deletion_timestamp.is_some(),
            machine_uid: owner(CLUSTER_API, "Machine"),
            machine: None,
            label: entry(&metadata.labels, SCHEDULED_MACHINE_LABEL).unwrap_or_default(),
            annotation: entry(&metadata.annotations, SCHEDULED_MACHINE_UID),
            owner_uid: owner(GROUP, "ScheduledMachine"),
        })
    }

    /// Reads a Machine, of either version.
    pub(crate) fn of_machine(object: &DynamicObject) -> Option<Self> {
        let seen = Self::of_metadata(&object.metadata)?;
        Some(Self {
            machine: Some(MachineState::of(object)),
            ..seen
        })
    }

    /// Which object it is, as of now.
    pub(crate) fn revision(&self) -> Revision {
        Revision {
            uid: self.uid.clone(),
            version: self.version.clone(),
        }
    }

    /// Whether it was created for the `ScheduledMachine` of this name and UID.
    ///
    /// Objects of the public implementation carry no UID; of those the Machine has an owner, and the label, which is
    /// reserved for 5-Spot, has to do for the others.
    pub(crate) fn is_of(&self, part: Part, name: &str, uid: &str) -> bool {
        let claimed = self.annotation.as_deref();
        let owned = self.owner_uid.as_deref();
        let is_ours = match part {
            Part::Machine => owned == Some(uid) && claimed.is_none_or(|claimed| claimed == uid),
            Part::Bootstrap | Part::Infrastructure => {
                claimed.or(owned).is_none_or(|claimed| claimed == uid)
            }
        };
        self.label == name && is_ours
    }
}

/// What Cluster API waits for before it takes a Machine's host away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Waits {
    /// Its own drain of the Node.
    pub(crate) drain: bool,
    /// That volumes are detached from the Node.
    pub(crate) detach: bool,
}

impl Waits {
    /// Whether there is anything to wait for.
    pub(crate) fn any(self) -> bool {
        self.drain || self.detach
    }
}

impl Exemption {
    fn of(value: Option<&String>) -> Self {
        match value {
            None => Self::None,
            Some(value) if value == EXEMPT_BY_US => Self::ByUs,
            Some(_) => Self::ByOthers,
        }
    }
}

impl MachineState {
    /// What Cluster API would wait for. Without a Node there is nothing.
    pub(crate) fn waits(&self) -> Waits {
        let waits = |exemption| self.node.is_some() && exemption == Exemption::None;
        Waits {
            drain: waits(self.from_drain),
            detach: waits(self.from_detach),
        }
    }

    /// What we keep Cluster API from waiting for.
    pub(crate) fn exempted_by_us(&self) -> Waits {
        Waits {
            drain: self.from_drain == Exemption::ByUs,
            detach: self.from_detach == Exemption::ByUs,
        }
    }

    fn of(object: &DynamicObject) -> Self {
        let text = |pointer: &str| {
            let found = object.data.pointer(pointer).and_then(Value::as_str);
            found.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let node = text("/status/nodeRef/name");
        let phase = text("/status/phase");
        let ready = object
            .data
            .pointer("/status/conditions")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .find(|condition| condition["type"] == "Ready");
        let is_ready = ready.map_or(phase.as_deref() == Some("Running"), |ready| {
            ready["status"] == "True"
        });
        let annotations = object.annotations();
        Self {
            cluster: text("/spec/clusterName").unwrap_or_default(),
            node_uid: text("/status/nodeRef/uid"),
            provider_id: text("/spec/providerID"),
            is_ready: is_ready && node.is_some(),
            node,
            phase,
            reason: ready
                .filter(|ready| ready["status"] != "True")
                .and_then(|ready| ready["reason"].as_str())
                .map(str::to_owned),
            from_drain: Exemption::of(annotations.get(EXEMPT_FROM_DRAIN)),
            from_detach: Exemption::of(annotations.get(EXEMPT_FROM_DETACH)),
        }
    }
}

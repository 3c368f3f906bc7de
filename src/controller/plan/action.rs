//! What can be done about a machine.

use crate::machine::{DesiredNode, MachineState, NodeSeen, Part, Revision, Waits};

/// One change of something in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) enum Action {
    /// Have the object wait for us when it is deleted.
    AddFinalizer,
    /// Let the object go; once more it is looked whether there is nothing of it any more, unless that is given up.
    RemoveFinalizer { verify: bool },
    /// Create an object.
    Create(Part),
    /// Delete this object.
    Delete { part: Part, of: Revision },
    /// Keep Cluster API from waiting for these before this Machine goes.
    Exempt { of: Revision, from: Waits },
    /// Take that back.
    EndExemption { of: Revision, from: Waits },
    /// Make a Node what it should be.
    ShapeNode { node: NodeKey, desired: DesiredNode },
    /// Evict pods from a Node.
    Drain(NodeKey),
    /// Switch the schedule off, so that a machine that its owner took back is not taken again.
    DisableSchedule,
}

impl Action {
    /// Whether what became of it says more than what became of `other` before.
    pub(in crate::controller) fn replaces(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Create(part), Self::Create(of))
            | (Self::Delete { part, .. }, Self::Delete { part: of, .. }) => part == of,
            (one, other) => std::mem::discriminant(one) == std::mem::discriminant(other),
        }
    }
}

/// A Node of a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::controller) struct NodeKey {
    /// Name of its Cluster, in the namespace of the machine.
    pub(in crate::controller) cluster: String,
    pub(in crate::controller) name: String,
    /// Its UID, which tells it from a later one of the same name.
    pub(in crate::controller) uid: String,
}

impl NodeKey {
    pub(super) fn of(machine: &MachineState, node: &NodeSeen) -> Self {
        Self {
            cluster: machine.cluster.clone(),
            name: machine.node.clone().unwrap_or_default(),
            uid: node.uid.clone(),
        }
    }
}

//! What a machine is made of in Cluster API: a bootstrap object, an infrastructure object, and the Machine that ties
//! them together.
//!
//! Pure: what the objects look like, how they are read, and whose they are. Cluster API serves the Machine in two
//! shapes, v1beta1 and v1beta2; both are written and read here, and nothing else knows the difference.

mod kind;
mod manifest;
mod node;
mod seen;

pub(crate) use kind::{CLUSTER_API, Kind, MachineVersion, Part};
pub(crate) use manifest::{EXEMPT_BY_US, EXEMPT_FROM_DETACH, EXEMPT_FROM_DRAIN, manifest};
pub(crate) use node::{DesiredNode, NodeSeen, patch};
pub(crate) use seen::{MachineState, Revision, Seen, Waits};

#[cfg(test)]
mod tests;

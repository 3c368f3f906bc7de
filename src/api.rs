//! What users and clusters see of 5-Spot: the kind, its names, and the rules that its fields keep.
//!
//! The custom resource definition is generated from these types (see [`crate::manifest`]); nothing else defines it.

mod limits;
mod names;
mod node_taint;
mod provider_spec;
mod rules;
#[allow(
    clippy::duplicated_attributes,
    reason = "the lint takes the equal parts of two printer columns for one attribute given twice"
)]
mod scheduled_machine;
mod status;
mod timeout;

pub(crate) use limits::is_cluster_name;
pub use limits::{InvalidField, Subject};
pub use names::{
    APPLIED_TAINTS, BOOTSTRAP_GROUPS, CLUSTER_NAME_LABEL, CORDONED, FINALIZER,
    FREE_METADATA_DOMAINS, GROUP, INFRASTRUCTURE_GROUPS, LARGEST_PROVIDER_SPEC, RECLAIM_DETAILS,
    RECLAIM_REQUESTED, RESERVED_METADATA_DOMAINS, RESERVED_METADATA_PREFIXES,
    RESERVED_TAINT_PREFIXES, SCHEDULED_MACHINE_LABEL, SCHEDULED_MACHINE_UID, VERSION,
};
pub use node_taint::{NodeTaint, TaintEffect};
pub use provider_spec::ProviderSpec;
pub use scheduled_machine::{
    EmbeddedObject, MachineTemplate, ScheduleSpec, ScheduledMachine, ScheduledMachineSpec,
};
pub use status::{
    NodeReference, ObjectReference, Phase, ScheduledMachineStatus, Shutdown, condition,
};
pub use timeout::{InvalidTimeout, parse_timeout};

#[cfg(test)]
pub(crate) mod fixture;
#[cfg(test)]
mod tests;

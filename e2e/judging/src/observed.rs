//! What was seen of a trial.

pub mod audit;
pub mod eviction;
pub mod holder;
pub mod lease;
pub mod roles;
pub mod trial;
pub mod work;

pub use audit::{ApiCall, ClockMap, NotAnEvent, OwnCall, Wall};
pub use eviction::Eviction;
pub use holder::HolderIdentity;
pub use lease::{LeaseRecord, LeaseSeen};
pub use roles::{LeaderMetric, MetricSelector, NotASelector, Role, RolesSeen};
pub use trial::{
    PodSeen, Presence, Recovery, RigFault, Stall, Strike, TrialData, TrialId, Unobserved,
};
pub use work::{Answer, NotAResource, ResourceName, WorkRule};

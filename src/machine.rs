//! What a `ScheduledMachine` is made of in the cluster: three objects of Cluster API, and the Node that comes of them.
//!
//! | file | answers |
//! |---|---|
//! | `kind` | which kinds are served, and in which version |
//! | `objects` | what is remembered of an object, and whose it is |
//! | `render` | what an object looks like when it is created |
//! | `node` | what is remembered of a Node, and which taints it should have |
//! | `drain` | which pods have to leave a Node, and how they are asked to |
//! | `workload` | how the cluster is reached that the Node belongs to |
//!
//! What is done with them, and when, is decided in the plan of [`controller`](crate::controller).

mod drain;
mod kind;
mod node;
mod objects;
mod render;
mod workload;

pub(crate) use drain::{DrainReport, drain};
pub use kind::Role;
pub(crate) use kind::{Kind, KindId, discover};
pub use node::NodeView;
pub(crate) use node::{CORDONED, TaintPlan, taint_patch, taints};
pub use objects::{MachineView, ObjectView, Ownership};
pub(crate) use objects::{SKIP_DRAIN_BY_US, SKIPS_DRAIN};
pub(crate) use render::{adoption, rendered};
pub use workload::WorkloadError;
pub(crate) use workload::{ClusterKey, FRESH, Workloads};

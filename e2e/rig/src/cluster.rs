//! The cluster that failover is measured on.
//!
//! Three providers behind one type: k3s and the node image are containers started by the same code, `kubeconfig` is a
//! cluster that exists already. A started cluster is one server, and agents where they are asked for. It is removed when
//! it is stopped or dropped, and by a guardian process when this one is killed; nothing of it outlives the run unless it
//! is kept on purpose, and then a later run may attach to it.

mod access;
mod args;
mod attach;
mod boot;
mod choice;
mod defaults;
mod end;
mod error;
mod flags;
mod guard;
mod hold;
pub mod image;
mod inspect;
mod kept;
mod levers;
mod network;
mod node_image;
mod nodes;
mod on_node;
mod owner;
pub mod privilege;
mod ready;
mod running;
mod server;
mod signal;
mod start;
mod supply;
mod sweep;

pub use self::access::{AuditLog, kubeconfig};
pub use self::args::{Brought, ClusterArgs, ClusterOptions};
pub use self::choice::{ProviderChoice, choose};
pub use self::defaults::{AUDIT_POLICY, K3S_REPOSITORY, K3S_TAG, NODE_IMAGE, OPERATOR_IMAGE};
pub use self::error::ClusterError;
pub use self::guard::GuardCommand;
pub use self::hold::HoldCommand;
pub use self::image::Image;
pub use self::kept::Kept;
pub use self::on_node::{Aimed, CommandTemplate, LineStream, Output};
pub use self::owner::RunId;
pub use self::ready::is_ready;
pub use self::running::Cluster;
pub use self::signal::Signal;
pub use self::supply::ClusterImageCommand;
pub use self::sweep::sweep;

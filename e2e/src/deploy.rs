//! Puts the operator into a cluster from the same files that users apply, with the few changes a run asks for.

mod apply;
mod budget_shape;
mod inventory;
mod manifests;
mod switches;
mod target;

pub use apply::{Applied, ApplyError, apply, remove};
pub use budget_shape::{BudgetShape, NoBudget};
pub use inventory::take_over;
pub use manifests::{ManifestError, Manifests};
pub use switches::{NoFence, Switch, Switches};
pub use target::{EnvOverride, Overrides, Target, TargetError, settings_of};

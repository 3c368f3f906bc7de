//! Puts the operator into a cluster from the same files that users apply, with the few changes a run asks for; or takes
//! one that runs there already, and puts it back as it was.

mod apply;
mod budget_shape;
pub(crate) mod container;
mod election;
mod existing;
mod inventory;
mod manifests;
mod overrides;
pub mod rollout;
mod seconds;
mod switches;
mod target;

pub(crate) use apply::resolve;
pub use apply::{Applied, ApplyError, apply, remove};
pub use budget_shape::NoBudget;
pub(crate) use budget_shape::selects;
pub use election::{GivenSettings, LeaseDuration, SettingsError};
pub use existing::{ExistingError, take};
pub use inventory::take_over;
pub(crate) use manifests::is_a;
pub use manifests::{ManifestError, Manifests};
pub use overrides::{EnvOverride, Overrides};
pub use seconds::Seconds;
pub use switches::{NoFence, Switch, Switches, has_fence};
pub use target::{Naming, Target, TargetError};

#[cfg(test)]
pub(crate) use target::tests;

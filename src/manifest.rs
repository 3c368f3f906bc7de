//! The manifests that are derived from the code, and the tests that hold the others to it.
//!
//! Arrows run one way: `src/api` -> `deploy/crd.yaml` and `docs/reference.md`, `src/access.rs` -> `deploy/rbac.yaml`,
//! `deploy/fence.yaml` and `deploy/flow-schema.yaml`.
//! `five-spot crd`, `five-spot rbac`, `five-spot fence` and `five-spot flow-schema` print them, and `five-spot reference` the page for people; a
//! test fails when they differ.

mod fence;
mod flow;
mod rbac;
mod reference;

use kube::CustomResourceExt;

use crate::api::ScheduledMachine;

pub use fence::fence_yaml;
pub use flow::flow_schema_yaml;
pub use rbac::rbac_yaml;
pub use reference::reference_markdown;

/// The custom resource definition can't be rendered.
#[derive(Debug, thiserror::Error)]
#[error("failed to render the custom resource definition as YAML")]
pub struct RenderError(#[from] serde_saphyr::ser::Error);

/// The definition of `ScheduledMachine` as YAML, ready to apply.
pub fn crd_yaml() -> Result<String, RenderError> {
    let body = serde_saphyr::to_string(&ScheduledMachine::crd())?;
    Ok(format!(
        "# Generated from src/api by `five-spot crd`; edits are lost.\n{body}"
    ))
}

#[cfg(test)]
mod tests;

//! The manifests that are derived from the code, and the tests that hold the others to it.
//!
//! Arrows run one way: `src/api` -> `deploy/crd.yaml`. `five-spot crd` prints it; a test fails when they differ.

use kube::CustomResourceExt;

use crate::api::ScheduledMachine;

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

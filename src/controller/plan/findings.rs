//! What the spec and the time say.

use super::window::{Window, WindowState};
use crate::api::InvalidField;

/// What the spec and the time say.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) window: Window,
    pub(super) references: Result<(), InvalidField>,
    /// What only matters to a machine that is not there yet.
    pub(super) creation: Result<(), InvalidField>,
    pub(super) timeouts: Result<(), InvalidField>,
}

impl Findings {
    /// Whether the spec can be acted on.
    pub(super) fn is_valid(&self) -> bool {
        self.error().is_none()
    }

    /// The reason and the message of the first field that is invalid.
    pub(super) fn error(&self) -> Option<(&'static str, String)> {
        if let WindowState::Invalid(error) = &self.window.state {
            return Some(("InvalidSchedule", error.clone()));
        }
        let error = |reason, checked: &Result<(), InvalidField>| {
            let error = checked.as_ref().err()?;
            Some((reason, error.to_string()))
        };
        error("InvalidReference", &self.references)
            .or_else(|| error("InvalidTimeout", &self.timeouts))
    }
}

//! What a rule is.

use crate::{
    finding::{Findings, Level},
    subject::Subject,
};

/// Evaluates a rule.
pub(crate) type Check = fn(&Subject, &mut Findings);

/// What a rule needs beside the bundle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// The previous release, as a bundle.
    Previous,
    /// The catalog that will offer the bundle.
    Catalog,
}

/// A rule.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// Its name, which never changes: `<area>/<rule>`.
    pub code: &'static str,
    /// How much it weighs.
    pub level: Level,
    /// What it needs beside the bundle.
    pub needs: Needs,
    /// What holds for a good bundle.
    pub holds: &'static str,
    /// Why.
    pub why: &'static str,
    pub(crate) check: Check,
}

impl Rule {
    pub(crate) const fn error(code: &'static str, check: Check) -> Self {
        Self::new(code, Level::Error, check)
    }

    pub(crate) const fn warning(code: &'static str, check: Check) -> Self {
        Self::new(code, Level::Warning, check)
    }

    const fn new(code: &'static str, level: Level, check: Check) -> Self {
        Self {
            code,
            level,
            needs: Needs::Nothing,
            holds: "",
            why: "",
            check,
        }
    }

    pub(crate) const fn needs(self, needs: Needs) -> Self {
        Self { needs, ..self }
    }

    pub(crate) const fn holds(self, holds: &'static str) -> Self {
        Self { holds, ..self }
    }

    pub(crate) const fn why(self, why: &'static str) -> Self {
        Self { why, ..self }
    }
}

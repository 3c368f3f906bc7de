//! Where a bundle breaks a rule.

use std::fmt;

use serde::Serialize;

use crate::document::Node;

/// How much a rule weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// OLM or a catalog refuses a bundle that breaks it, or such a bundle contradicts itself.
    Error,
    /// Such a bundle installs, and is less available, less safe or harder to use than it could be.
    Warning,
}

/// A place where a bundle breaks a rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// Path of the file in the bundle.
    pub file: String,
    /// Line, counted from 1.
    pub line: usize,
    /// Code of the rule.
    pub code: &'static str,
    /// How much the rule weighs.
    pub level: Level,
    /// The field, its value and what is wrong with it.
    pub message: String,
}

/// A rule that could not be evaluated, or not for all of the bundle.
#[derive(Clone, Debug, Serialize)]
pub struct NotChecked {
    /// Code of the rule.
    pub code: &'static str,
    /// What it needs, or what of the bundle it could not judge.
    pub why: String,
}

/// What was found, and what was not checked.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// By file and line.
    pub findings: Vec<Finding>,
    /// Rules that could not be evaluated.
    pub not_checked: Vec<NotChecked>,
}

/// Takes what one rule finds.
#[derive(Debug)]
pub(crate) struct Findings<'a> {
    pub(crate) code: &'static str,
    pub(crate) level: Level,
    pub(crate) report: &'a mut Report,
}

impl Findings<'_> {
    /// Notes what is wrong with a value.
    pub(crate) fn at(&mut self, node: &Node, message: impl fmt::Display) {
        self.file(&node.document().file, node.line(), message);
    }

    /// Notes what could not be judged.
    pub(crate) fn not_checked(&mut self, why: impl fmt::Display) {
        self.report.not_checked.push(NotChecked {
            code: self.code,
            why: why.to_string(),
        });
    }

    /// Notes what is wrong with a file.
    pub(crate) fn file(&mut self, file: &str, line: usize, message: impl fmt::Display) {
        self.report.findings.push(Finding {
            file: file.to_owned(),
            line,
            code: self.code,
            level: self.level,
            message: message.to_string(),
        });
    }
}

impl Report {
    /// How many findings are of this level.
    pub fn count(&self, level: Level) -> usize {
        let of_level = self
            .findings
            .iter()
            .filter(|finding| finding.level == level);
        of_level.count()
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

//! The checker: rules for any bundle, each with a code that never changes, and what was found.
//!
//! # Guarantees
//! Every rule that applies is evaluated, whatever the others find. A rule that can't be, because it needs more than the
//! bundle, is listed as not checked with what it needs.
//!
//! # Caveats
//! Nothing is asked of a cluster or a registry: what only they know is not checked.

mod access;
mod availability;
mod catalog;
mod csv;
mod examples;
mod format;
mod images;
mod install;
mod kinds;
mod metadata;
mod pods;
mod subject;
mod upgrade;

use std::fmt;

use serde::Serialize;

use crate::{bundle::Bundle, document::Document};

pub use subject::Subject;

/// How much a rule weighs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// OLM or a catalog refuses a bundle that breaks it, or such a bundle contradicts itself.
    Error,
    /// Such a bundle installs, and is less available, less safe or harder to use than it could be.
    Warning,
}

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
    check: fn(&Subject, &mut Findings),
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

/// What one rule finds.
#[derive(Debug)]
pub struct Findings {
    rule: Rule,
    found: Vec<Finding>,
    not_checked: Vec<NotChecked>,
}

/// What was found, and what was not looked at.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// By file and line.
    pub findings: Vec<Finding>,
    /// Rules that could not be evaluated.
    pub not_checked: Vec<NotChecked>,
}

/// A rule that could not be evaluated, or not for all of the bundle.
#[derive(Clone, Debug, Serialize)]
pub struct NotChecked {
    /// Code of the rule.
    pub code: &'static str,
    /// What it needs, or what of the bundle it could not judge.
    pub why: String,
}

/// All rules, in the order of their documentation.
pub fn rules() -> impl Iterator<Item = &'static Rule> {
    [
        format::RULES,
        metadata::RULES,
        csv::RULES,
        kinds::RULES,
        examples::RULES,
        images::RULES,
        availability::RULES,
        access::RULES,
        pods::RULES,
        install::RULES,
        upgrade::RULES,
        catalog::RULES,
    ]
    .into_iter()
    .flatten()
}

/// Checks a bundle by all rules.
pub fn check(bundle: &Bundle, previous: Option<&Bundle>, catalog: Option<&[Document]>) -> Report {
    let subject = Subject::new(bundle, previous, catalog);
    let mut report = Report {
        findings: Vec::new(),
        not_checked: Vec::new(),
    };
    for rule in rules() {
        let lacks = match rule.needs {
            Needs::Previous if previous.is_none() => Some("the previous release (--previous)"),
            Needs::Catalog if catalog.is_none() => Some("the catalog (--catalog)"),
            _ => None,
        };
        if let Some(needs) = lacks {
            report.not_checked.push(NotChecked {
                code: rule.code,
                why: format!("needs {needs}"),
            });
            continue;
        }
        let mut findings = Findings {
            rule: *rule,
            found: Vec::new(),
            not_checked: Vec::new(),
        };
        (rule.check)(&subject, &mut findings);
        report.findings.append(&mut findings.found);
        report.not_checked.append(&mut findings.not_checked);
    }
    report.findings.sort();
    report.findings.dedup();
    report
}

impl Findings {
    /// Notes what is wrong with the value at a pointer.
    fn at(&mut self, document: &Document, pointer: &str, message: impl fmt::Display) {
        self.file(&document.file, document.line(pointer), message);
    }

    /// Notes what could not be judged.
    fn not_checked(&mut self, why: impl fmt::Display) {
        self.not_checked.push(NotChecked {
            code: self.rule.code,
            why: why.to_string(),
        });
    }

    /// Notes what is wrong with a file.
    fn file(&mut self, file: &str, line: usize, message: impl fmt::Display) {
        self.found.push(Finding {
            file: file.to_owned(),
            line,
            code: self.rule.code,
            level: self.rule.level,
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

#[cfg(test)]
mod tests;

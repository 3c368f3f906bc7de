//! The checker: rules for any bundle, each with a code that never changes, and what was found.
//!
//! # Guarantees
//! Every rule that applies is evaluated, whatever the others find. A rule that can't be, because it needs more than the
//! bundle, is listed as not checked with what it needs.
//!
//! # Caveats
//! Nothing is asked of a cluster or a registry: what only they know is not checked.

use crate::{
    bundle::Bundle,
    document::Document,
    finding::{Findings, NotChecked, Report},
    rule::Needs,
    rules::rules,
    subject::Subject,
};

/// Checks a bundle by all rules.
pub fn check(bundle: &Bundle, previous: Option<&Bundle>, catalog: Option<&[Document]>) -> Report {
    let subject = Subject {
        bundle,
        previous,
        catalog,
    };
    let mut report = Report::default();
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
            code: rule.code,
            level: rule.level,
            report: &mut report,
        };
        (rule.check)(&subject, &mut findings);
    }
    report.findings.sort();
    report.findings.dedup();
    report
}

//! What was found, for people, for programs and for CI systems.

use std::fmt;

use clap::ValueEnum;
use quick_junit::{
    NonSuccessKind, Report as Document, SerializeError, TestCase, TestCaseStatus, TestSuite,
};
use serde::Serialize;

use crate::{
    finding::{Level, NotChecked, Report},
    rule::Rule,
    rules::rules,
};

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Text,
    /// One JSON object.
    Json,
    /// JUnit XML: one test for each rule.
    Junit,
}

/// Findings can't be written.
#[derive(Debug, thiserror::Error)]
pub enum RenderError {
    /// As JSON.
    #[error("failed to write the findings as JSON")]
    Json(#[from] serde_json::Error),
    /// As JUnit XML.
    #[error("failed to write the findings as JUnit XML")]
    Junit(#[from] SerializeError),
}

/// Writes what was found in `subject`.
pub fn render(report: &Report, subject: &str, format: Format) -> Result<String, RenderError> {
    match format {
        Format::Text => Ok(text(report, subject).to_string()),
        Format::Json => json(report, subject),
        Format::Junit => junit(report, subject),
    }
}

fn text<'a>(report: &'a Report, subject: &'a str) -> impl fmt::Display + 'a {
    fmt::from_fn(move |f| {
        for finding in &report.findings {
            writeln!(
                f,
                "{}:{}: {} [{}] {}",
                finding.file, finding.line, finding.level, finding.code, finding.message
            )?;
        }
        for NotChecked { code, why } in &report.not_checked {
            writeln!(f, "not checked: [{code}] {why}")?;
        }
        writeln!(
            f,
            "{subject}: {} rules, {} errors, {} warnings",
            rules().count(),
            report.count(Level::Error),
            report.count(Level::Warning)
        )
    })
}

/// The JSON form.
#[derive(Debug, Serialize)]
struct Json<'a> {
    /// Changes when a field changes its meaning or goes.
    format_version: u32,
    subject: &'a str,
    errors: usize,
    warnings: usize,
    #[serde(flatten)]
    report: &'a Report,
}

fn json(report: &Report, subject: &str) -> Result<String, RenderError> {
    let json = Json {
        format_version: 1,
        subject,
        errors: report.count(Level::Error),
        warnings: report.count(Level::Warning),
        report,
    };
    Ok(serde_json::to_string_pretty(&json)? + "\n")
}

fn junit(report: &Report, subject: &str) -> Result<String, RenderError> {
    let mut document = Document::new("bundle check");
    let mut suite = TestSuite::new(subject);
    suite.add_test_cases(rules().map(|rule| case(report, rule)));
    document.add_test_suite(suite);
    Ok(document.to_string()?)
}

fn case(report: &Report, rule: &Rule) -> TestCase {
    let found: Vec<_> = report
        .findings
        .iter()
        .filter(|finding| finding.code == rule.code)
        .map(|finding| format!("{}:{}: {}", finding.file, finding.line, finding.message))
        .collect();
    let missed: Vec<_> = report
        .not_checked
        .iter()
        .filter(|missed| missed.code == rule.code)
        .map(|missed| missed.why.clone())
        .collect();
    let status = if !found.is_empty() {
        let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
        status
            .set_type(rule.level.to_string())
            .set_message(rule.holds)
            .set_description(found.join("\n"));
        status
    } else if missed.is_empty() {
        TestCaseStatus::success()
    } else {
        let mut status = TestCaseStatus::skipped();
        status.set_message(missed.join("; "));
        status
    };
    let mut case = TestCase::new(rule.code, status);
    case.set_classname("bundle.check");
    case
}

/// All rules as a table in Markdown, for the documentation.
pub fn rules_table() -> impl fmt::Display {
    fmt::from_fn(|f| {
        writeln!(f, "| code | level | what holds | why |")?;
        writeln!(f, "|---|---|---|---|")?;
        for rule in rules() {
            writeln!(
                f,
                "| `{}` | {} | {} | {} |",
                rule.code, rule.level, rule.holds, rule.why
            )?;
        }
        Ok(())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Finding;

    fn report() -> Report {
        Report {
            findings: vec![Finding {
                file: "manifests/a.yaml".to_owned(),
                line: 7,
                code: "availability/replicas",
                level: Level::Warning,
                message: "replicas is 1: <must> be 2".to_owned(),
            }],
            not_checked: vec![NotChecked {
                code: "upgrade/version",
                why: "needs more".to_owned(),
            }],
        }
    }

    #[test]
    fn people_get_a_line_for_each_finding_with_its_place_and_a_sum() {
        let text = render(&report(), "b", Format::Text).unwrap();
        let count = rules().count();
        assert_eq!(
            text,
            format!(
                "manifests/a.yaml:7: warning [availability/replicas] replicas is 1: <must> be 2\n\
                 not checked: [upgrade/version] needs more\nb: {count} rules, 0 errors, 1 warnings\n"
            )
        );
    }

    #[test]
    fn programs_get_fields() {
        let json: serde_json::Value =
            serde_json::from_str(&render(&report(), "b", Format::Json).unwrap()).unwrap();
        assert_eq!(json["format_version"], 1);
        assert_eq!((&json["errors"], &json["warnings"]), (&0.into(), &1.into()));
        assert_eq!(json["findings"][0]["code"], "availability/replicas");
        assert_eq!(json["findings"][0]["line"], 7);
        assert_eq!(json["not_checked"][0]["code"], "upgrade/version");
    }

    #[test]
    fn ci_systems_get_a_test_for_each_rule() {
        let xml = render(&report(), "b", Format::Junit).unwrap();
        let document = roxmltree::Document::parse(&xml).unwrap();
        let cases: Vec<_> = document
            .descendants()
            .filter(|node| node.has_tag_name("testcase"))
            .collect();
        assert_eq!(cases.len(), rules().count());
        let of = |name: &str| {
            cases
                .iter()
                .find(|case| case.attribute("name") == Some(name))
                .unwrap()
        };
        let failure = of("availability/replicas").first_element_child().unwrap();
        assert_eq!(
            (failure.tag_name().name(), failure.attribute("type")),
            ("failure", Some("warning"))
        );
        assert!(
            failure
                .text()
                .unwrap()
                .contains("manifests/a.yaml:7: replicas is 1: <must> be 2")
        );
        assert_eq!(
            of("upgrade/version")
                .first_element_child()
                .unwrap()
                .tag_name()
                .name(),
            "skipped"
        );
        assert!(of("format/yaml").first_element_child().is_none());
    }
}

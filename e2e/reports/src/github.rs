//! What a run tells GitHub Actions: annotations, by workflow commands on standard output, and the summary of the step.
//!
//! The commands: <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>.

use std::{ffi::OsString, fs::OpenOptions, io::Write, path::PathBuf};

use crate::markdown;
use failover_judging::{
    report::Report,
    verdict::{Check, Verdict},
};

/// GitHub shows no more annotations of one kind for a step.
const ANNOTATIONS: usize = 10;

/// The workflow that a run is a step of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct GitHub {
    /// Whether annotations are read from standard output.
    pub annotates: bool,
    /// The file that the summary of the step is appended to.
    pub step_summary: Option<PathBuf>,
}

/// The summary of the step could not be written.
#[derive(Debug, thiserror::Error)]
#[error("GITHUB_STEP_SUMMARY: failed to append to {}", .path.display())]
pub struct SummaryError {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

impl GitHub {
    /// The workflow as the environment tells it.
    pub fn from_env() -> Self {
        Self::of(|name| std::env::var_os(name))
    }

    fn of(variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let set = |name: &str| variable(name).filter(|value| !value.is_empty());
        Self {
            annotates: set("GITHUB_ACTIONS").is_some_and(|value| value == "true"),
            step_summary: set("GITHUB_STEP_SUMMARY").map(PathBuf::from),
        }
    }

    /// The annotations of a report, each on a line; empty where nobody reads them.
    pub fn annotations(&self, report: &Report) -> String {
        if !self.annotates {
            return String::new();
        }
        let found = |verdict| {
            report
                .all_checks()
                .filter(move |check| check.verdict == verdict)
        };
        let mut lines = commands("error", found(Verdict::Fail).map(told));
        lines.extend(commands("warning", found(Verdict::Inconclusive).map(told)));
        let notices = report.warnings.iter();
        let notices = notices.map(|warning| ("failover".to_owned(), warning.clone()));
        lines.extend(commands("notice", notices));
        lines.into_iter().map(|line| line + "\n").collect()
    }

    /// Appends the report to the summary of the step, if there is one.
    pub fn append_summary(&self, report: &Report) -> Result<(), SummaryError> {
        let Some(path) = &self.step_summary else {
            return Ok(());
        };
        let append = || {
            let mut file = OpenOptions::new().create(true).append(true).open(path)?;
            file.write_all(markdown::render(report).as_bytes())
        };
        append().map_err(|source| SummaryError {
            path: path.clone(),
            source,
        })
    }
}

/// Title and text of an annotation.
fn told(check: &Check) -> (String, String) {
    (
        format!("failover {}: {}", check.verdict, check.id),
        format!("{}: {}", check.scope, check.detail),
    )
}

/// The commands of one kind; where there are more than are shown, the last one says how many more.
fn commands(kind: &str, told: impl Iterator<Item = (String, String)>) -> Vec<String> {
    let mut told: Vec<_> = told.collect();
    if told.len() > ANNOTATIONS {
        let rest = told.len() - (ANNOTATIONS - 1);
        told.truncate(ANNOTATIONS - 1);
        let more = format!("{rest} more; all are in report.json and the summary of this step");
        told.push(("failover".to_owned(), more));
    }
    told.into_iter()
        .map(|(title, text)| format!("::{kind} title={}::{}", property(&title), data(&text)))
        .collect()
}

fn data(text: &str) -> String {
    text.replace('%', "%25")
        .replace('\r', "%0D")
        .replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;
    use failover_judging::{samples::report, verdict::CheckId};

    const ACTIONS: GitHub = GitHub {
        annotates: true,
        step_summary: None,
    };

    fn quiet() -> Report {
        Report {
            warnings: Vec::new(),
            ..report()
        }
    }

    #[test]
    fn the_environment_tells_where_it_runs() {
        let variable = |name: &str| match name {
            "GITHUB_ACTIONS" => Some(OsString::from("true")),
            "GITHUB_STEP_SUMMARY" => Some(OsString::from("/there")),
            _ => None,
        };
        let there = GitHub::of(variable);
        assert!(there.annotates);
        assert_eq!(there.step_summary, Some(PathBuf::from("/there")));
        assert_eq!(GitHub::of(|_| None), GitHub::default());
        assert_eq!(GitHub::of(|_| Some(OsString::new())), GitHub::default());
    }

    #[test]
    fn a_fail_is_an_error_and_what_is_inconclusive_a_warning_both_escaped() {
        let mut report = quiet();
        report
            .checks
            .push(Check::fail(CheckId::Gate, "--fail-if a,b", "50%\r\nmore"));
        report
            .checks
            .push(Check::inconclusive(CheckId::Evidence, "here", "lost"));
        report.warnings.push("few".to_owned());
        assert_eq!(
            ACTIONS.annotations(&report),
            "::error title=failover FAIL%3A gate::--fail-if a,b: 50%25%0D%0Amore\n\
             ::warning title=failover INCONCLUSIVE%3A evidence::here: lost\n\
             ::notice title=failover::few\n"
        );
    }

    #[test]
    fn elsewhere_and_for_a_pass_there_are_none() {
        assert_eq!(ACTIONS.annotations(&quiet()), "");
        let mut report = quiet();
        report.checks.push(Check::fail(CheckId::Gate, "a", "b"));
        assert_eq!(GitHub::default().annotations(&report), "");
    }

    #[test]
    fn no_more_are_made_than_are_shown_and_the_last_says_so() {
        let mut report = quiet();
        for number in 0..25 {
            report
                .checks
                .push(Check::fail(CheckId::Gate, "a", number.to_string()));
        }
        let text = ACTIONS.annotations(&report);
        assert_eq!(text.lines().count(), 10);
        assert!(
            text.ends_with("::16 more; all are in report.json and the summary of this step\n"),
            "{text}"
        );
    }

    #[test]
    fn the_summary_is_appended_to_what_other_tools_wrote() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("summary");
        std::fs::write(&path, "before\n").unwrap();
        let github = GitHub {
            step_summary: Some(path.clone()),
            ..GitHub::default()
        };
        github.append_summary(&report()).unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("before\n### Failover: PASS"), "{text}");
        let nowhere = GitHub {
            step_summary: Some(place.path().join("no/summary")),
            ..GitHub::default()
        };
        let error = nowhere.append_summary(&report()).unwrap_err();
        assert!(error.to_string().contains("GITHUB_STEP_SUMMARY"), "{error}");
    }
}

//! `junit.xml`: the checks of a run as test cases, for CI systems that show those.
//!
//! One suite for each number of replicas and fault with the checks of its trials, and one for the checks of the run as a
//! whole. A FAIL is a failure, an INCONCLUSIVE check an error: in the words of the format something that went wrong beside
//! the test.

use std::{collections::BTreeMap, time::Duration};

use quick_junit::{
    NonSuccessKind, Report as Document, SerializeError, TestCase, TestCaseStatus, TestSuite,
};

use failover_judging::{
    clock::Millis,
    judge::TrialResult,
    report::{Group, Report},
    verdict::{Check, Verdict},
};

/// The name of the file.
pub const FILE: &str = "junit.xml";

/// The whole report.
pub fn render(report: &Report) -> Result<String, SerializeError> {
    let mut document = Document::new("failover");
    document.set_time(time(report.run.took_ms));
    document.add_test_suite(run_suite(report));
    for group in &report.groups {
        document.add_test_suite(group_suite(group, &report.trials));
    }
    document.to_string()
}

/// The checks that belong to no trial.
fn run_suite(report: &Report) -> TestSuite {
    let mut suite = TestSuite::new("run");
    let run = &report.run;
    let properties = [
        ("verdict", report.verdict.to_string()),
        ("run", run.id.clone()),
        ("seed", run.seed.to_string()),
        ("provider", run.provider.to_string()),
        ("kubernetes", run.kubernetes_version.clone()),
        ("image", run.image.clone()),
    ];
    for (name, value) in properties {
        suite.add_property((name, value.as_str()));
    }
    for warning in &report.warnings {
        suite.add_property(("warning", warning.as_str()));
    }
    let mut names = Names::default();
    for check in report.run_checks() {
        let name = names.unique(format!("{}: {}", check.id, check.scope));
        suite.add_test_case(case("failover.run", name, check));
    }
    suite
}

fn group_suite(group: &Group, trials: &[TrialResult]) -> TestSuite {
    let mut suite = TestSuite::new(format!("{} replicas, {}", group.replicas, group.fault));
    let phases = [
        ("lease failover", group.lease),
        ("work failover", group.work),
        ("release to holder", group.release_to_holder),
    ];
    for (phase, summary) in phases {
        let Some(summary) = summary else { continue };
        let values = [
            ("n", summary.n.to_string()),
            ("p50 ms", format!("{:.1}", summary.p50_ms)),
            ("p95 ms", format!("{:.1}", summary.p95_ms)),
            ("max ms", format!("{:.1}", summary.max_ms)),
        ];
        for (name, value) in values {
            suite.add_property((format!("{phase} {name}").as_str(), value.as_str()));
        }
    }
    let class = format!("failover.{}-replicas.{}", group.replicas, group.fault);
    let mut names = Names::default();
    let mut took: Millis = 0.0;
    let own = trials
        .iter()
        .filter(|trial| trial.id.replicas == group.replicas && trial.id.fault == group.fault);
    for trial in own {
        took += trial.phases.lease_ms.unwrap_or_default();
        let warm_up = if trial.warm_up { " (warm-up)" } else { "" };
        for check in &trial.checks {
            let name = names.unique(format!("#{}{warm_up} {}", trial.id.number, check.id));
            let mut case = case(&class, name, check);
            if let Some(lease_ms) = trial.phases.lease_ms {
                case.set_time(time(lease_ms));
            }
            suite.add_test_case(case);
        }
    }
    suite.set_time(time(took));
    suite
}

fn case(class: &str, name: String, check: &Check) -> TestCase {
    let kind = match check.verdict {
        Verdict::Pass => None,
        Verdict::Fail => Some(NonSuccessKind::Failure),
        Verdict::Inconclusive => Some(NonSuccessKind::Error),
    };
    let status = kind.map_or_else(TestCaseStatus::success, |kind| {
        let mut status = TestCaseStatus::non_success(kind);
        status
            .set_message(check.detail.as_str())
            .set_type(check.verdict.to_string())
            .set_description(format!("{}: {}: {}", check.scope, check.id, check.detail));
        status
    });
    let passed = check.verdict == Verdict::Pass;
    let mut case = TestCase::new(name, status);
    case.set_classname(class);
    if passed {
        case.set_system_out(check.detail.as_str());
    }
    case
}

/// Names that were given. Readers of the format take two cases with one name for the same.
#[derive(Default)]
struct Names(BTreeMap<String, usize>);

impl Names {
    fn unique(&mut self, name: String) -> String {
        let count = self.0.entry(name.clone()).or_default();
        *count += 1;
        match *count {
            1 => name,
            count => format!("{name} ({count})"),
        }
    }
}

/// A time for the format, which knows none below 0.
fn time(ms: Millis) -> Duration {
    Duration::try_from_secs_f64(ms / 1000.0).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use failover_judging::{samples::report, verdict::CheckId};

    fn rendered(change: impl FnOnce(&mut Report)) -> Document {
        let mut report = report();
        change(&mut report);
        let text = render(&report.concluded()).unwrap();
        Document::deserialize_from_str(&text).unwrap()
    }

    #[test]
    fn a_suite_for_each_group_and_one_for_the_run() {
        let document = rendered(|_| {});
        let names: Vec<&str> = document
            .test_suites
            .iter()
            .map(|suite| &*suite.name)
            .collect();
        assert_eq!(
            names,
            ["run", "2 replicas, graceful", "2 replicas, crash-loop"]
        );
        assert_eq!((document.failures, document.errors), (0, 0));
        assert_eq!(
            document.tests,
            2 + 3,
            "idle and evictions, and one check in each trial"
        );
        let graceful = &document.test_suites[1];
        let names: Vec<&str> = graceful.test_cases.iter().map(|case| &*case.name).collect();
        assert_eq!(names, ["#1 takeover", "#2 takeover"]);
        assert!(
            graceful
                .properties
                .iter()
                .any(|property| &*property.name == "lease failover p50 ms"
                    && &*property.value == "120.0")
        );
    }

    #[test]
    fn a_fail_is_a_failure_and_what_is_inconclusive_an_error() {
        let document = rendered(|report| {
            let checks = &mut report.trials[0].checks;
            checks.push(Check::fail(CheckId::Overlap, "here", "a <b> & \"c\" wrote"));
            checks.push(Check::inconclusive(
                CheckId::Evidence,
                "here",
                "\u{1b}[31mlost\u{1b}[0m",
            ));
        });
        assert_eq!((document.failures, document.errors), (1, 1));
        let cases = &document.test_suites[1].test_cases;
        let message = |name: &str| {
            let case = cases.iter().find(|case| &*case.name == name).unwrap();
            match &case.status {
                TestCaseStatus::NonSuccess { message, kind, .. } => {
                    (*kind, message.as_ref().unwrap().as_str().to_owned())
                }
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(
            message("#1 overlap"),
            (NonSuccessKind::Failure, "a <b> & \"c\" wrote".to_owned())
        );
        assert_eq!(
            message("#1 evidence"),
            (NonSuccessKind::Error, "lost".to_owned())
        );
    }

    #[test]
    fn no_two_cases_have_one_name() {
        let document = rendered(|report| {
            let twice = Check::pass(CheckId::Reason, "here", "expired");
            report.trials[0].checks.extend([twice.clone(), twice]);
            report.trials[1].warm_up = true;
        });
        let names: Vec<&str> = document.test_suites[1]
            .test_cases
            .iter()
            .map(|case| &*case.name)
            .collect();
        assert_eq!(
            names,
            [
                "#1 takeover",
                "#1 reason",
                "#1 reason (2)",
                "#2 (warm-up) takeover"
            ]
        );
    }
}

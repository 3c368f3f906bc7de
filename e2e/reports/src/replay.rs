//! `failover replay`: judges the raw data of an old run again, and holds it against limits, without a cluster.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::{
    archive::{self, Archive, ReadError},
    folder::{Folder, WriteError},
    outputs,
};
use failover_judging::{
    criteria::{Criteria, Gate, GateError, Goal, GoalError, Percent},
    judge::judge,
    observed::TrialData,
    report::Report,
    verdict::CheckId,
};

/// Judge an old run again, and hold it against limits, without a cluster.
#[derive(Clone, Debug, Args)]
pub struct ReplayArgs {
    /// The folder of a run, or its report.json
    #[arg(value_name = "FOLDER|report.json")]
    pub run: PathBuf,
    /// A limit, such as 'crash.work.p95>2s', instead of the run's own; may be repeated
    #[arg(long = "fail-if", value_name = "GATE")]
    pub fail_if: Vec<Gate>,
    /// What to compare it with.
    #[command(flatten)]
    pub baseline: BaselineArgs,
    /// Folder for the new report [default: none is written]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// What results are compared with.
#[derive(Clone, Debug, Args)]
pub struct BaselineArgs {
    /// The report of an earlier run that this one may not be slower than, noise aside
    #[arg(long, value_name = "report.json")]
    pub baseline: Option<PathBuf>,
    /// How much larger than the baseline's a median may be [default: 20%]
    #[arg(long, value_name = "PERCENT")]
    pub regression: Option<Percent>,
}

/// A run that was judged again.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// What is found now.
    pub report: Report,
    /// The raw data of its trials; empty when there was none.
    pub trials: Vec<TrialData>,
    /// Where the new report was written, if anywhere.
    pub folder: Option<PathBuf>,
}

/// Why a run can't be judged again.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the message names each field")]
pub enum ReplayError {
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error("--regression only counts with --baseline")]
    RegressionAlone,
    #[error("run.gates has {gate:?}")]
    Gate {
        gate: String,
        #[source]
        source: GateError,
    },
    #[error("run.until_confident has {goal:?}")]
    Goal {
        goal: String,
        #[source]
        source: GoalError,
    },
}

impl ReplayError {
    /// Whether the user's input is at fault.
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Read(_) | Self::RegressionAlone | Self::Gate { .. } | Self::Goal { .. } => true,
            Self::Write(_) => false,
        }
    }
}

impl ReplayArgs {
    /// Judges the run again, and writes what is found if a folder is given.
    pub fn run(&self) -> Result<Replayed, ReplayError> {
        let baseline = match (&self.baseline.baseline, self.baseline.regression) {
            (Some(place), regression) => {
                Some(archive::baseline(place, regression.unwrap_or_default())?)
            }
            (None, Some(_)) => return Err(ReplayError::RegressionAlone),
            (None, None) => None,
        };
        let Archive {
            place,
            report,
            trials,
        } = Archive::read(&self.run)?;
        let own = own_limits(&report)?;
        let limits = Criteria {
            gates: if self.fail_if.is_empty() {
                own.gates
            } else {
                self.fail_if.clone()
            },
            goals: own.goals,
            baseline,
        };
        let report = again(report, trials.as_deref(), &limits);
        let folder = self.out.clone().map(Folder::create).transpose()?;
        if let Some(folder) = &folder {
            for data in trials.iter().flatten() {
                folder.write_trial(data)?;
            }
            // The page shows what the replicas logged.
            folder.take_logs(place.parent().unwrap_or(Path::new(".")))?;
            outputs::write(folder, &report)?;
        }
        Ok(Replayed {
            report,
            trials: trials.unwrap_or_default(),
            folder: folder.map(|folder| folder.path().to_owned()),
        })
    }
}

/// What the run was held against when it was made.
fn own_limits(report: &Report) -> Result<Criteria, ReplayError> {
    let gates = report.run.gates.iter().map(|gate| {
        gate.parse::<Gate>().map_err(|source| ReplayError::Gate {
            gate: gate.clone(),
            source,
        })
    });
    let goals = report.run.until_confident.iter().map(|goal| {
        goal.parse::<Goal>().map_err(|source| ReplayError::Goal {
            goal: goal.clone(),
            source,
        })
    });
    Ok(Criteria {
        gates: gates.collect::<Result<_, _>>()?,
        goals: goals.collect::<Result<_, _>>()?,
        baseline: None,
    })
}

/// Judges every trial again, and holds the whole against `limits`.
fn again(mut report: Report, trials: Option<&[TrialData]>, limits: &Criteria) -> Report {
    report.warnings.clear();
    match (trials, report.promise) {
        (Some(trials), Some(promise)) => {
            report.trials = trials.iter().map(|data| judge(data, promise)).collect();
        }
        (None, _) if !report.trials.is_empty() => report.warnings.push(
            "there is no raw data beside the report: its trials are taken as they were judged then"
                .to_owned(),
        ),
        _ => {}
    }
    let asked: Vec<String> = limits.gates.iter().map(ToString::to_string).collect();
    let left_out: Vec<&str> = report
        .run
        .gates
        .iter()
        .filter(|gate| !asked.contains(gate))
        .map(String::as_str)
        .collect();
    if !left_out.is_empty() {
        let warning = format!(
            "limits of the run that were not asked for again: {}",
            left_out.join(", ")
        );
        report.warnings.push(warning);
    }
    // What was compared then and is not now is still what was found.
    let is_kept = |id| {
        !Criteria::is_origin_of(id) || (id == CheckId::Regression && limits.baseline.is_none())
    };
    report.checks.retain(|check| is_kept(check.id));
    limits.apply(&mut report);
    report.concluded()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::archive::{REPORT, tests::run};
    use clap::Parser;
    use failover_judging::{
        samples::says,
        verdict::{Check, Verdict},
    };

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        replay: ReplayArgs,
    }

    fn replay(place: &std::path::Path, flags: &[&str]) -> Result<Replayed, ReplayError> {
        let place = place.to_str().unwrap();
        Command::try_parse_from([&["replay", place], flags].concat())
            .unwrap()
            .replay
            .run()
    }

    fn change(place: &std::path::Path, change: impl FnOnce(&mut Report)) {
        let (file, mut report) = crate::archive::report(place).unwrap();
        change(&mut report);
        std::fs::write(file, serde_json::to_string(&report).unwrap()).unwrap();
    }

    #[test]
    fn the_raw_data_counts_and_not_what_was_once_found() {
        let place = run();
        change(place.path(), |report| {
            report.trials[0].verdict = Verdict::Fail;
            report.trials[0].checks.clear();
        });
        let replayed = replay(place.path(), &[]).unwrap();
        let trial = &replayed.report.trials[0];
        assert_eq!(trial.verdict, Verdict::Pass, "{:?}", trial.checks);
        assert_eq!((replayed.trials.len(), replayed.folder), (1, None));
    }

    #[test]
    fn the_runs_own_limits_hold_again_unless_others_are_given() {
        let place = run();
        change(place.path(), |report| {
            report.run.gates = vec!["graceful.lease.p50>1ms".to_owned()];
            report.run.until_confident.clear();
            report.checks = vec![Check::pass(
                CheckId::Gate,
                "--fail-if graceful.lease.p50>1ms",
                "old",
            )];
        });
        let gates = |flags: &[&str]| {
            let report = replay(place.path(), flags).unwrap().report;
            let gates = report
                .checks
                .iter()
                .filter(|check| check.id == CheckId::Gate);
            let verdicts: Vec<Verdict> = gates.map(|gate| gate.verdict).collect();
            (verdicts, report.warnings.join("; "))
        };
        assert_eq!(gates(&[]).0, [Verdict::Fail]);
        let (verdicts, warnings) = gates(&["--fail-if", "graceful.lease.p50>1h"]);
        assert_eq!(verdicts, [Verdict::Pass]);
        says(&warnings, &["not asked for again: graceful.lease.p50>1ms"]);
    }

    #[test]
    fn what_was_found_against_a_baseline_is_kept_unless_another_is_given() {
        let place = run();
        let found = Check::fail(CheckId::Regression, "--baseline", "slower");
        change(place.path(), |report| report.checks.push(found.clone()));
        let checks = replay(place.path(), &[]).unwrap().report.checks;
        assert!(checks.contains(&found));
        let itself = place.path().to_str().unwrap();
        let report = replay(place.path(), &["--baseline", itself])
            .unwrap()
            .report;
        assert!(!report.checks.contains(&found));
        let regressions = report
            .checks
            .iter()
            .filter(|check| check.id == CheckId::Regression);
        assert!(regressions.clone().count() > 0);
        assert!(
            regressions
                .clone()
                .all(|check| check.verdict == Verdict::Pass)
        );
    }

    #[test]
    fn without_raw_data_the_results_are_taken_as_they_are_and_the_report_says_so() {
        let place = run();
        std::fs::remove_dir_all(place.path().join("trials")).unwrap();
        let report = replay(place.path(), &[]).unwrap().report;
        assert_eq!(report.trials.len(), 1);
        says(&report.warnings[0], &["no raw data"]);
    }

    #[test]
    fn a_run_that_did_not_come_to_its_end_stays_inconclusive() {
        let place = run();
        let unfinished = Check::inconclusive(CheckId::Evidence, "the rest of the run", "killed");
        change(place.path(), |report| {
            report.run.gates.clear();
            report.run.until_confident.clear();
            report.checks.push(unfinished.clone());
        });
        let report = replay(place.path(), &[]).unwrap().report;
        assert_eq!(report.verdict, Verdict::Inconclusive);
        assert!(report.checks.contains(&unfinished));
    }

    #[test]
    fn a_replay_that_is_written_can_be_replayed() {
        let place = run();
        let out = place.path().join("again");
        let replayed = replay(place.path(), &["--out", out.to_str().unwrap()]).unwrap();
        assert_eq!(replayed.folder.as_deref(), Some(out.as_path()));
        assert!(out.join("junit.xml").exists() && out.join(REPORT).exists());
        assert!(out.join("report.html").exists());
        assert_eq!(replay(&out, &[]).unwrap().report, replayed.report);
    }

    #[test]
    fn a_limit_of_the_run_that_can_not_be_read_is_named() {
        let place = run();
        change(place.path(), |report| {
            report.run.gates = vec!["crash.sleep>1s".to_owned()];
        });
        let error = replay(place.path(), &[]).unwrap_err();
        assert!(error.is_usage(), "{error}");
        says(&error, &["crash.sleep>1s"]);
    }
}

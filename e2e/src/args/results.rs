//! How many trials are made, and what their results are compared with.

use std::path::PathBuf;

use clap::{Args, builder::RangedU64ValueParser};

use crate::{
    archive::ReadError,
    baseline::{Baseline, Percent},
    precision::{Goal, MAX_TRIALS, Precision},
};

/// How many trials are made beside those asked for.
#[derive(Clone, Debug, Args)]
pub struct PrecisionArgs {
    /// Trials of each fault that come first and are judged, but held against no limit of time and part of no figure
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = RangedU64ValueParser::<u32>::new().range(0..=100))]
    pub warm_up: u32,
    /// Go on until the confidence interval of a percentile is narrow enough: half of its length at most this, such as
    /// 'crash.work.p50<=50ms'; may be repeated
    #[arg(long = "until-confident", value_name = "GOAL")]
    pub until_confident: Vec<Goal>,
    /// Trials of each fault with each number of replicas at most, for --until-confident [default: 120, or --trials]
    #[arg(long, value_name = "N", requires = "until_confident", value_parser = RangedU64ValueParser::<u32>::new().range(1..=1000))]
    pub max_trials: Option<u32>,
}

/// What results are compared with.
#[derive(Clone, Debug, Args)]
pub struct BaselineArgs {
    /// The report of an earlier run that this one may not be slower than, noise aside
    #[arg(long, value_name = "report.json")]
    pub baseline: Option<PathBuf>,
    /// How much larger than the baseline's a median may be
    #[arg(
        long,
        value_name = "PERCENT",
        default_value = "20%",
        requires = "baseline"
    )]
    pub regression: Percent,
}

impl PrecisionArgs {
    /// How many trials are made, with at least `trials` of each.
    pub fn precision(&self, trials: u32) -> Precision {
        let max_trials = self.max_trials.unwrap_or_else(|| {
            if self.until_confident.is_empty() {
                trials
            } else {
                MAX_TRIALS.max(trials)
            }
        });
        Precision {
            warm_up: self.warm_up,
            trials,
            max_trials,
            goals: self.until_confident.clone(),
        }
    }
}

impl BaselineArgs {
    /// Reads the baseline, if there is to be one.
    pub fn read(&self) -> Result<Option<Baseline>, ReadError> {
        let baseline = self.baseline.as_ref();
        baseline
            .map(|path| Baseline::read(path, self.regression))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        precision: PrecisionArgs,
        #[command(flatten)]
        baseline: BaselineArgs,
    }

    fn parse(flags: &[&str]) -> Result<Command, clap::Error> {
        Command::try_parse_from([&["failover"], flags].concat())
    }

    #[test]
    fn without_goals_there_are_as_many_trials_as_asked_for() {
        let precision = parse(&[]).unwrap().precision.precision(7);
        assert_eq!(
            (precision.warm_up, precision.trials, precision.max_trials),
            (0, 7, 7)
        );
        let goal = ["--until-confident", "crash.work.p50<=50ms"];
        let most = |flags: &[&str], trials| {
            let args = parse(&[&goal, flags].concat()).unwrap();
            args.precision.precision(trials).max_trials
        };
        assert_eq!(most(&[], 7), MAX_TRIALS);
        assert_eq!(most(&[], 500), 500);
        assert_eq!(most(&["--max-trials", "20"], 7), 20);
    }

    #[test]
    fn a_baseline_that_is_not_there_is_named() {
        let args = parse(&["--baseline", "/nonexistent.json"]).unwrap();
        let error = args.baseline.read().unwrap_err();
        assert!(error.to_string().contains("/nonexistent.json"), "{error}");
        assert_eq!(parse(&[]).unwrap().baseline.read().unwrap(), None);
    }

    #[rstest::rstest]
    #[case(&["--until-confident", "crash.work.p50"], "such as crash.work.p50<=50ms")]
    #[case(&["--max-trials", "9"], "--until-confident")]
    #[case(&["--warm-up", "101"], "101 is not in 0..=100")]
    #[case(&["--baseline", "a", "--regression", "20"], "such as 20%")]
    #[case(&["--regression", "20%"], "--baseline")]
    fn bad_input_is_a_usage_error_that_names_it(#[case] flags: &[&str], #[case] named: &str) {
        let error = parse(flags).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(named), "{error}");
    }
}

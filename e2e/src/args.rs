//! The command line of `failover run`. What is wrong with it is said before anything is started.
//!
//! A flag that is not given has no value here: what then counts is the configuration file's, and then the default of
//! [`crate::run::RunOptions`].

mod results;
mod target;

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, builder::RangedU64ValueParser};

use crate::deploy::{EnvOverride, Switch, rollout::RolloutCommand};
use failover_judging::{criteria::Gate, fault::FaultKind, report::BudgetShape};
use failover_reports::replay::BaselineArgs;
use failover_rig::cluster::ClusterArgs;

pub use results::PrecisionArgs;
pub use target::TargetArgs;

/// Deploy the operator, break its leader, measure and judge the takeover.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// What is put to the test.
    #[command(flatten)]
    pub target: TargetArgs,
    /// Numbers of replicas to try, one after the other [default: 2,3]
    #[arg(
        long, value_name = "N,...", value_delimiter = ',',
        value_parser = RangedU64ValueParser::<u32>::new().range(1..=20)
    )]
    pub replicas: Vec<u32>,
    /// Faults to try; `failover faults` explains them [default: graceful,crash,crash-loop]
    #[arg(long, value_name = "FAULT,...", value_delimiter = ',', value_enum)]
    pub faults: Vec<FaultKind>,
    /// Trials of each fault with each number of replicas [default: 3]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u32>::new().range(1..=1000))]
    pub trials: Option<u32>,
    /// Seed of the moments at which faults are done, for doing the same again [default: drawn and printed]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// How long lease calls and writes are counted while nothing changes; 0s skips it [default: 30s]
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub steady: Option<Duration>,
    /// How long the replicas may take to settle, beyond the lease duration [default: 90s]
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    pub settle: Option<Duration>,
    /// Environment variable of the operator to set or change; may be repeated
    #[arg(long = "set-env", value_name = "NAME=VALUE")]
    pub set_env: Vec<EnvOverride>,
    /// Whether the API server refuses writes of replicas that do not hold the Lease [default: as the manifests have it]
    #[arg(long, value_name = "on|off", value_enum)]
    pub fence: Option<Switch>,
    /// Whether a standby acts on the end of its connection to the leader [default: as the manifests have it]
    #[arg(long, value_name = "on|off", value_enum)]
    pub hint: Option<Switch>,
    /// Rule of the operator's disruption budget [default: as the manifests have it]
    #[arg(long, value_name = "RULE", value_enum)]
    pub budget: Option<BudgetShape>,
    /// What gives the leader work, so that its writes can be timed [default: the file's canary]
    #[arg(long, value_name = "KIND", value_enum)]
    pub canary: Option<CanaryChoice>,
    /// What the replicas tell of their roles [default: the file's metrics]
    #[arg(long, value_name = "KIND", value_enum)]
    pub metrics: Option<MetricsChoice>,
    /// Command that has the operator rolled out anew, for the fault rolling-update [default: the pod template is annotated]
    #[arg(long, value_name = "COMMAND")]
    pub rollout: Option<RolloutCommand>,
    /// A limit over all trials of a fault, such as 'crash.work.p95>2s'; may be repeated
    #[arg(long = "fail-if", value_name = "GATE")]
    pub fail_if: Vec<Gate>,
    /// What to compare the results with.
    #[command(flatten)]
    pub baseline: BaselineArgs,
    /// How many trials more.
    #[command(flatten)]
    pub precision: PrecisionArgs,
    /// The takeover time you promise your users [default: the lease duration found in the cluster]
    #[arg(long, value_name = "TIME", value_parser = positive_duration)]
    pub within: Option<Duration>,
    /// Folder for the report and the raw data [default: a folder of its own in target/failover]
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Which cluster.
    #[command(flatten)]
    pub cluster: ClusterArgs,
}

/// What gives the leader work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CanaryChoice {
    /// A disabled ScheduledMachine that is changed again and again
    ScheduledMachine,
    /// Nothing: only the Lease is looked at
    None,
}

/// What the replicas tell of their roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MetricsChoice {
    /// `five_spot_leader_status` at /metrics of the first port
    #[value(name = "5spot")]
    FiveSpot,
    /// Nothing: only the Lease is looked at
    None,
}

fn positive_duration(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error} (such as 15s or 500ms)"))?;
    if duration.is_zero() {
        Err("must be longer than 0s".to_owned())
    } else {
        Ok(duration)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Command {
        #[command(flatten)]
        run: RunArgs,
    }

    fn parse(flags: &[&str]) -> Result<RunArgs, clap::Error> {
        Command::try_parse_from([&["failover"], flags].concat()).map(|command| command.run)
    }

    #[test]
    fn a_flag_that_is_not_given_leaves_the_word_to_the_file() {
        let run = parse(&[]).unwrap();
        assert!(run.replicas.is_empty() && run.faults.is_empty());
        assert_eq!((run.trials, run.steady, run.within), (None, None, None));
        assert_eq!((run.fence, run.hint), (None, None));
        assert_eq!((run.canary, run.metrics), (None, None));
        assert!(!run.target.names_a_target());
    }

    #[test]
    fn a_deployment_that_runs_already_is_not_deployed() {
        let error = parse(&["--running", "--deploy", "deploy"]).unwrap_err();
        assert!(error.to_string().contains("--deploy"), "{error}");
    }

    #[rstest::rstest]
    #[case(&["--within", "0s"], "longer than 0s")]
    #[case(&["--settle", "0s"], "longer than 0s")]
    #[case(&["--canary", "parrot"], "--canary")]
    #[case(&["--budget", "none"], "max-unavailable-1")]
    #[case(&["--holder", "somebody"], "hostname_uuid")]
    #[case(&["--retry-period", "0s"], "whole number of seconds above 0")]
    #[case(&["--lease-duration", "1500ms"], "or \"lease\"")]
    #[case(&["--set-env", "FOO"], "must be NAME=VALUE")]
    #[case(&["--rollout", " "], "must not be empty")]
    #[case(&["--until-confident", "crash.work.p50"], "such as crash.work.p50<=50ms")]
    #[case(&["--warm-up", "101"], "101 is not in 0..=100")]
    fn bad_input_is_a_usage_error_that_names_it(#[case] flags: &[&str], #[case] named: &str) {
        let error = parse(flags).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(named), "{error}");
    }
}

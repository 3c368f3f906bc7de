//! The command line of `failover run`: what `failover.toml` can say as well, and what only a flag says. What is wrong with
//! it is said before anything is started.
//!
//! A flag that is not given has no value here: what then counts is the configuration file's, and then the default of
//! [`crate::run::RunOptions`].

use clap::{Args, ValueEnum};

use crate::config::{RunTable, TargetTable};
use failover_rig::cluster::ClusterArgs;

/// Deploy the operator, break its leader, measure and judge the takeover.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// What is put to the test.
    #[command(flatten)]
    pub target: TargetTable,
    /// What is asked for.
    #[command(flatten)]
    pub run: RunTable,
    /// What gives the leader work, so that its writes can be timed [default: the file's canary]
    #[arg(long, value_name = "KIND", value_enum)]
    pub canary: Option<CanaryChoice>,
    /// What the replicas tell of their roles [default: the file's metrics]
    #[arg(long, value_name = "KIND", value_enum)]
    pub metrics: Option<MetricsChoice>,
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
        let args = parse(&[]).unwrap();
        assert_eq!((args.run, args.target), Default::default());
        assert_eq!((args.canary, args.metrics), (None, None));
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
    #[case(&["--warm-up", "101"], "101 must be a whole number from 0 to 100")]
    fn bad_input_is_a_usage_error_that_names_it(#[case] flags: &[&str], #[case] named: &str) {
        let error = parse(flags).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(named), "{error}");
    }
}

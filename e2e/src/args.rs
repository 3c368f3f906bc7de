//! The command line of `failover run`. What is wrong with it is said before anything is started.

mod results;

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, builder::RangedU64ValueParser};

use crate::{
    budget::FaultKind,
    cluster::ClusterArgs,
    deploy::{BudgetShape, EnvOverride, Switch},
    gate::Gate,
};

pub use results::{BaselineArgs, PrecisionArgs};

/// Deploy the operator, break its leader, measure and judge the takeover.
#[derive(Clone, Debug, Args)]
pub struct RunArgs {
    /// Folder with the operator's manifests and their kustomization.yaml
    #[arg(long, value_name = "DIR", default_value = "deploy")]
    pub deploy: PathBuf,
    /// Numbers of replicas to try, one after the other
    #[arg(
        long, value_name = "N,...", value_delimiter = ',', default_value = "2,3",
        value_parser = RangedU64ValueParser::<u32>::new().range(1..=20)
    )]
    pub replicas: Vec<u32>,
    /// Faults to try; `failover faults` explains them
    #[arg(
        long,
        value_name = "FAULT,...",
        value_delimiter = ',',
        value_enum,
        default_value = "graceful,crash,crash-loop"
    )]
    pub faults: Vec<FaultKind>,
    /// Trials of each fault with each number of replicas
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = RangedU64ValueParser::<u32>::new().range(1..=1000))]
    pub trials: u32,
    /// Seed of the moments at which faults are done, for doing the same again [default: drawn and printed]
    #[arg(long, value_name = "NUMBER")]
    pub seed: Option<u64>,
    /// How long lease calls and writes are counted while nothing changes; 0s skips it
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = humantime::parse_duration)]
    pub steady: Duration,
    /// How long the replicas may take to settle, beyond the lease duration
    #[arg(long, value_name = "TIME", default_value = "90s", value_parser = positive_duration)]
    pub settle: Duration,
    /// Environment variable of the operator to set or change; may be repeated
    #[arg(long = "set-env", value_name = "NAME=VALUE")]
    pub set_env: Vec<EnvOverride>,
    /// Whether the API server refuses writes of replicas that do not hold the Lease [default: as the manifests have it]
    #[arg(long, value_name = "on|off", value_enum)]
    pub fence: Option<Switch>,
    /// Whether a standby acts on the end of its connection to the leader [default: as the manifests have it]
    #[arg(long, value_name = "on|off", value_enum)]
    pub hint: Option<Switch>,
    /// Rule of the operator's disruption budget
    #[arg(long, value_name = "RULE", value_enum, default_value_t = BudgetShape::AsIs)]
    pub budget: BudgetShape,
    /// What gives the leader work, so that its writes can be timed; none for an operator that is not ours
    #[arg(long, value_name = "KIND", value_enum, default_value_t = CanaryChoice::ScheduledMachine)]
    pub canary: CanaryChoice,
    /// What the replicas tell of their roles; none for an operator that is not ours
    #[arg(long, value_name = "KIND", value_enum, default_value_t = MetricsChoice::FiveSpot)]
    pub metrics: MetricsChoice,
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
    fn the_defaults_are_two_and_three_replicas_and_the_quick_faults() {
        let run = parse(&[]).unwrap();
        assert_eq!(run.replicas, [2, 3]);
        assert_eq!(
            run.faults,
            [FaultKind::Graceful, FaultKind::Crash, FaultKind::CrashLoop]
        );
        assert_eq!((run.trials, run.within), (3, None));
        assert_eq!((run.fence, run.hint), (None, None));
        assert_eq!(run.canary, CanaryChoice::ScheduledMachine);
    }

    #[rstest::rstest]
    #[case(&["--faults", "meteor"], "meteor")]
    #[case(&["--trials", "0"], "0 is not in 1..")]
    #[case(&["--replicas", "0"], "0 is not in 1..")]
    #[case(&["--within", "soon"], "--within")]
    #[case(&["--within", "0s"], "longer than 0s")]
    #[case(&["--steady", "x"], "--steady")]
    #[case(&["--settle", "0s"], "longer than 0s")]
    #[case(&["--fence", "maybe"], "--fence")]
    #[case(&["--canary", "parrot"], "--canary")]
    #[case(&["--budget", "none"], "max-unavailable-1")]
    #[case(&["--fail-if", "crash.work.p50"], "such as crash.work.p95>2s")]
    #[case(&["--set-env", "FOO"], "must be NAME=VALUE")]
    fn bad_input_is_a_usage_error_that_names_it(#[case] flags: &[&str], #[case] named: &str) {
        let error = parse(flags).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(named), "{error}");
    }
}

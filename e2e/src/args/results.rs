//! How many trials are made, and what their results are compared with.

use clap::{Args, builder::RangedU64ValueParser};

use failover_judging::criteria::Goal;

/// How many trials are made beside those asked for.
#[derive(Clone, Debug, Args)]
pub struct PrecisionArgs {
    /// Trials of each fault that come first and are judged, but held against no limit of time and part of no figure
    /// [default: 0]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u32>::new().range(0..=100))]
    pub warm_up: Option<u32>,
    /// Go on until the confidence interval of a percentile is narrow enough: half of its length at most this, such as
    /// 'crash.work.p50<=50ms'; may be repeated
    #[arg(long = "until-confident", value_name = "GOAL")]
    pub until_confident: Vec<Goal>,
    /// Trials of each fault with each number of replicas at most, for --until-confident [default: 120, or --trials]
    #[arg(long, value_name = "N", value_parser = RangedU64ValueParser::<u32>::new().range(1..=1000))]
    pub max_trials: Option<u32>,
}

//! The figures of a run by name: `crash.work.p95` is the 95th percentile of the work failover after a crash.

use std::{str::FromStr, time::Duration};

use clap::ValueEnum;

use crate::{
    clock::Millis,
    fault::FaultKind,
    judge::TrialResult,
    statistics::percentile::{self, Interval, Summary},
};

/// One figure: a fault, a phase and a statistic over trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Figure {
    /// After which fault.
    pub fault: FaultKind,
    /// What is timed.
    pub phase: Phase,
    /// Which statistic of it.
    pub statistic: Statistic,
}

/// What is timed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, strum::Display)]
pub enum Phase {
    /// Lease failover.
    #[strum(to_string = "lease failover")]
    Lease,
    /// Work failover.
    #[strum(to_string = "work failover")]
    Work,
    /// Release to the next holder.
    #[strum(to_string = "release to holder")]
    Release,
}

/// A statistic over trials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Statistic {
    /// The median.
    P50,
    /// The 95th percentile.
    P95,
    /// The largest value.
    Max,
}

/// Why a text names no figure, or no time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the message names each field")]
pub enum FigureError {
    #[error("{0:?} must be FAULT.PHASE.STATISTIC, such as crash.work.p95")]
    Shape(String),
    #[error("{found:?} is no {part}: it is one of {known}")]
    Word {
        part: &'static str,
        found: String,
        known: String,
    },
    #[error("{found:?} is no time, such as 500ms or 2s: {why}")]
    Time { found: String, why: String },
}

impl FromStr for Figure {
    type Err = FigureError;

    fn from_str(text: &str) -> Result<Self, FigureError> {
        let parts: Vec<&str> = text.split('.').map(str::trim).collect();
        let [fault, phase, statistic] = parts.as_slice() else {
            return Err(FigureError::Shape(text.trim().to_owned()));
        };
        Ok(Self {
            fault: word("fault", fault)?,
            phase: word("phase", phase)?,
            statistic: word("statistic", statistic)?,
        })
    }
}

fn word<T: ValueEnum>(part: &'static str, found: &str) -> Result<T, FigureError> {
    T::from_str(found, false).map_err(|_| {
        let known = T::value_variants().iter().filter_map(T::to_possible_value);
        let known: Vec<String> = known.map(|value| value.get_name().to_owned()).collect();
        FigureError::Word {
            part,
            found: found.to_owned(),
            known: known.join(", "),
        }
    })
}

/// The time in a limit.
pub fn time(text: &str) -> Result<Duration, FigureError> {
    let text = text.trim();
    humantime::parse_duration(text).map_err(|why| FigureError::Time {
        found: text.to_owned(),
        why: why.to_string(),
    })
}

impl Phase {
    /// What a trial has for it, in milliseconds.
    pub fn of(self, trial: &TrialResult) -> Option<Millis> {
        match self {
            Self::Lease => trial.phases.lease_ms,
            Self::Work => trial.phases.work_ms,
            Self::Release => trial.phases.release_to_holder_ms,
        }
    }
}

impl Statistic {
    /// Its value, in milliseconds.
    pub fn of(self, summary: &Summary) -> Millis {
        match self {
            Self::P50 => summary.p50_ms,
            Self::P95 => summary.p95_ms,
            Self::Max => summary.max_ms,
        }
    }

    /// Its confidence interval. The largest value of some trials has none: more trials only make it larger.
    pub fn interval(self, summary: &Summary) -> Option<Interval> {
        match self {
            Self::P50 => summary.p50_interval,
            Self::P95 => summary.p95_interval,
            Self::Max => None,
        }
    }

    /// Which percentile it is, if it is one.
    pub fn percent(self) -> Option<u32> {
        match self {
            Self::P50 => Some(50),
            Self::P95 => Some(95),
            Self::Max => None,
        }
    }

    /// What `n` trials are too few for; `None` when they are enough.
    pub fn too_few(self, n: usize) -> Option<String> {
        percentile::too_few(self.percent()?, n)
    }
}

impl std::fmt::Display for Figure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let phase = match self.phase {
            Phase::Lease => "lease",
            Phase::Work => "work",
            Phase::Release => "release",
        };
        write!(f, "{}.{phase}.{}", self.fault, self.statistic)
    }
}

impl std::fmt::Display for Statistic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::P50 => "p50",
            Self::P95 => "p95",
            Self::Max => "max",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("crash.work.p95")]
    #[case("crash-loop.lease.max")]
    #[case("graceful.release.p50")]
    fn a_figure_prints_as_it_is_typed(#[case] text: &str) {
        assert_eq!(text.parse::<Figure>().unwrap().to_string(), text);
    }

    #[rstest::rstest]
    #[case("crash.p50", "FAULT.PHASE.STATISTIC")]
    #[case("meteor.work.p50", "\"meteor\" is no fault")]
    #[case("crash.sleep.p50", "lease, work, release")]
    #[case("crash.work.p51", "p50, p95, max")]
    fn what_is_wrong_is_named(#[case] text: &str, #[case] named: &str) {
        let error = text.parse::<Figure>().unwrap_err().to_string();
        assert!(error.contains(named), "{error}");
    }
}

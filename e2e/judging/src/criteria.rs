//! What a run is held against beside the limits of its faults: what the user asks for. All of it looks at results only,
//! so it can be asked of an old run as well.

pub mod baseline;
pub mod comparison;
pub mod gate;
pub mod precision;

pub use baseline::{Baseline, NoPercentage, Percent};
pub use comparison::{Comparisons, Difference, Pair, Sample, Unmatched};
pub use gate::{Gate, GateError};
pub use precision::{Goal, GoalError, Precision, Unreachable};

use crate::{report::Report, verdict::CheckId};

/// What the user asks of a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Criteria {
    /// Limits for figures.
    pub gates: Vec<Gate>,
    /// How well figures are to be known.
    pub goals: Vec<Goal>,
    /// An earlier run to compare with.
    pub baseline: Option<Baseline>,
}

impl Criteria {
    /// Adds to `report` what it is found to keep and to break, and writes down what it was asked.
    pub fn apply(&self, report: &mut Report) {
        report.run.gates = self.gates.iter().map(ToString::to_string).collect();
        report.run.until_confident = self.goals.iter().map(ToString::to_string).collect();
        let gates = self.gates.iter().map(|gate| gate.check(&report.trials));
        let goals = self.goals.iter().flat_map(|goal| {
            let replicas = report.run.replicas.iter();
            replicas.map(|replicas| goal.check(&report.trials, *replicas))
        });
        let mut checks: Vec<_> = gates.chain(goals).collect();
        if let Some(baseline) = &self.baseline {
            report.run.baseline = Some(baseline.place.display().to_string());
            report.run.regression_percent = Some(baseline.regression.fraction() * 100.0);
            checks.extend(baseline.checks(report));
            let warnings = baseline.warnings(report);
            report.warnings.extend(warnings);
        }
        report.checks.extend(checks);
    }

    /// Whether a check is one of these.
    pub fn is_origin_of(id: CheckId) -> bool {
        matches!(id, CheckId::Gate | CheckId::Precision | CheckId::Regression)
    }
}

//! `report.json`: what a run found, in a published format.
//!
//! The schema is generated from these types (`failover schema`) and committed as `report.schema.json`. Times are
//! milliseconds; `_ms` says so in every name. Raw trial data lies beside the report, one file per trial.

mod run_info;

pub use run_info::{BudgetShape, Provider, RunInfo, TargetInfo};

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    clock::Millis,
    fault::FaultKind,
    judge::{Promise, Reason, TrialResult, disruption::Disruption, idle::Idle},
    limit::TakeoverLimits,
    settings::LeaseSettings,
    statistics::{Phase, Statistic, Summary},
    verdict::{Check, Verdict},
};

/// The version of the format; it changes when a reader has to.
pub const FORMAT_VERSION: u32 = 2;

/// What a run found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "failover report")]
pub struct Report {
    /// Version of this format.
    pub format_version: u32,
    /// How the run came out.
    pub verdict: Verdict,
    /// One line for each check that was not passed.
    pub why: Vec<String>,
    /// What to keep in mind when reading the figures. It changes no verdict.
    #[serde(default)]
    pub warnings: Vec<String>,
    /// What was run, and where.
    pub run: RunInfo,
    /// The election settings found in the cluster; absent when the run ended before.
    pub settings: Option<LeaseSettings>,
    /// What every takeover is held against; absent when the run ended before.
    pub promise: Option<Promise>,
    /// The largest measuring error of any trial, in milliseconds.
    pub measuring_error_ms: Option<Millis>,
    /// Lease calls and writes while nothing changed.
    pub idle: Option<Idle>,
    /// Evictions, by number of replicas.
    pub disruptions: Vec<Disruption>,
    /// Percentiles, by number of replicas and fault.
    pub groups: Vec<Group>,
    /// Every trial.
    pub trials: Vec<TrialResult>,
    /// Checks that belong to no single trial.
    pub checks: Vec<Check>,
}

/// The trials of one fault with one number of replicas.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Group {
    /// How many replicas.
    pub replicas: u32,
    /// Which fault.
    pub fault: FaultKind,
    /// How many trials were conducted.
    pub n: usize,
    /// How many of these warmed up, and are part of no figure.
    #[serde(default)]
    pub warm_up: usize,
    /// How many of the rest are INCONCLUSIVE, and part of no figure either.
    #[serde(default)]
    pub left_out: usize,
    /// How often the Lease changed hands for which reason.
    pub reasons: BTreeMap<Reason, usize>,
    /// Fault to another holder or process life.
    pub lease: Option<Summary>,
    /// Fault to the first accepted write of the new leader.
    pub work: Option<Summary>,
    /// What these are held against.
    #[serde(rename = "budget")]
    pub limits: TakeoverLimits,
    /// Work writes that the API server refused to their writer, in all trials.
    pub refused: usize,
    /// Release to new holder.
    pub release_to_holder: Option<Summary>,
    /// How the group came out.
    pub verdict: Verdict,
}

impl Group {
    /// The groups of `trials`, in order of first appearance.
    pub fn all(trials: &[TrialResult], settings: &LeaseSettings) -> Vec<Self> {
        let mut order: Vec<(u32, FaultKind)> = Vec::new();
        for trial in trials {
            let key = (trial.id.replicas, trial.id.fault);
            if !order.contains(&key) {
                order.push(key);
            }
        }
        order
            .into_iter()
            .map(|(replicas, fault)| Self::of(replicas, fault, trials, settings))
            .collect()
    }

    fn of(
        replicas: u32,
        fault: FaultKind,
        trials: &[TrialResult],
        settings: &LeaseSettings,
    ) -> Self {
        let own: Vec<&TrialResult> = trials
            .iter()
            .filter(|trial| trial.id.replicas == replicas && trial.id.fault == fault)
            .collect();
        let counted: Vec<&TrialResult> =
            own.iter().copied().filter(|trial| trial.counts()).collect();
        let warm_up = own.iter().filter(|trial| trial.warm_up).count();
        let summary =
            |phase: Phase| Summary::of(counted.iter().filter_map(|trial| phase.of(trial)));
        let mut reasons = BTreeMap::new();
        for reason in own.iter().filter_map(|trial| trial.reason) {
            *reasons.entry(reason).or_default() += 1;
        }
        Self {
            replicas,
            fault,
            n: own.len(),
            warm_up,
            left_out: own.len() - warm_up - counted.len(),
            reasons,
            lease: summary(Phase::Lease),
            work: summary(Phase::Work),
            // Whether a death can be proven is known from the Lease, and is the same in all trials of a run.
            limits: own.first().map_or_else(
                || fault.limits(settings, false),
                |trial| trial.limits.clone(),
            ),
            refused: own.iter().map(|trial| trial.exclusion.refused).sum(),
            release_to_holder: summary(Phase::Release),
            verdict: Verdict::of(own.iter().map(|trial| trial.verdict)),
        }
    }

    /// What its trials are too few for, the same words for groups that are alike.
    fn too_few(&self) -> Option<String> {
        let n = self.lease.or(self.work)?.n;
        // What holds for the median holds for the p95 all the more.
        Statistic::P95
            .too_few(n)
            .map(|p95| match Statistic::P50.too_few(n) {
                Some(p50) => format!("{p95}; {p50}"),
                None => p95,
            })
    }
}

/// What the groups have too few trials for, one line for those that have as many.
fn too_few(groups: &[Group]) -> Vec<String> {
    let mut lines: Vec<(String, Vec<String>)> = Vec::new();
    for group in groups {
        let Some(what) = group.too_few() else {
            continue;
        };
        let name = format!("{} {}", group.replicas, group.fault);
        match lines.iter_mut().find(|(known, _)| *known == what) {
            Some((_, names)) => names.push(name),
            None => lines.push((what, vec![name])),
        }
    }
    lines
        .into_iter()
        .map(|(what, names)| format!("{what} ({})", names.join(", ")))
        .collect()
}

impl Report {
    /// Every check that belongs to no trial.
    pub fn run_checks(&self) -> impl Iterator<Item = &Check> {
        let idle = self.idle.iter().flat_map(|idle| &idle.checks);
        let disruptions = self.disruptions.iter().map(|disruption| &disruption.check);
        self.checks.iter().chain(idle).chain(disruptions)
    }

    /// Every check of the run.
    pub fn all_checks(&self) -> impl Iterator<Item = &Check> {
        let trials = self.trials.iter().flat_map(|trial| &trial.checks);
        self.run_checks().chain(trials)
    }

    /// Fills in what follows from the parts: groups, measuring error, warnings, verdict and why.
    #[must_use]
    pub fn concluded(mut self) -> Self {
        if let Some(settings) = &self.settings {
            self.groups = Group::all(&self.trials, settings);
        }
        for warning in too_few(&self.groups) {
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
        self.measuring_error_ms = self
            .trials
            .iter()
            .map(|trial| trial.error.total_ms)
            .max_by(f64::total_cmp);
        self.verdict = Verdict::of(self.all_checks().map(|check| check.verdict));
        let mut open: Vec<&Check> = self
            .all_checks()
            .filter(|check| check.verdict != Verdict::Pass)
            .collect();
        open.sort_by_key(|check| std::cmp::Reverse(check.verdict));
        self.why = open
            .into_iter()
            .map(|check| {
                format!(
                    "{} {}: {}: {}",
                    check.verdict, check.scope, check.id, check.detail
                )
            })
            .collect();
        self
    }
}

/// The JSON Schema of the report, as text that ends with a newline.
pub fn schema() -> Result<String, serde_json::Error> {
    let schema = schemars::generate::SchemaSettings::draft2020_12()
        .for_serialize()
        .into_generator()
        .into_root_schema_for::<Report>();
    serde_json::to_string_pretty(&schema).map(|text| text + "\n")
}

#[cfg(test)]
mod tests;

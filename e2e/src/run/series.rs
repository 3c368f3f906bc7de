//! The sequence of a run: numbers of replicas, evictions, idle measurement, faults, trials.

use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::time::Instant;

use super::{RunError, RunOptions, outcome};
use crate::{
    budget::FaultKind,
    canary::Pace,
    clock::duration_millis,
    conduct, disruption,
    evidence::Folder,
    fault::{Need, fault},
    idle,
    judge::{Promise, TrialResult, judge},
    plan,
    report::Report,
    scene::Scene,
    steady::{self, Steady, Unsteady},
    trial::TrialId,
    verdict::{Check, CheckId, Verdict},
    witness::Witnesses,
};

/// How often a standby is moved to another node than the leader's; what that does not achieve, the fault says.
const SPREAD_ATTEMPTS: u32 = 3;

/// A run in progress.
#[derive(Debug)]
pub struct Series<'a> {
    options: &'a RunOptions,
    scene: &'a Scene<'a>,
    folder: &'a Folder,
    witnesses: &'a mut Witnesses,
    promise: Promise,
    report: Report,
    began: Instant,
}

/// The rest of the run is of no use.
#[derive(Debug)]
struct Over;

impl<'a> Series<'a> {
    /// A run that has not begun.
    pub fn new(
        options: &'a RunOptions,
        scene: &'a Scene<'a>,
        folder: &'a Folder,
        witnesses: &'a mut Witnesses,
    ) -> Self {
        let within = options.within.unwrap_or_else(|| scene.settings.duration());
        let promise = Promise {
            within_ms: duration_millis(within),
        };
        let report = outcome::begun(options, scene, promise, Timestamp::now());
        Self {
            options,
            scene,
            folder,
            witnesses,
            promise,
            report,
            began: Instant::now(),
        }
    }

    /// Runs to the end, or to the point from which nothing more can be learned.
    pub async fn run(mut self) -> Result<Report, RunError> {
        let worst = outcome::worst_case(&self.scene.settings, self.promise);
        self.report.checks.push(worst);
        for (index, replicas) in self.options.replicas.iter().enumerate() {
            match self.with_replicas(*replicas, index == 0).await {
                Ok(None) => {}
                Ok(Some(Over)) => break,
                Err(error) => {
                    self.report.checks.push(cut_short(&self.report, error)?);
                    break;
                }
            }
        }
        for gate in &self.options.gates {
            self.report.checks.push(gate.check(&self.report.trials));
        }
        self.report.run.took_ms = duration_millis(self.began.elapsed());
        Ok(self.report.concluded())
    }

    async fn with_replicas(
        &mut self,
        replicas: u32,
        first: bool,
    ) -> Result<Option<Over>, RunError> {
        if replicas == 1 {
            self.report.checks.push(outcome::no_standby());
        }
        self.scale(replicas).await?;
        let Some(steady) = self.settle(replicas).await? else {
            return Ok(Some(Over));
        };
        self.report.checks.push(outcome::recorded_duration(
            &self.scene.settings,
            &steady.lease.record,
            replicas,
        ));
        if first && !self.options.steady.is_zero() {
            self.idle(replicas, &steady).await;
        }
        let Some(steady) = self.settle(replicas).await? else {
            return Ok(Some(Over));
        };
        self.evict(replicas, &steady).await?;
        for fault in &self.options.faults {
            if let Some(over) = self.trials(replicas, *fault).await? {
                return Ok(Some(over));
            }
        }
        Ok(None)
    }

    async fn scale(&mut self, replicas: u32) -> Result<(), RunError> {
        self.scene
            .progress
            .step(&format!("scaling to {replicas} replicas"));
        let name = &self.scene.target.deployment;
        let scale = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let scaled = self
            .scene
            .deployments()
            .patch(name, &PatchParams::default(), &scale)
            .await;
        scaled.map_err(|source| RunError::Deployment {
            name: name.clone(),
            source: Box::new(source),
        })?;
        Ok(())
    }

    /// Waits for the steady state; `None` when it does not come, which is checked and written down.
    async fn settle(&mut self, replicas: u32) -> Result<Option<Steady>, RunError> {
        self.scene.pace(Pace::Idle);
        let limit = self.options.settle + self.scene.settings.duration();
        let unsteady = match steady::wait(self.scene, replicas, &self.options.image, limit).await {
            Ok(steady) => return Ok(Some(steady)),
            Err(unsteady) => unsteady,
        };
        if let Unsteady::Image { .. } = unsteady {
            return Err(RunError::Image(unsteady.to_string()));
        }
        let scope = format!("{replicas} replicas");
        let detail = unsteady.to_string();
        self.report.checks.push(match unsteady.rig_fault() {
            Some(_) => Check::inconclusive(CheckId::SteadyState, scope, detail),
            None => Check::fail(CheckId::SteadyState, scope, detail),
        });
        let written = self
            .folder
            .write_state(self.scene, &format!("failures/{replicas}-replicas"))
            .await?;
        self.scene
            .progress
            .warn(&format!("{unsteady}; evidence in {}", written.display()));
        Ok(None)
    }

    /// Waits for a steady state; where the fault takes the leader's node away, for one that leaves a replica elsewhere.
    async fn settle_for(
        &mut self,
        replicas: u32,
        kind: FaultKind,
    ) -> Result<Option<Steady>, RunError> {
        let mut steady = self.settle(replicas).await?;
        if fault(kind).needs() != Some(Need::Agents) {
            return Ok(steady);
        }
        for _ in 0..SPREAD_ATTEMPTS {
            match &steady {
                Some(found) if conduct::spread(self.scene, &found.leader).await => {
                    steady = self.settle(replicas).await?;
                }
                _ => break,
            }
        }
        Ok(steady)
    }

    async fn idle(&mut self, replicas: u32, steady: &Steady) {
        let window = self.options.steady;
        self.scene.progress.step(&format!(
            "counting calls for {} s while nothing changes",
            window.as_secs()
        ));
        match idle::measure(self.scene, &steady.leader.name, replicas, window).await {
            Ok(idle) => self.report.idle = Some(idle),
            Err(fault) => {
                let scope = format!("{replicas} replicas, idle");
                self.report.checks.push(Check::inconclusive(
                    CheckId::Idle,
                    scope,
                    fault.to_string(),
                ));
            }
        }
    }

    async fn evict(&mut self, replicas: u32, steady: &Steady) -> Result<(), RunError> {
        self.scene.progress.step(&format!(
            "{replicas} replicas: evicting against the disruption budget"
        ));
        // Right after a change the disruption controller may not have counted yet. What it still lacks when time is up
        // shows in the probe.
        let _counted = steady::recovery(self.scene, replicas, true, conduct::RESTORE_LIMIT).await;
        let found = disruption::probe(self.scene, steady, replicas).await;
        self.scene.progress.note(&format!(
            "{replicas} replicas, evictions: {} ({})",
            found.check.verdict, found.check.detail
        ));
        if found.check.verdict != Verdict::Pass {
            self.folder
                .write_state(self.scene, &format!("failures/{replicas}-evictions"))
                .await?;
        }
        self.report.disruptions.push(found);
        Ok(())
    }

    async fn trials(&mut self, replicas: u32, kind: FaultKind) -> Result<Option<Over>, RunError> {
        let period = self.scene.settings.retry_period();
        let moments = plan::moments(
            self.options.seed,
            replicas,
            kind,
            self.options.trials,
            period,
        );
        for (number, moment) in (1..).zip(moments) {
            let Some(steady) = self.settle_for(replicas, kind).await? else {
                return Ok(Some(Over));
            };
            let id = TrialId {
                replicas,
                fault: kind,
                number,
            };
            self.scene.progress.step(&format!(
                "{id} of {}: {}",
                self.options.trials,
                fault(kind).about()
            ));
            self.trial(id, moment, &steady).await?;
            if let Some(error) = self.witnesses.ended() {
                let detail = crate::progress::chain(&error);
                self.report.checks.push(Check::inconclusive(
                    CheckId::Evidence,
                    "the rest of the run",
                    detail,
                ));
                return Ok(Some(Over));
            }
        }
        Ok(None)
    }

    async fn trial(
        &mut self,
        id: TrialId,
        moment: Duration,
        steady: &Steady,
    ) -> Result<(), RunError> {
        let data = conduct::conduct(self.scene, id, moment, steady).await;
        self.folder.write_trial(&data)?;
        let result = judge(&data, self.promise);
        self.scene.progress.note(&summary(&result));
        if result.verdict != Verdict::Pass {
            let written = self
                .folder
                .write_failure(self.scene, &data, &result)
                .await?;
            for check in result
                .checks
                .iter()
                .filter(|check| check.verdict != Verdict::Pass)
            {
                self.scene.progress.warn(&format!(
                    "{}: {}: {}",
                    check.verdict, check.id, check.detail
                ));
            }
            self.scene
                .progress
                .warn(&format!("evidence in {}", written.display()));
        }
        self.report.trials.push(result);
        conduct::replace_restarted(self.scene).await;
        Ok(())
    }
}

/// What an error in the middle of a run means: the trials that are done are still worth a report, and without any the
/// error is all there is.
fn cut_short(report: &Report, error: RunError) -> Result<Check, RunError> {
    if report.trials.is_empty() {
        return Err(error);
    }
    let detail = crate::progress::chain(&error);
    Ok(Check::inconclusive(
        CheckId::Evidence,
        "the rest of the run",
        detail,
    ))
}

/// One line for a trial that is done.
fn summary(result: &TrialResult) -> String {
    let seconds = |value: Option<f64>| {
        value.map_or_else(|| "-".to_owned(), |ms| format!("{:.3} s", ms / 1000.0))
    };
    let reason = result
        .reason
        .map_or("no takeover", crate::takeover::Reason::name);
    format!(
        "{}: {} {reason}, lease {}, work {} (±{:.1} ms)",
        result.id,
        result.verdict,
        seconds(result.phases.lease_ms),
        seconds(result.phases.work_ms),
        result.error.total_ms
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    #[test]
    fn an_error_after_a_finished_trial_keeps_the_report_and_before_one_ends_the_run() {
        let mut report = report();
        let check = cut_short(&report, RunError::NoAuditLog).unwrap();
        assert_eq!(check.verdict, Verdict::Inconclusive);
        assert!(check.detail.contains("--audit-log"), "{check:?}");
        report.trials.clear();
        assert!(matches!(
            cut_short(&report, RunError::NoAuditLog),
            Err(RunError::NoAuditLog)
        ));
    }
}

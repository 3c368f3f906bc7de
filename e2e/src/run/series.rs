//! The sequence of a run: numbers of replicas, evictions, idle measurement, faults, trials.

use std::time::Duration;

use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use tokio::time::Instant;

use super::{RunError, RunOptions, outcome, rig_watch::RigWatch};
use crate::{
    context::RunContext,
    fault::{Need, action},
    observe::{Observers, Pace},
    run::{
        cluster_state, evictions, idle,
        steady::{self, Steady, Unsteady},
        trial,
    },
};
use failover_judging::{
    clock::duration_millis,
    fault::FaultKind,
    judge::{Promise, TrialResult, judge},
    observed::TrialId,
    plan::{self, Part},
    report::Report,
    verdict::{Check, CheckId, Verdict},
};
use failover_reports::{folder::Folder, outputs};
use failover_rig::progress::chain;

/// How often a standby is moved to another node than the leader's; what that does not achieve, the fault says.
const SPREAD_ATTEMPTS: u32 = 3;

/// A run in progress.
#[derive(Debug)]
pub struct Series<'a> {
    options: &'a RunOptions,
    context: &'a RunContext<'a>,
    folder: &'a Folder,
    observers: &'a mut Observers,
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
        context: &'a RunContext<'a>,
        folder: &'a Folder,
        observers: &'a mut Observers,
    ) -> Self {
        let within = options
            .within
            .unwrap_or_else(|| context.settings.duration());
        let promise = Promise {
            within_ms: duration_millis(within),
        };
        let report = outcome::begun(options, context, promise, Timestamp::now());
        Self {
            options,
            context,
            folder,
            observers,
            promise,
            report,
            began: Instant::now(),
        }
    }

    /// Runs to the end, or to the point from which nothing more can be learned.
    pub async fn run(mut self) -> Result<Report, RunError> {
        let worst = outcome::worst_case(&self.context.settings, self.promise);
        self.report.checks.push(worst);
        self.save()?;
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
        self.options.limits.apply(&mut self.report);
        self.report.run.took_ms = duration_millis(self.began.elapsed());
        Ok(self.report.concluded())
    }

    /// Writes down what has been found up to now: whatever ends this process, what is finished is there to be replayed.
    fn save(&self) -> Result<(), RunError> {
        let mut report = self.report.clone();
        self.options.limits.apply(&mut report);
        report.checks.push(outcome::unfinished());
        report.run.took_ms = duration_millis(self.began.elapsed());
        outputs::keep(self.folder, &report.concluded())?;
        Ok(())
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
            &self.context.settings,
            &steady.lease.record,
            replicas,
        ));
        if first && self.context.audit && !self.options.steady.is_zero() {
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
        self.context
            .progress
            .step(&format!("scaling to {replicas} replicas"));
        let name = &self.context.target.deployment;
        let scale = Patch::Merge(json!({"spec": {"replicas": replicas}}));
        let scaled = self
            .context
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
        self.context.pace(Pace::Idle);
        let limit = self.options.settle + self.context.settings.duration();
        let rig_watch = RigWatch::begin(self.context);
        // What could not be undone after the last trial may well be undone now.
        trial::undo(self.context).await;
        let image = &self.context.target.image;
        let unsteady = match steady::wait(self.context, replicas, image, limit).await {
            Ok(steady) => return Ok(Some(steady)),
            Err(unsteady) => unsteady,
        };
        if let Unsteady::Image { .. } = unsteady {
            return Err(RunError::Image(unsteady.to_string()));
        }
        let trouble = match unsteady.rig_fault() {
            Some(fault) => Some(fault.to_string()),
            None if unsteady.is_certain() => None,
            None => rig_watch.trouble(self.context, self.observers).await,
        };
        self.report.checks.push(outcome::unsteady(
            replicas,
            &unsteady.to_string(),
            trouble.as_deref(),
        ));
        let written = cluster_state::write(
            self.context,
            self.folder,
            &format!("failures/{replicas}-replicas"),
        )
        .await?;
        self.context
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
        if action(kind).needs != Some(Need::Agents) {
            return Ok(steady);
        }
        for _ in 0..SPREAD_ATTEMPTS {
            match &steady {
                Some(found) if trial::spread(self.context, &found.leader).await => {
                    steady = self.settle(replicas).await?;
                }
                _ => break,
            }
        }
        Ok(steady)
    }

    async fn idle(&mut self, replicas: u32, steady: &Steady) {
        let window = self.options.steady;
        self.context.progress.step(&format!(
            "counting calls for {} s while nothing changes",
            window.as_secs()
        ));
        let rig_watch = RigWatch::begin(self.context);
        match idle::measure(self.context, &steady.leader.name, replicas, window).await {
            Ok(mut idle) => {
                if let Some(trouble) = rig_watch.trouble(self.context, self.observers).await {
                    idle.excuse(&trouble);
                }
                self.report.idle = Some(idle);
            }
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
        self.context.progress.step(&format!(
            "{replicas} replicas: evicting against the disruption budget"
        ));
        // Right after a change the disruption controller may not have counted yet. What it still lacks when time is up
        // shows in the probe.
        let _counted = steady::recovery(self.context, replicas, true, trial::RESTORE_LIMIT).await;
        let found = evictions::probe(self.context, steady, replicas).await;
        self.context.progress.note(&format!(
            "{replicas} replicas, evictions: {} ({})",
            found.check.verdict, found.check.detail
        ));
        if found.check.verdict != Verdict::Pass {
            cluster_state::write(
                self.context,
                self.folder,
                &format!("failures/{replicas}-evictions"),
            )
            .await?;
        }
        self.report.disruptions.push(found);
        Ok(())
    }

    async fn trials(&mut self, replicas: u32, kind: FaultKind) -> Result<Option<Over>, RunError> {
        let (options, context) = (self.options, self.context);
        let precision = &options.precision;
        let plan = |part| {
            let period = context.settings.retry_period();
            plan::moments(options.seed, replicas, kind, part, period)
        };
        let warm_up = (1..=precision.warm_up).zip(plan(Part::WarmUp));
        let measured = (1..).zip(plan(Part::Measured));
        let all = warm_up
            .map(|(_, moment)| (None, moment))
            .chain(measured.map(|(nth, moment)| (Some(nth), moment)));
        for (number, (nth, moment)) in (1..).zip(all) {
            let wanted = nth.is_none_or(|nth: u32| {
                precision.wants_another(replicas, kind, nth - 1, &self.report.trials)
            });
            if !wanted {
                break;
            }
            let Some(steady) = self.settle_for(replicas, kind).await? else {
                return Ok(Some(Over));
            };
            let id = TrialId {
                replicas,
                fault: kind,
                number,
            };
            let which = match nth {
                None => "warm-up".to_owned(),
                Some(nth) if nth > precision.trials => {
                    format!("{nth}, at most {}, until confident", precision.max_trials)
                }
                Some(nth) => format!("{nth} of {}", precision.trials),
            };
            context
                .progress
                .step(&format!("{id} ({which}): {}", kind.entry().about));
            self.trial(id, moment, &steady, nth.is_none()).await?;
            if let Some(error) = self.observers.ended() {
                let detail = chain(error);
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
        warm_up: bool,
    ) -> Result<(), RunError> {
        let mut data = trial::run(self.context, id, moment, steady).await;
        data.warm_up = warm_up;
        self.folder.write_trial(&data)?;
        let result = judge(&data, self.promise);
        self.context.progress.note(&summary(&result));
        if result.verdict != Verdict::Pass {
            let name = self.folder.write_failure(&data, &result)?;
            let written = cluster_state::write(self.context, self.folder, &name).await?;
            for check in result
                .checks
                .iter()
                .filter(|check| check.verdict != Verdict::Pass)
            {
                self.context.progress.warn(&format!(
                    "{}: {}: {}",
                    check.verdict, check.id, check.detail
                ));
            }
            self.context
                .progress
                .warn(&format!("evidence in {}", written.display()));
        }
        self.report.trials.push(result);
        self.save()?;
        trial::replace_restarted(self.context).await;
        Ok(())
    }
}

/// What an error in the middle of a run means: the trials that are done are still worth a report, and without any the
/// error is all there is.
fn cut_short(report: &Report, error: RunError) -> Result<Check, RunError> {
    if report.trials.is_empty() {
        return Err(error);
    }
    let detail = chain(&error);
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
        .map_or_else(|| "no takeover".to_owned(), |reason| reason.to_string());
    let warm_up = if result.warm_up { " (warm-up)" } else { "" };
    format!(
        "{}{warm_up}: {} {reason}, lease {}, work {} (±{:.1} ms)",
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
    use failover_judging::samples::report;

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

//! The course of a trial after the fault was done: what is waited for, and when the fault is undone.

use std::time::Duration;

use tokio::time::{sleep, timeout};

use crate::{
    context::RunContext,
    fault::{RepeatedStrikes, action},
    observe::{Seen, observers},
    run::steady,
};
use failover_judging::{
    fault::{Hold, Successor},
    judge::{
        Take, Takeover, exclusion,
        takeover::{history_of_terms, principal, takeovers, without_stranger},
    },
    observed::{ApiCall, PodSeen, RigFault, TrialData, Unobserved, audit::purpose::LOOK_PERIOD},
};
use failover_rig::progress::chain;

/// How long replicas and disruption budget get to be restored.
pub(crate) const RESTORE_LIMIT: Duration = Duration::from_secs(90);

/// How long a trial waits for a takeover beyond the time that the lease settings allow.
const PATIENCE: Duration = Duration::from_secs(10);

/// How long undoing a fault may take.
const UNDO_LIMIT: Duration = Duration::from_secs(20);

/// A fault that was done, until it is over.
pub(super) struct Course<'a> {
    context: &'a RunContext<'a>,
    leader: &'a PodSeen,
}

impl<'a> Course<'a> {
    pub(super) fn new(context: &'a RunContext<'a>, leader: &'a PodSeen) -> Self {
        Self { context, leader }
    }

    /// Looks on until another leader works, undoes the fault when it has lasted long enough, and then looks on for late
    /// writes. When it was repeated, and when it was undone, are written into `trial`.
    pub(super) async fn follow(&self, trial: &mut TrialData) {
        let repeated = RepeatedStrikes::default();
        tokio::select! {
            // Neither of these ends by itself.
            () = (action(trial.id.fault).repeat)(self.context, self.leader, &repeated) => {}
            () = keep_looking(self.context) => {}
            () = self.run(trial) => {}
        }
        trial.strike.repeated = repeated.all();
    }

    async fn run(&self, trial: &mut TrialData) {
        let entry = trial.id.fault.entry();
        match (entry.hold)(&self.context.settings) {
            Hold::Done => self.takeover_and_work(trial).await,
            Hold::UntilTakeover(least) => {
                tokio::join!(self.takeover_and_work(trial), sleep(least));
                self.undo(trial).await;
            }
            Hold::For(time) => {
                sleep(time).await;
                self.undo(trial).await;
                self.takeover_and_work(trial).await;
            }
            Hold::UntilRolledOut => {
                steady::rolled_out(self.context, trial.id.replicas, RESTORE_LIMIT).await;
                self.takeover_and_work(trial).await;
            }
        }
        sleep((entry.aftermath)(&self.context.settings)).await;
    }

    async fn undo(&self, trial: &mut TrialData) {
        trial.strike.undone = Some(self.context.observations.now());
        undo(self.context).await;
    }

    /// Waits for the takeover and the new leader's first write. That there is none is for the judge to say.
    async fn takeover_and_work(&self, trial: &TrialData) {
        let settings = &self.context.settings;
        let observations = &self.context.observations;
        let limit = settings.duration() + settings.retry_period() + PATIENCE;
        let found = observations
            .wait_for(limit, |seen| takeover_in(seen, trial))
            .await;
        if found.is_none() || !trial.observes(Unobserved::Work) {
            return;
        }
        let mut limit = settings.retry_period() * 2 + Duration::from_secs(1);
        if trial.id.fault.entry().successor == Successor::OldLeaderToo {
            // The first sign may be a renewal that was on its way, and its writer no longer at work.
            limit += settings.duration();
        }
        let _found = observations
            .wait_for(limit, |seen| first_write_in(seen, trial))
            .await;
    }
}

/// Undoes what is due; what can't be undone is the rig's fault, and is tried again at the end of the run.
pub(crate) async fn undo(context: &RunContext<'_>) {
    if context.undo_log.is_clear() {
        return;
    }
    let settled = context
        .undo_log
        .undo_trial(context.cluster, &context.client);
    let detail = match timeout(UNDO_LIMIT, settled).await {
        Ok(Ok(())) => return,
        Ok(Err(error)) => chain(&error),
        Err(_) => format!("not done within {} s", UNDO_LIMIT.as_secs()),
    };
    context
        .observations
        .rig_fault(RigFault::RepairFailed { detail });
}

/// A read beside the watch, which bounds how long a watch that is silently dead goes unnoticed.
async fn keep_looking(context: &RunContext<'_>) {
    loop {
        observers::look_at_lease(&context.requests, &context.observations, &context.target).await;
        sleep(LOOK_PERIOD).await;
    }
}

pub(super) fn takeover_in(seen: &Seen, trial: &TrialData) -> Option<Takeover> {
    let found = without_stranger(takeovers(&seen.leases, &trial.before, |_| 0.0));
    principal(
        trial.id.fault,
        &trial.before,
        &trial.strike,
        &found,
        &seen.leases,
    )
}

pub(super) fn first_write_in(seen: &Seen, trial: &TrialData) -> Option<()> {
    let takeover = takeover_in(seen, trial)?;
    let history = history_of_terms(trial.id.fault, &seen.leases);
    let tenures = exclusion::tenures(&history, &seen.calls, None);
    let writes: Vec<&ApiCall> = seen
        .calls
        .iter()
        .filter(|call| call.accepted() && trial.is_work(call))
        .collect();
    let take = Take::of(&takeover, &seen.calls, None);
    exclusion::first_write(&writes, &take, &tenures).map(|_| ())
}

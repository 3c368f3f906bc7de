//! From term to term: contend, lead, stop the work, release or contend again.

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    active::{ActiveTerm, Ending},
    lock::{Held, LeaseApi},
    state::Elector,
};
use crate::{
    clock::{Moment, sleep_until},
    mutation::{self, Mutation, WRITES_ON_FOR},
    record::Cause,
    status::LeadershipStatus,
    term::{Generation, Term},
};

/// What work gets at least to end after it was told to, before the process is given up.
const LEAST_TIME_TO_STOP: Duration = Duration::from_millis(500);

/// Why the election stopped unexpectedly. The process has to end.
#[derive(Debug, thiserror::Error)]
pub enum ElectorError {
    /// The work went on after its term. A standby may be leading by now, so the process must not live on.
    #[error(
        "the work of the term of {0} could not be stopped before the Lease may pass to another replica"
    )]
    WorkOutlivedTerm(Generation),
    /// The work came to an end by itself while the term was live.
    #[error("the work of the term of {0} ended although the term was live")]
    WorkStopped(Generation),
    /// The work made no progress. What holds it up may be in this process, so that is to begin anew.
    #[error("the work of the term of {0} made no progress")]
    WorkStuck(Generation),
    /// The work panicked.
    #[error("the work of the term of {0} failed")]
    WorkFailed(Generation, #[source] JoinError),
}

impl<A: LeaseApi> Elector<A> {
    /// Takes part until `shutdown`: leads whenever it can, and runs `work` for each term.
    ///
    /// It contends only after `ready` has resolved. On shutdown the work is wound up first and the Lease released
    /// after that.
    ///
    /// # Errors
    /// See [`ElectorError`]: in each case the process has to end.
    pub(crate) async fn run<W, F>(
        mut self,
        ready: impl Future<Output = ()>,
        shutdown: CancellationToken,
        mut work: W,
    ) -> Result<(), ElectorError>
    where
        W: FnMut(Term) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let mut ready = pin!(ready);
        let mut is_ready = false;
        while let Some(held) = self.contend(ready.as_mut(), &mut is_ready, &shutdown).await {
            if self.lead(held, &shutdown, &mut work).await? {
                break;
            }
        }
        Ok(())
    }

    /// Leads one term. `true` means that the shutdown was asked for and has been carried out.
    async fn lead<W, F>(
        &mut self,
        held: Held,
        shutdown: &CancellationToken,
        work: &mut W,
    ) -> Result<bool, ElectorError>
    where
        W: FnMut(Term) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let generation = Generation(held.record.transitions());
        let deadline = self.deadline(&held);
        let (term, control) = Term::begin(
            generation,
            deadline,
            Arc::clone(&self.lock.clock),
            self.policies.clone(),
        );
        control.on_first_write(self.tell_first_write());
        let mut active = ActiveTerm {
            control,
            work: JoinSet::new(),
            next_renew: held.sent + self.lock.timing.retry_period(),
            held,
        };
        self.allow_foreign(&active);
        active.work.spawn(work(term));
        let ending = self.keep(&mut active, shutdown).await;

        if mutation::is(Mutation::WritesOn) {
            self.try_to_release(active.held.record).await;
            self.lock.clock.sleep(WRITES_ON_FOR).await;
            return Ok(true);
        }
        active.control.end();
        self.set_status(LeadershipStatus::Leaderless);
        // Work that heeds its term is gone by now or at its next await.
        active.work.abort_all();
        let expiry = active.held.sent + self.lock.timing.duration();
        // After a suspend the expiry has passed already; the task still has to be given its chance to end.
        let limit = expiry.max(self.lock.clock.now() + LEAST_TIME_TO_STOP);
        let stopped = tokio::select! {
            biased;
            () = async { while active.work.join_next().await.is_some() {} } => true,
            () = sleep_until(self.lock.clock.as_ref(), limit) => false,
        };
        let cause = if stopped {
            ending.cause()
        } else {
            Cause::WorkOutlived
        };
        self.tell_ended(&active.held, cause);
        if !stopped {
            return Err(ElectorError::WorkOutlivedTerm(generation));
        }
        match ending {
            Ending::Lost(cause) => {
                self.write = None;
                if cause == Cause::Deadline {
                    self.look_before_the_next_take();
                }
                Ok(false)
            }
            Ending::WoundUp => {
                self.release(active.held.record).await;
                Ok(true)
            }
            Ending::WorkStuck => {
                self.release(active.held.record).await;
                Err(ElectorError::WorkStuck(generation))
            }
            Ending::WorkEnded(failure) => {
                self.release(active.held.record).await;
                Err(match failure {
                    Some(source) => ElectorError::WorkFailed(generation, source),
                    None => ElectorError::WorkStopped(generation),
                })
            }
        }
    }

    /// Until when a term may write that rests on this acknowledged write of the Lease.
    pub(super) fn deadline(&self, held: &Held) -> Moment {
        if mutation::is(Mutation::IgnoresTheRenewDeadline) {
            return held.sent + Duration::from_secs(86_400);
        }
        held.sent + self.lock.timing.renew_deadline()
    }
}

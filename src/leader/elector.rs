//! The election loop: contend, lead, step down or release, contend again.
//!
//! It runs in one task and owns the task of the work. It waits for all that can happen at once: what the watch on the
//! Lease says, the answers to its calls, its own timers, the end of the work, and the call to shut down. So no call that
//! is slow holds anything else up.

mod calls;
mod contend;
mod holder;
mod keep;
mod release;
mod story;
mod view;
mod watchdog;

use std::{future::Future, pin::pin, sync::Arc, time::Duration};

use futures::stream::BoxStream;
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;

use super::{
    attempt::Attempts,
    ending::Cause,
    limit::CallLimit,
    lock::{Held, LeaseApi, LeaseError, Lock},
    metrics::LeaderMetrics,
    record::Observed,
    standing::{Pulse, Standing},
    unproven::Unproven,
};
use crate::{
    clock::{Moment, sleep_until},
    mutation::{self, Mutation},
    term::{Generation, Term, TermControl},
};
use calls::{Read, Write};
use holder::Holder;
pub use holder::Senses;
#[cfg(any(test, feature = "sim"))]
pub(crate) use release::SUCCESSOR_LIMIT;
use story::Story;

/// How long a release is tried for. Together with the drain it has to fit into the pod's grace period.
pub(crate) const RELEASE_TIMEOUT: Duration = Duration::from_secs(5);

/// Between two calls that hang, what else the election waits for gets its turn.
const OTHERS_TURN: Duration = Duration::from_millis(10);

/// What work gets at least to end after it was told to, before the process is given up.
const LEAST_TIME_TO_STOP: Duration = Duration::from_millis(500);

/// One replica's part in the election.
pub struct Elector<A> {
    lock: Arc<Lock<A>>,
    drain_timeout: Duration,
    /// After how long without progress the work counts as stuck.
    stuck_after: Option<Duration>,
    standing: watch::Sender<Standing>,
    pulse: Arc<Pulse>,
    metrics: LeaderMetrics,
    changes: BoxStream<'static, Result<Option<Lease>, LeaseError>>,
    /// Since when a change of the Lease is known by a read that the watch has not told of.
    watch_is_behind_since: Option<Moment>,
    /// The watch was begun anew because it was silent, and has told nothing since.
    watch_was_silent: bool,
    observed: Option<Observed>,
    attempts: Attempts,
    /// The `renewTime` of the last write that was acknowledged in time.
    acknowledged: watch::Sender<Option<Timestamp>>,
    write: Option<Write>,
    reading: Option<Read>,
    write_limit: CallLimit,
    read_limit: CallLimit,
    /// A write got no answer, and the Lease has not been seen since.
    blind: bool,
    next_read: Moment,
    next_take: Moment,
    holder: Holder,
    unproven: Unproven,
    story: Story,
}

/// Why the election ended although nobody asked for it. The process is to end too.
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

/// How a term came to its end.
enum Ending {
    /// Its Lease is somebody else's, or could not be renewed in time.
    Lost(Cause),
    /// The shutdown was asked for; the work has been wound up, or was given up after the drain timeout.
    WoundUp,
    /// The work ended by itself.
    WorkEnded(Option<JoinError>),
    /// The work made no progress.
    WorkStuck,
}

impl Ending {
    fn cause(&self) -> Cause {
        match self {
            Self::Lost(cause) => *cause,
            Self::WoundUp => Cause::Released,
            Self::WorkEnded(None) => Cause::WorkEnded,
            Self::WorkEnded(Some(_)) => Cause::WorkFailed,
            Self::WorkStuck => Cause::WorkStuck,
        }
    }
}

/// What a leader holds while it leads.
struct Reign {
    control: TermControl,
    work: JoinSet<()>,
    held: Held,
    next_renew: Moment,
}

impl<A: LeaseApi> Elector<A> {
    /// An elector that has not begun.
    ///
    /// `drain_timeout` bounds how long the work may take to wind up on shutdown before it is dropped; together with
    /// the release it has to fit into the pod's grace period.
    pub fn new(
        lock: Lock<A>,
        senses: Senses,
        drain_timeout: Duration,
        standing: watch::Sender<Standing>,
        pulse: Arc<Pulse>,
        metrics: LeaderMetrics,
    ) -> Self {
        let holder = Holder::new(senses, Arc::clone(lock.clock()), lock.config().duration());
        let changes = lock.watch();
        let now = lock.clock().now();
        Self {
            attempts: Attempts::new(lock.config().renew_deadline()),
            acknowledged: watch::Sender::default(),
            write: None,
            reading: None,
            write_limit: CallLimit::of_writes(lock.config()),
            read_limit: CallLimit::of_reads(lock.config()),
            blind: false,
            lock: Arc::new(lock),
            drain_timeout,
            stuck_after: None,
            standing,
            pulse,
            metrics,
            changes,
            watch_is_behind_since: None,
            watch_was_silent: false,
            observed: None,
            next_read: now,
            next_take: now,
            holder,
            unproven: Unproven::default(),
            story: Story::default(),
        }
    }

    /// Ends a term whose work gives no sign of progress for `limit`, see [`Term::progress`]; without this no such term is
    /// ended.
    #[must_use]
    pub fn ending_stuck_work(mut self, limit: Duration) -> Self {
        self.stuck_after = Some(limit);
        self
    }

    /// Tells the `renewTime` of the last write of this replica that was acknowledged in time, of whichever term. That of
    /// the present one is there before the replica says that it leads.
    pub fn acknowledged(&self) -> watch::Receiver<Option<Timestamp>> {
        self.acknowledged.subscribe()
    }

    /// Takes part until `shutdown`: leads whenever it can, and runs `work` for each term.
    ///
    /// It contends only after `ready` has resolved. On shutdown the work is wound up first and the Lease released
    /// after that.
    ///
    /// # Errors
    /// See [`ElectorError`]: in each case the process has to end.
    pub async fn run<W, F>(
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
        let (term, control) = Term::begin(generation, deadline, Arc::clone(self.lock.clock()));
        control.on_first_write(self.tell_first_write());
        let mut reign = Reign {
            control,
            work: JoinSet::new(),
            next_renew: held.sent + self.lock.config().retry_period(),
            held,
        };
        self.allow_foreign(&reign);
        reign.work.spawn(work(term));
        let ending = self.keep(&mut reign, shutdown).await;

        #[cfg(feature = "mutants")]
        if crate::mutant::is(crate::mutant::WRITES_ON) {
            self.try_to_release(reign.held.record).await;
            self.lock.clock().sleep(crate::mutant::WRITES_ON_FOR).await;
            return Ok(true);
        }
        reign.control.end();
        self.standing.send_replace(Standing::Leaderless);
        // Work that heeds its term is gone by now or at its next await.
        reign.work.abort_all();
        let expiry = reign.held.sent + self.lock.config().duration();
        // After a suspend the expiry has passed already; the task still has to be given its chance to end.
        let limit = expiry.max(self.lock.clock().now() + LEAST_TIME_TO_STOP);
        let stopped = tokio::select! {
            biased;
            () = async { while reign.work.join_next().await.is_some() {} } => true,
            () = sleep_until(self.lock.clock().as_ref(), limit) => false,
        };
        let cause = if stopped {
            ending.cause()
        } else {
            Cause::WorkOutlived
        };
        self.tell_ended(&reign.held, cause);
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
                self.release(reign.held.record).await;
                Ok(true)
            }
            Ending::WorkStuck => {
                self.release(reign.held.record).await;
                Err(ElectorError::WorkStuck(generation))
            }
            Ending::WorkEnded(failure) => {
                self.release(reign.held.record).await;
                Err(match failure {
                    Some(source) => ElectorError::WorkFailed(generation, source),
                    None => ElectorError::WorkStopped(generation),
                })
            }
        }
    }

    /// Until when a term may write that rests on this acknowledged write of the Lease.
    fn deadline(&self, held: &Held) -> Moment {
        if mutation::is(Mutation::IgnoresTheRenewDeadline) {
            return held.sent + Duration::from_secs(86_400);
        }
        held.sent + self.lock.config().renew_deadline()
    }
}

impl<A> std::fmt::Debug for Elector<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Elector")
            .field("lock", &self.lock)
            .finish_non_exhaustive()
    }
}

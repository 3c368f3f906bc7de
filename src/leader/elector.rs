//! The election loop: contend, lead, step down or release, contend again.
//!
//! It runs in one task and owns the task of the work. It waits for four things at once: what the watch on the Lease
//! says, its own timers, the end of the work, and the call to shut down.

mod holder;
mod release;
mod story;
mod view;

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::api::coordination::v1::Lease;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    ending::Cause,
    lock::{Held, LeaseApi, LeaseError, Lock},
    metrics::LeaderMetrics,
    record::{Observed, Reason, Verdict},
    standing::{Pulse, Standing},
};
use crate::{
    clock::{Moment, sleep_until},
    errors::Chain,
    mutation::{self, Mutation},
    term::{Generation, Term, TermControl},
};
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
    lock: Lock<A>,
    drain_timeout: Duration,
    standing: watch::Sender<Standing>,
    pulse: Arc<Pulse>,
    metrics: LeaderMetrics,
    changes: BoxStream<'static, Result<Option<Lease>, LeaseError>>,
    missed_by_watch: u32,
    observed: Option<Observed>,
    next_read: Moment,
    next_take: Moment,
    holder: Holder,
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
}

impl Ending {
    fn cause(&self) -> Cause {
        match self {
            Self::Lost(cause) => *cause,
            Self::WoundUp => Cause::Released,
            Self::WorkEnded(None) => Cause::WorkEnded,
            Self::WorkEnded(Some(_)) => Cause::WorkFailed,
        }
    }
}

/// What a leader holds while it leads.
struct Reign {
    control: TermControl,
    work: JoinSet<()>,
    held: Held,
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
            lock,
            drain_timeout,
            standing,
            pulse,
            metrics,
            changes,
            missed_by_watch: 0,
            observed: None,
            next_read: now,
            next_take: now,
            holder,
            story: Story::default(),
        }
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

    /// Watches the Lease until it is this replica's; `None` on shutdown.
    ///
    /// A take that is under way is never given up, not even on shutdown: its answer tells whether there is something
    /// to release.
    async fn contend(
        &mut self,
        mut ready: Pin<&mut impl Future<Output = ()>>,
        is_ready: &mut bool,
        shutdown: &CancellationToken,
    ) -> Option<Held> {
        loop {
            self.pulse.beat();
            if shutdown.is_cancelled() {
                return None;
            }
            let now = self.lock.clock().now();
            let verdict = self.verdict(now);
            self.show(verdict);
            if let (Some(Verdict::Take(reason)), Some(observed)) = (verdict, &self.observed)
                && *is_ready
                && now >= self.next_take
            {
                match self.lock.take(observed, reason).await {
                    Ok(held) => return Some(self.won(held, reason)),
                    Err(LeaseError::Conflict { .. }) => {
                        debug!("another replica was faster");
                        let known = observed.version().map(str::to_owned);
                        self.read().await;
                        let now_known = self.observed.as_ref().and_then(Observed::version);
                        if now_known == known.as_deref() {
                            // Refused although nothing has changed: asking again at once would only spin.
                            self.next_take = self.again_after_failure(now);
                        }
                    }
                    Err(error) => {
                        warn!(error = %Chain(&error), "failed to take the Lease");
                        self.next_take = self.again_after_failure(now);
                    }
                }
                continue;
            }
            let wake = match verdict {
                Some(Verdict::Wait { until }) => until.min(self.next_read),
                Some(Verdict::Take(_)) if *is_ready => self.next_take.min(self.next_read),
                _ => self.next_read,
            };
            tokio::select! {
                biased;
                () = shutdown.cancelled() => return None,
                () = &mut ready, if !*is_ready => *is_ready = true,
                change = self.changes.next() => self.heard(change),
                news = self.holder.next() => if self.holder.learn(news) {
                    self.next_take = self.lock.clock().now();
                },
                () = sleep_until(self.lock.clock().as_ref(), wake) => {
                    if self.lock.clock().now() >= self.next_read { self.read().await; }
                }
            }
        }
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
            held,
        };
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
            Ending::Lost(_) => Ok(false),
            Ending::WoundUp => {
                self.release(reign.held.record).await;
                Ok(true)
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

    /// Renews until the term comes to its end, and says how it did.
    async fn keep(&mut self, reign: &mut Reign, shutdown: &CancellationToken) -> Ending {
        let clock = Arc::clone(self.lock.clock());
        let retry = self.lock.config().retry_period();
        let mut next_renew = reign.held.sent + retry;
        #[cfg(feature = "mutants")]
        if crate::mutant::is(crate::mutant::NEVER_RENEWS) {
            next_renew = reign.held.sent + self.lock.config().duration() * 2;
        }
        let mut drained_by = None;
        let mut next_doubt = clock.now();
        loop {
            self.pulse.beat();
            let deadline = reign.control.deadline();
            if clock.now() > deadline {
                return Ending::Lost(Cause::Deadline);
            }
            tokio::select! {
                biased;
                ended = reign.work.join_next() => {
                    let failure = ended.and_then(Result::err);
                    if failure.is_none() && clock.now() > deadline {
                        // It heeded its term, and did so before this loop looked at the clock.
                        return Ending::Lost(Cause::Deadline);
                    }
                    return match (drained_by, failure) {
                        (Some(_), None) => Ending::WoundUp,
                        (_, failure) => Ending::WorkEnded(failure),
                    };
                }
                () = shutdown.cancelled(), if drained_by.is_none() => {
                    #[cfg(feature = "mutants")]
                    if crate::mutant::is(crate::mutant::WRITES_ON) {
                        return Ending::WoundUp;
                    }
                    if mutation::is(Mutation::ReleasesBeforeTheWorkStopped) {
                        self.try_to_release(reign.held.record.clone()).await;
                    }
                    info!("winding up before the Lease is released");
                    reign.control.wind_down();
                    drained_by = Some(clock.now() + self.drain_timeout);
                }
                () = until(clock.as_ref(), drained_by) => {
                    warn!(timeout = ?self.drain_timeout, "the work did not wind up in time and is dropped");
                    return Ending::WoundUp;
                }
                () = sleep_until(clock.as_ref(), next_renew.min(deadline)) => {
                    if clock.now() >= deadline {
                        // The deadline itself is still within the term: let the clock pass it.
                        clock.sleep(Duration::from_millis(1)).await;
                        continue;
                    }
                    let asked = clock.now();
                    match self.lock.renew(&reign.held.record, deadline).await {
                        Ok(held) => {
                            next_renew = held.sent + retry;
                            reign.control.prolong(self.deadline(&held));
                            self.tell_renewed(&held);
                            self.see(Some(held.record.clone()));
                            reign.held = held;
                        }
                        Err(error) => {
                            warn!(error = %Chain(&error), "failed to renew the Lease");
                            next_renew = self.again_after_failure(asked);
                            // After a conflict the truth is a read away; after anything else the write may have
                            // taken place, and the next one will meet a conflict if it did.
                            if matches!(error, LeaseError::Conflict { .. }) {
                                let known = reign.held.record.version().map(str::to_owned);
                                match self.confirm(reign).await {
                                    Ok(true) if reign.held.record.version() != known.as_deref() => {
                                        next_renew = clock.now();
                                    }
                                    Ok(false) => return Ending::Lost(Cause::Lost),
                                    Ok(true) | Err(()) => {}
                                }
                            }
                        }
                    }
                }
                () = reign.control.doubted(), if clock.now() >= next_doubt => {
                    // The fence refused a write of this term. Should it be the fence that is wrong, the doubt comes
                    // again with each write, so it is not followed more often than the Lease is renewed.
                    next_doubt = clock.now() + retry;
                    if self.confirm(reign).await == Ok(false) {
                        return Ending::Lost(Cause::Lost);
                    }
                }
                news = self.holder.next() => {
                    // Of the predecessor: that its death is proven after a takeover by a hint. The next renewal says so.
                    if self.holder.learn(news) {
                        reign.held.record.prove();
                    }
                }
                change = self.changes.next() => {
                    self.heard(change);
                    let existing = self.observed.as_ref().and_then(Observed::existing);
                    let mine = existing.is_some_and(|record| record.is_held_by(self.lock.me()));
                    let edited = existing.is_some_and(|record| record.duration() != self.lock.config().duration());
                    // What the watch says may be older than our own last write: a read tells.
                    if !mine && self.confirm(reign).await == Ok(false) {
                        return Ending::Lost(Cause::Lost);
                    }
                    if mine && edited {
                        // Somebody edited what standbys go by: the next renewal puts it right.
                        next_renew = clock.now();
                    }
                }
            }
        }
    }

    /// Reads the Lease and says whether it is still held; `Err` where that could not be found out.
    async fn confirm(&mut self, reign: &mut Reign) -> Result<bool, ()> {
        let Some(read) = self.read().await else {
            return Err(());
        };
        match read {
            Some(record) if record.is_held_by(self.lock.me()) => {
                reign.held.record = record;
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Until when a term may write that rests on this acknowledged write of the Lease.
    fn deadline(&self, held: &Held) -> Moment {
        if mutation::is(Mutation::IgnoresTheRenewDeadline) {
            return held.sent + Duration::from_secs(86_400);
        }
        held.sent + self.lock.config().renew_deadline()
    }

    /// When to call again after a call that was made at `asked` and failed: sooner than after one that did not, and
    /// nearly at once if the failure took its time, so that the end of an outage is not slept through.
    fn again_after_failure(&self, asked: Moment) -> Moment {
        let pause = self.lock.config().retry_period() / 4;
        (self.lock.clock().now() + OTHERS_TURN).max(asked + pause)
    }

    fn won(&mut self, held: Held, reason: Reason) -> Held {
        self.tell_taken(&held, reason);
        if reason == Reason::Hint {
            self.holder.acted_on_hint();
        }
        self.see(Some(held.record.clone()));
        let since = held.record.acquired().unwrap_or_default();
        self.standing.send_replace(Standing::Leading { since });
        held
    }
}

/// Waits for `moment`, and forever if there is none.
async fn until(clock: &dyn crate::clock::Clock, moment: Option<Moment>) {
    match moment {
        Some(moment) => sleep_until(clock, moment).await,
        None => std::future::pending().await,
    }
}

impl<A> std::fmt::Debug for Elector<A> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Elector")
            .field("lock", &self.lock)
            .finish_non_exhaustive()
    }
}

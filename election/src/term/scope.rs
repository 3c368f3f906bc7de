//! The term itself, and the election's side of it.

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    first_write::FirstWrite,
    foreign::{Foreign, ForeignTooSoon},
    generation::Generation,
};
use crate::{
    clock::{Moment, SharedClock, sleep_until},
    fence::PerPolicy,
    mutation::{self, Mutation},
};

/// The right to write, held by the work of a leader.
#[derive(Clone, Debug)]
pub struct Term {
    pub(super) shared: Arc<Shared>,
}

/// The election's side of a [`Term`]: it prolongs the term, winds it down and ends it.
///
/// Dropping it ends the term.
#[derive(Debug)]
pub struct TermControl {
    shared: Arc<Shared>,
}

/// The term is over: nothing may be written any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermOver {
    /// The Lease was lost or released.
    #[error("the term of {0} is over: its Lease was lost or released")]
    Ended(Generation),
    /// The deadline passed before the Lease could be renewed.
    #[error("the term of {0} is over: its renew deadline passed {late:?} ago", late = .1)]
    DeadlinePassed(Generation, Duration),
}

#[derive(Debug)]
pub(super) struct Shared {
    generation: Generation,
    pub(super) clock: SharedClock,
    /// The policies of the fence by name; none where there is no fence.
    pub(super) policies: Option<PerPolicy<String>>,
    begun: Moment,
    deadline: RwLock<Moment>,
    doubted: Notify,
    winding_down: CancellationToken,
    ended: CancellationToken,
    pub(super) first_write: FirstWrite,
    pub(super) foreign: Foreign,
    progress: AtomicU64,
}

impl Term {
    /// A new term and its control.
    ///
    /// `deadline` is the moment past which nothing may be written unless [`TermControl::prolong`] moves it. `policies` are
    /// those of the fence, by whose names its refusals are known.
    pub fn begin(
        generation: Generation,
        deadline: Moment,
        clock: SharedClock,
        policies: Option<PerPolicy<String>>,
    ) -> (Self, TermControl) {
        let shared = Arc::new(Shared {
            generation,
            begun: clock.now(),
            clock,
            policies,
            deadline: RwLock::new(deadline),
            doubted: Notify::new(),
            winding_down: CancellationToken::new(),
            ended: CancellationToken::new(),
            first_write: FirstWrite::default(),
            foreign: Foreign::default(),
            progress: AtomicU64::new(0),
        });
        (
            Self {
                shared: Arc::clone(&shared),
            },
            TermControl { shared },
        )
    }

    /// Which term this is.
    pub fn generation(&self) -> Generation {
        self.shared.generation
    }

    /// Whether a write may be sent now.
    pub fn check(&self) -> Result<(), TermOver> {
        if mutation::is(Mutation::WritesOn) {
            return Ok(());
        }
        let shared = &self.shared;
        if shared.ended.is_cancelled() {
            return Err(TermOver::Ended(shared.generation));
        }
        let (now, deadline) = (shared.clock.now(), shared.deadline());
        if now > deadline {
            return Err(TermOver::DeadlinePassed(
                shared.generation,
                now.since(deadline),
            ));
        }
        Ok(())
    }

    /// Whether a write to another cluster, where nothing is fenced, may be sent now, as far as earlier leaders go;
    /// [`Term::check`] says the rest.
    ///
    /// # Errors
    /// Until the earlier leader's end is certain. See [`Term::foreign_allowed`].
    pub fn check_foreign(&self) -> Result<(), ForeignTooSoon> {
        let shared = &self.shared;
        shared.foreign.check(shared.generation, shared.clock.now())
    }

    /// Resolves when [`Term::check_foreign`] passes. Safe to drop.
    pub async fn foreign_allowed(&self) {
        self.shared
            .foreign
            .allowed(self.shared.clock.as_ref())
            .await;
    }

    /// Resolves when no new work may be started: the replica is about to release the Lease, or the term has ended.
    ///
    /// What is in flight may still be finished until [`Term::ended`]. This is what a kube-rs `Controller` shuts down on:
    /// `Controller::graceful_shutdown_on(term.winding_down())`.
    pub fn winding_down(&self) -> impl Future<Output = ()> + Send + Sync + use<> {
        let term = self.clone();
        async move {
            tokio::select! {
                biased;
                () = term.shared.winding_down.cancelled() => {}
                () = term.ended() => {}
            }
        }
    }

    /// Whether no new work may be started.
    pub fn is_winding_down(&self) -> bool {
        self.shared.winding_down.is_cancelled() || self.check().is_err()
    }

    /// Resolves when nothing may be written any more. Work that still runs then is to be dropped.
    pub async fn ended(&self) {
        tokio::select! {
            biased;
            () = self.shared.ended.cancelled() => {}
            () = self.shared.deadline_passed() => {}
        }
    }

    /// Says that the work goes on. Every answer to a call of this term's clients says so as well; work that waits for
    /// something to do has to say it by itself, from the task that would do it.
    pub fn progress(&self) {
        self.shared.progress.fetch_add(1, Ordering::Relaxed);
    }

    /// Says that the API server's view of the Lease is not that of this term.
    pub fn doubt(&self) {
        self.shared.doubted.notify_one();
    }

    /// How long ago the term began.
    pub(super) fn age(&self) -> Duration {
        self.shared.clock.now().since(self.shared.begun)
    }
}

impl TermControl {
    /// Moves the deadline: a renewal that was *sent* early enough has been acknowledged.
    pub fn prolong(&self, deadline: Moment) {
        *self
            .shared
            .deadline
            .write()
            .unwrap_or_else(PoisonError::into_inner) = deadline;
    }

    /// The moment past which nothing may be written.
    pub fn deadline(&self) -> Moment {
        self.shared.deadline()
    }

    /// Writes to other clusters may be sent from this moment on, and at once without one; at once unless this is called.
    ///
    /// It may come sooner than was said before: when the death of the earlier leader is proven.
    pub fn allow_foreign_from(&self, from: Option<Moment>) {
        self.shared.foreign.allow_from(from);
    }

    /// How many signs of progress the work has given: a number that grows.
    pub fn progress(&self) -> u64 {
        self.shared.progress.load(Ordering::Relaxed)
    }

    /// Has `told` called when the API server accepts the first write of the term, Events apart.
    pub fn on_first_write(&self, told: impl FnOnce(Moment) + Send + 'static) {
        self.shared.first_write.tell(Box::new(told));
    }

    /// Resolves when the term has been doubted since this was last asked: the Lease should be read at once.
    ///
    /// Doubts that come while nobody waits are remembered as one. Safe to drop.
    pub async fn doubted(&self) {
        self.shared.doubted.notified().await;
    }

    /// Asks the work to take nothing new and to finish what is in flight.
    pub fn wind_down(&self) {
        self.shared.winding_down.cancel();
    }

    /// Ends the term at once.
    pub fn end(&self) {
        self.shared.ended.cancel();
    }
}

impl Drop for TermControl {
    fn drop(&mut self) {
        self.end();
    }
}

impl Shared {
    fn deadline(&self) -> Moment {
        *self.deadline.read().unwrap_or_else(PoisonError::into_inner)
    }

    async fn deadline_passed(&self) {
        loop {
            let deadline = self.deadline();
            sleep_until(self.clock.as_ref(), deadline).await;
            // A renewal may have moved it while this slept, and the deadline itself is still within the term.
            if self.clock.now() > self.deadline() {
                return;
            }
            self.clock.sleep(Duration::from_millis(1)).await;
        }
    }
}

//! A term: one uninterrupted stretch of leadership, as an object that work is scoped by.
//!
//! The election starts the work with a [`Term`] and ends it with the same; the two sides share nothing else.
//!
//! # Guarantees
//! - [`Term::check`] fails from the moment the term is lost, wound up or past its deadline, whichever comes first.
//! - The client made by [`Term::client`] sends no write unless the check passes at that moment, and abandons writes
//!   in flight when the term ends.
//! - A write that the fence refused is not repeated past the end of the term, and raises a doubt about the term that the
//!   election hears of at once.
//! - A client for another cluster sends no write before [`TermControl::allow_foreign_from`], which is where nothing but the
//!   term holds a leader back.
//!
//! # Non-guarantees
//! - A write that was sent within the term may reach the API server after it, and be stored later still. The gap between the
//!   renew deadline and the lease duration is room for that, and no bound. Where the fence is in force it refuses what
//!   reaches it after the Lease has moved; what it let pass before that replaces nothing that a later leader wrote, see
//!   [`crate::fence`].

mod first_write;
mod foreign;
mod gate;

use std::{
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use kube::Client;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::clock::{Moment, SharedClock, sleep_until};
use first_write::FirstWrite;
use foreign::Foreign;

pub use foreign::ForeignTooSoon;
pub use gate::{Fence, Fenced};

/// The right to write, held by the work of a leader.
#[derive(Clone, Debug)]
pub struct Term {
    shared: Arc<Shared>,
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

/// The `leaseTransitions` of the Lease when the term began, for logs and events. Terms of one holder in a row, such as
/// after a reclaim, share it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Generation(pub i32);

#[derive(Debug)]
struct Shared {
    generation: Generation,
    clock: SharedClock,
    begun: Moment,
    deadline: RwLock<Moment>,
    doubted: Notify,
    winding_down: CancellationToken,
    ended: CancellationToken,
    first_write: FirstWrite,
    foreign: Foreign,
    progress: AtomicU64,
}

impl std::fmt::Display for Generation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "transition {}", self.0)
    }
}

impl Term {
    /// A new term and its control.
    ///
    /// `deadline` is the moment past which nothing may be written unless [`TermControl::prolong`] moves it.
    pub fn begin(
        generation: Generation,
        deadline: Moment,
        clock: SharedClock,
    ) -> (Self, TermControl) {
        let shared = Arc::new(Shared {
            generation,
            begun: clock.now(),
            clock,
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
        #[cfg(feature = "mutants")]
        if crate::mutant::is(crate::mutant::WRITES_ON) {
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
    /// What is in flight may still be finished until [`Term::ended`].
    pub async fn winding_down(&self) {
        tokio::select! {
            biased;
            () = self.shared.winding_down.cancelled() => {}
            () = self.ended() => {}
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
    fn age(&self) -> Duration {
        self.shared.clock.now().since(self.shared.begun)
    }

    /// A client that refuses writes outside this term; reads and watches pass.
    ///
    /// A write that the fence refused is tried again while the term is so new that the API server may not have seen the
    /// Lease change yet; after that it fails with [`Fenced`] in the chain of its error, and the term is doubted.
    ///
    /// It shares the connections of `client`, so it costs no handshake.
    pub fn client(&self, client: Client) -> Client {
        self.client_of(client, Fence::Possible)
    }

    /// The same for a cluster that may not have the fence: there a write fails with [`ForeignTooSoon`] in the chain of its
    /// error for as long as an earlier leader may still write.
    pub fn client_of(&self, client: Client, fence: Fence) -> Client {
        gate::gated(self.clone(), client, fence)
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

#[cfg(test)]
mod tests;

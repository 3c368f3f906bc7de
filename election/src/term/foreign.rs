//! From when a term may write to other clusters, where no fence refuses an earlier leader.

use std::{
    error::Error,
    iter,
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use tokio::sync::watch;
use tracing::info;

use super::generation::Generation;
use crate::clock::{Clock, Moment, sleep_until};

/// A write to another cluster waits: an earlier leader may still write there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "writes to other clusters wait for at most another {left:?} in the term of {generation}: an earlier leader may still \
     write there"
)]
pub struct ForeignTooSoon {
    /// The term.
    pub generation: Generation,
    /// For how long at most.
    pub left: Duration,
}

impl ForeignTooSoon {
    /// Whether it is what `error` comes from.
    pub fn is_in(error: &(dyn Error + 'static)) -> bool {
        iter::successors(Some(error), |&error| error.source()).any(<dyn Error>::is::<Self>)
    }
}

/// The moment, which comes sooner when the death of the earlier leader is proven.
#[derive(Debug, Default)]
pub(super) struct Foreign {
    /// At once where there is none.
    from: watch::Sender<Option<Moment>>,
    told: AtomicBool,
}

impl Foreign {
    pub(super) fn allow_from(&self, from: Option<Moment>) {
        self.from.send_replace(from);
    }

    pub(super) fn check(&self, generation: Generation, now: Moment) -> Result<(), ForeignTooSoon> {
        let from = *self.from.borrow();
        match from.filter(|from| now < *from) {
            Some(from) => Err(ForeignTooSoon {
                generation,
                left: from.since(now),
            }),
            None => Ok(()),
        }
    }

    /// Says once that a write was held back.
    pub(super) fn tell(&self, held_back: &ForeignTooSoon) {
        if !self.told.swap(true, Ordering::Relaxed) {
            info!(
                term = %held_back.generation,
                wait_ms = u64::try_from(held_back.left.as_millis()).unwrap_or(u64::MAX),
                "writes to other clusters wait until the Lease of the earlier leader has run out or its death is proven"
            );
        }
    }

    pub(super) async fn allowed(&self, clock: &dyn Clock) {
        let mut changes = self.from.subscribe();
        loop {
            let Some(from) = *changes.borrow_and_update() else {
                return;
            };
            tokio::select! {
                () = sleep_until(clock, from) => return,
                // The sender is of this same object, so it is never gone.
                _ = changes.changed() => {}
            }
        }
    }
}

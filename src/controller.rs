//! What is done about `ScheduledMachine`s, by whoever leads.
//!
//! [`Caches`] are fed on every replica from the start, so that a promotion needs no list: with the `ScheduledMachine`s,
//! with the objects of Cluster API that they consist of, and with the Nodes that those became, in whichever cluster.
//! [`run`] is the work of one [`Term`]: it looks at every object once, overdue ones first, then reacts to changes and to
//! its own timers. Each look is the same steps, until there is nothing left to do now: observe, `plan`
//! (pure), write the status, act (through the term's client, safe to repeat and to race).
//!
//! # Guarantees
//! - Nothing is written without a live term.
//! - Nothing is written when nothing changed; a write of our own leads to no other.
//! - What waits because an earlier leader may still write to another cluster holds nothing else up, and is done as soon as
//!   it may be.
//! - Work that goes on says so to its term: by every call that ends and every look, and where there is nothing to do, by a
//!   timer of its own.
//! - A boundary of a schedule is acted on when it comes, not when somebody polls.
//!
//! # Time
//! Timers run on the monotonic clock and schedules on the wall clock. When the wall clock is set back, a timer fires
//! before its boundary and the reconcile waits again. When it is set forward, or the machine was suspended, boundaries
//! would be met late by the size of the step; so the two clocks are compared once a second, and after a step every
//! object is looked at again.

mod act;
mod apply;
mod bounded;
mod caches;
mod changes;
mod clusters;
mod context;
mod drain;
mod error;
mod events;
mod feeds;
mod kind;
mod metrics;
mod objects;
mod observe;
mod plan;
mod queue;
mod reconcile;
mod retry;
mod streak;
mod timers;
mod wall_clock;
mod written;

use lease_election::term::Term;
use std::{sync::Arc, time::Duration};

use futures::{FutureExt, StreamExt};
use kube::{
    Client,
    runtime::controller::{self, applier},
};
use tracing::{debug, info};

pub use caches::Caches;
pub use clusters::Connect;
pub use error::{Category, ControllerError};
pub use events::FIELD_MANAGER;
pub use metrics::ControllerMetrics;

use context::Context;
use queue::{Queue, WorkSlots};
use reconcile::{error_policy, reconcile};
use timers::Timers;
use wall_clock::SystemClock;
pub(crate) use wall_clock::WallClock;

/// How many objects are worked on at a time: enough to hide the API server's latency, few enough not to flood it.
const CONCURRENCY: u16 = 16;

/// How long the work may give no sign of progress before it is stuck. Whatever the API servers do, every call ends within
/// 10 s, and a round at a Node within 30 s; twice that is more than a slow one can cost.
pub const STUCK_AFTER: Duration = Duration::from_secs(60);

// A round at a slow Node must not look like work that is stuck.
const _: () = assert!(STUCK_AFTER.as_secs() >= 2 * act::LONGEST_AT_A_NODE.as_secs());

/// How often the work says that it has nothing to do.
const IDLE_SIGN: Duration = Duration::from_secs(1);

/// Does the work of one term.
///
/// Returns when the term winds down and what is in flight has finished, or at once when the term has ended. Reads use
/// `caches`; every write goes through [`Term::client`]. Events name `pod_name` as the instance that reports them.
pub async fn run(
    term: Term,
    client: Client,
    caches: Caches,
    metrics: ControllerMetrics,
    pod_name: String,
) {
    run_by(
        Arc::new(SystemClock),
        term,
        client,
        caches,
        metrics,
        pod_name,
    )
    .await;
}

/// The same by another wall clock.
pub(crate) async fn run_by(
    clock: Arc<dyn WallClock>,
    term: Term,
    client: Client,
    caches: Caches,
    metrics: ControllerMetrics,
    pod_name: String,
) {
    info!(term = %term.generation(), objects = caches.store().len(), "starting the work of the term");
    let work_slots = Arc::new(WorkSlots::new(CONCURRENCY.into()));
    let timers = Arc::new(Timers::default());
    let queue = Queue::new(
        &caches,
        Arc::clone(&work_slots),
        Arc::clone(&timers),
        Arc::clone(&clock),
    );
    let winding_down = {
        let term = term.clone();
        async move { term.winding_down().await }
    };
    let resume = {
        let (term, timers) = (term.clone(), Arc::clone(&timers));
        async move {
            term.foreign_allowed().await;
            timers.resume();
            std::future::pending::<()>().await;
        }
    };
    let context = Arc::new(Context::new(
        term.clone(),
        client,
        caches.clone(),
        clock,
        metrics,
        timers,
        pod_name,
    ));
    let work = applier(
        |object, context| reconcile(object, context).boxed(),
        |object, error, context| error_policy(&object, error, &context),
        Arc::clone(&context),
        caches.store(),
        queue.into_stream().take_until(winding_down),
        controller::Config::default().concurrency(CONCURRENCY),
    )
    .for_each(|outcome| {
        term.progress();
        match outcome {
            Ok((object, _action)) => work_slots.finished(&object.erase()),
            Err(controller::Error::ReconcilerFailed(_logged, object)) => {
                work_slots.finished(&object);
            }
            Err(controller::Error::ObjectNotFound(object)) => {
                work_slots.finished(&object);
                context.forget(&object);
            }
            // The queue can't fail; the runner fails only when the feed is gone, which ends the process elsewhere.
            Err(controller::Error::QueueError(_) | controller::Error::RunnerError(_)) => {}
        }
        std::future::ready(())
    });
    // In the task of the work, so that it is not said where that task does not go on.
    let idle = async {
        loop {
            if work_slots.is_idle() {
                term.progress();
            }
            tokio::time::sleep(IDLE_SIGN).await;
        }
    };
    tokio::select! {
        // Biased: once the term has ended, not one more step of the work is taken.
        biased;
        () = term.ended() => debug!(term = %term.generation(), "dropped the work of a term that has ended"),
        () = work => info!(term = %term.generation(), "finished the work of the term"),
        () = resume => {}
        () = idle => {}
    }
}

#[cfg(test)]
mod tests;

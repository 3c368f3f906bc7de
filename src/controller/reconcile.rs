//! One look at one object: observe, plan, apply.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use kube::{
    Client, ResourceExt,
    api::DynamicObject,
    runtime::{
        controller::Action,
        events::{Recorder, Reporter},
        reflector::ObjectRef,
    },
};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{
    ControllerError, ControllerMetrics, FIELD_MANAGER, apply,
    plan::{Observed, plan},
    retry::Retry,
    wall_clock::WallClock,
    written::Written,
};
use crate::{api::ScheduledMachine, errors::Chain, term::Term};

/// What a reconcile may use.
pub(super) struct Context {
    pub(super) term: Term,
    /// The term's client: it refuses writes once the term is over.
    pub(super) client: Client,
    pub(super) recorder: Recorder,
    pub(super) written: Written,
    pub(super) metrics: ControllerMetrics,
    clock: Arc<dyn WallClock>,
    failures: Mutex<HashMap<(Option<String>, String), Retry>>,
}

const LONGEST_RETRY: Duration = Duration::from_mins(1);

impl Context {
    pub(super) fn new(
        term: Term,
        client: Client,
        clock: Arc<dyn WallClock>,
        metrics: ControllerMetrics,
    ) -> Self {
        let client = term.client(client);
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: None,
        };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            term,
            client,
            written: Written::default(),
            metrics,
            clock,
            failures: Mutex::default(),
        }
    }

    /// Drops what is remembered of an object that is gone.
    pub(super) fn forget(&self, object: &ObjectRef<DynamicObject>) {
        self.failures()
            .remove(&(object.namespace.clone(), object.name.clone()));
        self.written
            .forget(object.namespace.clone(), object.name.clone());
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<(Option<String>, String), Retry>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at `object` and does what its spec and the time call for.
pub(super) async fn reconcile(
    object: Arc<ScheduledMachine>,
    context: Arc<Context>,
) -> Result<Action, ControllerError> {
    let started = Instant::now();
    let object = context.written.latest(object);
    let plan = plan(&Observed::of(&object), &object.spec, context.clock.now());
    let outcome = apply::apply(&context, &object, plan.steps).await;
    context
        .metrics
        .reconciled(started.elapsed(), outcome.is_ok());
    outcome?;
    context
        .failures()
        .remove(&(object.namespace(), object.name_any()));
    Ok(match plan.look_again {
        Some(at) => Action::requeue(until(at, context.clock.now())),
        None => Action::await_change(),
    })
}

/// When a failed look is repeated: soon at first, then ever later, and not at the same moment as all others.
pub(super) fn error_policy(
    object: &ScheduledMachine,
    error: &ControllerError,
    context: &Context,
) -> Action {
    if let Err(over) = context.term.check() {
        debug!(%over, "a reconcile met the end of its term");
        return Action::await_change();
    }
    context.metrics.failed(error.category());
    let delay = context
        .failures()
        .entry((object.namespace(), object.name_any()))
        .or_insert_with(|| Retry::up_to(LONGEST_RETRY))
        .next()
        .unwrap_or(LONGEST_RETRY);
    warn!(error = %Chain(error), ?delay, "a reconcile failed and is tried again");
    Action::requeue(delay)
}

/// The time from `now` to `at`.
///
/// Timers count whole milliseconds and round up, so a look is never early by the clock that the timer runs on. By the
/// wall clock, which may be set back, it can be; then this is the time that is left.
fn until(at: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(now)).unwrap_or_default()
}

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
    bounded::bounded,
    plan::{Observed, plan},
    retry::Retry,
    timers::{Key, Timers},
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
    timers: Arc<Timers>,
    failures: Mutex<HashMap<Key, Retry>>,
}

const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// The same for a write that the fence refused: the election looks at once whether this replica still leads, and while
/// it does, the fence is the one that is late.
const LONGEST_RETRY_OF_FENCED: Duration = Duration::from_secs(5);

impl Context {
    pub(super) fn new(
        term: Term,
        client: Client,
        clock: Arc<dyn WallClock>,
        metrics: ControllerMetrics,
        timers: Arc<Timers>,
        pod_name: String,
    ) -> Self {
        let client = term.client(bounded(client));
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: Some(pod_name),
        };
        Self {
            recorder: Recorder::new(client.clone(), reporter),
            term,
            client,
            written: Written::default(),
            metrics,
            clock,
            timers,
            failures: Mutex::default(),
        }
    }

    /// Drops what is remembered of an object that is gone.
    pub(super) fn forget(&self, object: &ObjectRef<DynamicObject>) {
        let object = (object.namespace.clone(), object.name.clone());
        self.failures().remove(&object);
        self.written.forget(&object);
        self.timers.set(object, None);
    }

    /// The time from now to `at`.
    ///
    /// Timers count whole milliseconds and round up, so a look is never early by the clock that the timer runs on. By
    /// the wall clock, which may be set back, it can be; then this is the time that is left.
    fn until(&self, at: Timestamp) -> Duration {
        Duration::try_from(at.duration_since(self.clock.now())).unwrap_or_default()
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<Key, Retry>> {
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
    let key = (object.namespace(), object.name_any());
    context.failures().remove(&key);
    let look_again = plan.look_again.map(|at| context.until(at));
    context
        .timers
        .set(key, look_again.map(|delay| Instant::now() + delay));
    Ok(Action::await_change())
}

/// When a failed look is repeated: soon at first, then ever later, not at the same moment as all others, and at the
/// latest when the plan changes anyway.
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
    let key = (object.namespace(), object.name_any());
    let delay = context
        .failures()
        .entry(key.clone())
        .or_insert_with(|| Retry::up_to(LONGEST_RETRY))
        .next()
        .unwrap_or(LONGEST_RETRY);
    let delay = if error.is_fenced() {
        delay.min(LONGEST_RETRY_OF_FENCED)
    } else {
        delay
    };
    let now = context.clock.now();
    let look_again = plan(&Observed::of(object), &object.spec, now).look_again;
    let delay = look_again.map_or(delay, |at| delay.min(context.until(at)));
    warn!(error = %Chain(error), ?delay, "a reconcile failed and is tried again");
    context.timers.set(key, Some(Instant::now() + delay));
    Action::await_change()
}

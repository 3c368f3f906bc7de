//! One look at one object: observe, plan, apply; and again after every action, until there is nothing left to do now.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use jiff::Timestamp;
use kube::{
    Client, ResourceExt,
    api::DynamicObject,
    runtime::{controller::Action, reflector::ObjectRef},
};
use lease_election::term::Term;
use tokio::time::Instant;
use tracing::{debug, warn};

use super::{
    Caches, ControllerError, ControllerMetrics,
    act::{self, Done},
    announce::{Events, announce},
    apply,
    bounded::bounded,
    observe::observe,
    plan::{Action as PlannedAction, DrainProgress, Observed, Step, Trouble, plan},
    retry::Retry,
    timers::{Key, Timers},
    wall_clock::WallClock,
    written::Written,
};
use crate::{
    api::{ScheduledMachine, ScheduledMachineStatus},
    errors::Chain,
};

/// What a reconcile may use.
pub(super) struct Context {
    pub(super) term: Term,
    /// The term's client: it refuses writes once the term is over.
    pub(super) client: Client,
    pub(super) events: Events,
    pub(super) written: Written,
    pub(super) metrics: ControllerMetrics,
    pub(super) caches: Caches,
    clock: Arc<dyn WallClock>,
    timers: Arc<Timers>,
    failures: Mutex<HashMap<Key, Retry>>,
    troubles: Mutex<HashMap<Key, Vec<Trouble>>>,
    deletions_seen: Mutex<HashMap<Key, Timestamp>>,
}

/// How many actions one look may take: all that create a machine, and some to spare.
const MOST_ROUNDS: usize = 12;

/// How long the watch is given to bring news of what is another one by now.
const OVERTAKEN: Duration = Duration::from_secs(5);

/// When a cluster is asked for again that others are at work with.
const BUSY: Duration = Duration::from_secs(2);

const LONGEST_RETRY: Duration = Duration::from_mins(1);

/// The same for a write that the fence refused: the election looks at once whether this replica still leads, and while
/// it does, the fence is the one that is late.
const LONGEST_RETRY_OF_FENCED: Duration = Duration::from_secs(5);

impl Context {
    pub(super) fn new(
        term: Term,
        client: Client,
        caches: Caches,
        clock: Arc<dyn WallClock>,
        metrics: ControllerMetrics,
        timers: Arc<Timers>,
        pod_name: String,
    ) -> Self {
        let client = term.client(bounded(client));
        Self {
            events: Events::new(client.clone(), pod_name),
            term,
            client,
            written: Written::default(),
            metrics,
            caches,
            clock,
            timers,
            failures: Mutex::default(),
            troubles: Mutex::default(),
            deletions_seen: Mutex::default(),
        }
    }

    /// Drops what is remembered of an object that is gone.
    pub(super) fn forget(&self, object: &ObjectRef<DynamicObject>) {
        let object = (object.namespace.clone(), object.name.clone());
        self.failures().remove(&object);
        self.troubles().remove(&object);
        self.deletions_seen().remove(&object);
        self.written.forget(&object);
        self.timers.set(object, None);
    }

    /// Has an object looked at again as soon as the term may write to other clusters.
    fn hold_back(&self, object: Key) {
        self.timers.hold_back(object);
        if self.term.check_foreign().is_ok() {
            // It was allowed after the write was refused, and what waited has been resumed already.
            self.timers.resume();
        }
    }

    /// The time from now to `at`.
    ///
    /// Timers count whole milliseconds and round up, so a look is never early by the clock that the timer runs on. By
    /// the wall clock, which may be set back, it can be; then this is the time that is left.
    fn until(&self, at: Timestamp) -> Duration {
        Duration::try_from(at.duration_since(self.clock.now())).unwrap_or_default()
    }

    fn troubles_of(&self, key: &Key) -> Vec<Trouble> {
        self.troubles().get(key).cloned().unwrap_or_default()
    }

    /// Remembers a failure, instead of those of the same sort before, which it counts.
    fn failed(&self, key: &Key, mut trouble: Trouble) {
        let mut troubles = self.troubles();
        let of = troubles.entry(key.clone()).or_default();
        of.retain(|before| {
            let is_replaced = trouble.action.replaces(&before.action);
            if is_replaced {
                trouble.times = before.times.saturating_add(1);
            }
            !is_replaced
        });
        of.push(trouble);
    }

    /// All that is known of an object, with what is remembered of it.
    fn observe<'a>(
        &self,
        object: &'a ScheduledMachine,
        drain: Option<DrainProgress>,
    ) -> Observed<'a> {
        let key = (object.namespace(), object.name_any());
        let is_being_deleted = object.metadata.deletion_timestamp.is_some();
        let seen = is_being_deleted.then(|| {
            let mut seen = self.deletions_seen();
            *seen.entry(key.clone()).or_insert_with(|| self.clock.now())
        });
        observe(object, &self.caches, self.troubles_of(&key), seen, drain)
    }

    fn deletions_seen(&self) -> MutexGuard<'_, HashMap<Key, Timestamp>> {
        self.deletions_seen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Forgets that this action failed.
    fn passed(&self, key: &Key, action: &PlannedAction) {
        let mut troubles = self.troubles();
        if let Some(of) = troubles.get_mut(key) {
            of.retain(|before| !action.replaces(&before.action));
            if of.is_empty() {
                troubles.remove(key);
            }
        }
    }

    fn failures(&self) -> MutexGuard<'_, HashMap<Key, Retry>> {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn troubles(&self) -> MutexGuard<'_, HashMap<Key, Vec<Trouble>>> {
        self.troubles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Looks at `object` and does what its spec and the time call for.
pub(super) async fn reconcile(
    object: Arc<ScheduledMachine>,
    context: Arc<Context>,
) -> Result<Action, ControllerError> {
    let started = Instant::now();
    let outcome = look(&object, &context).await;
    context
        .metrics
        .reconciled(started.elapsed(), outcome.is_ok());
    let look_again = outcome?;
    let key = (object.namespace(), object.name_any());
    context.failures().remove(&key);
    context
        .timers
        .set(key, look_again.map(|delay| Instant::now() + delay));
    Ok(Action::await_change())
}

/// When to look again without a change.
async fn look(
    cached: &Arc<ScheduledMachine>,
    context: &Context,
) -> Result<Option<Duration>, ControllerError> {
    let key = (cached.namespace(), cached.name_any());
    let mut drain = None;
    for _ in 0..MOST_ROUNDS {
        let object = context.written.latest(Arc::clone(cached));
        let observed = context.observe(&object, drain.clone());
        let plan = plan(&observed, context.clock.now());
        let look_again = plan.look_again.map(|at| context.until(at));
        let action = match write(context, &object, plan.steps).await? {
            Rest::Act(action) => action,
            Rest::Overtaken => {
                let latest = context.written.latest(Arc::clone(cached));
                let is_read = latest.resource_version() != object.resource_version();
                if is_read && !context.term.is_winding_down() {
                    continue;
                }
                return Ok(Some(no_later_than(OVERTAKEN, look_again)));
            }
            Rest::Nothing => {
                let latest = context.written.latest(Arc::clone(cached));
                let is_leaving = |status: &ScheduledMachineStatus| status.shutdown.is_some();
                // On its way out a machine waits between its actions, and what failed is not to be tried anew each time.
                if !latest.status.as_ref().is_some_and(is_leaving) {
                    context.troubles().remove(&key);
                }
                return Ok(look_again);
            }
        };
        if context.term.is_winding_down() {
            // A release is waiting, and the next leader goes on from here.
            return Ok(look_again);
        }
        // As it is after the status was written, or its version would be an old one.
        let object = context.written.latest(Arc::clone(cached));
        match act::act(context, &object, &action).await {
            Ok(Done::Changed) => context.passed(&key, &action),
            Ok(Done::Drained(progress)) => {
                context.passed(&key, &action);
                drain = Some(progress);
            }
            Ok(Done::Busy) => return Ok(Some(no_later_than(BUSY, look_again))),
            Ok(Done::TooSoon) => {
                context.hold_back(key);
                return Ok(look_again.filter(|look_again| !look_again.is_zero()));
            }
            Ok(Done::Overtaken) => {
                return Ok(Some(no_later_than(OVERTAKEN, look_again)));
            }
            Err(error) => {
                note_trouble(context, cached, &action, &error, drain).await?;
                return Err(error);
            }
        }
    }
    // Each action brings the object nearer to where it should be, so this is for what else may be.
    warn!("an object needed more actions than one look takes, and is looked at again");
    Ok(Some(OVERTAKEN))
}

/// What is left of a plan once its status and its news are written.
enum Rest {
    /// Nothing.
    Nothing,
    /// Its action.
    Act(PlannedAction),
    /// All of it: the object is not any more as the plan was made for.
    Overtaken,
}

/// Writes the status and the news of a plan.
async fn write(
    context: &Context,
    object: &ScheduledMachine,
    steps: Vec<Step>,
) -> Result<Rest, ControllerError> {
    for step in steps {
        match step {
            Step::WriteStatus(status) => {
                if !apply::write_status(context, object, &status).await? {
                    return Ok(Rest::Overtaken);
                }
            }
            Step::Announce(announcement) => announce(context, object, announcement).await,
            Step::Act(action) => return Ok(Rest::Act(action)),
        }
    }
    Ok(Rest::Nothing)
}

/// Puts into the status what the API server refused.
async fn note_trouble(
    context: &Context,
    cached: &Arc<ScheduledMachine>,
    action: &PlannedAction,
    error: &ControllerError,
    drain: Option<DrainProgress>,
) -> Result<(), ControllerError> {
    let Some(trouble) = act::trouble(action, error) else {
        return Ok(());
    };
    let key = (cached.namespace(), cached.name_any());
    context.failed(&key, trouble);
    let object = context.written.latest(Arc::clone(cached));
    let observed = context.observe(&object, drain);
    let steps = plan(&observed, context.clock.now()).steps;
    write(context, &object, steps).await?;
    Ok(())
}

/// `delay`, or the time to the next change of the plan if that is sooner. A change that is overdue is what was just tried,
/// and no reason to hurry.
fn no_later_than(delay: Duration, look_again: Option<Duration>) -> Duration {
    look_again
        .filter(|look_again| !look_again.is_zero())
        .map_or(delay, |look_again| delay.min(look_again))
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
    let observed = context.observe(object, None);
    let look_again = plan(&observed, context.clock.now()).look_again;
    let delay = no_later_than(delay, look_again.map(|at| context.until(at)));
    warn!(error = %Chain(error), ?delay, "a reconcile failed and is tried again");
    context.timers.set(key, Some(Instant::now() + delay));
    Action::await_change()
}

//! One look at one object: observe, plan, apply; and again after every action, until there is nothing left to do now.

use std::{sync::Arc, time::Duration};

use kube::{
    Resource, ResourceExt,
    runtime::{
        controller::Action,
        events::{Event, EventType},
    },
};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::{
    act::{self, Done},
    apply,
    context::Context,
    error::{Category, ControllerError},
    plan::{Action as PlannedAction, Announcement, DrainProgress, Step, plan},
    retry::Retry,
};
use crate::{
    api::{ScheduledMachine, ScheduledMachineStatus},
    errors::{Chain, shortened},
};

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

/// Looks at `object` and does what its spec and the time call for.
pub(super) async fn reconcile(
    object: Arc<ScheduledMachine>,
    context: Arc<Context>,
) -> Result<Action, ControllerError> {
    let started = Instant::now();
    let outcome = reconcile_once(&object, &context).await;
    context
        .metrics
        .reconciled(started.elapsed(), outcome.is_ok());
    let requeue_after = outcome?;
    let key = (object.namespace(), object.name_any());
    context.retries.lock().remove(&key);
    context
        .timers
        .set(key, requeue_after.map(|delay| Instant::now() + delay));
    Ok(Action::await_change())
}

/// When to look again without a change.
async fn reconcile_once(
    cached: &Arc<ScheduledMachine>,
    context: &Context,
) -> Result<Option<Duration>, ControllerError> {
    let key = (cached.namespace(), cached.name_any());
    let mut drain = None;
    for _ in 0..MOST_ROUNDS {
        let object = context.written.latest(Arc::clone(cached));
        let observed = context.observe(&object, drain.clone());
        let plan = plan(&observed, context.clock.now());
        let requeue_after = plan.requeue_at.map(|at| context.until(at));
        let action = match write(context, &object, plan.steps).await? {
            Rest::Act(action) => action,
            Rest::Overtaken => {
                let latest = context.written.latest(Arc::clone(cached));
                let is_read = latest.resource_version() != object.resource_version();
                if is_read && !context.term.is_winding_down() {
                    continue;
                }
                return Ok(Some(no_later_than(OVERTAKEN, requeue_after)));
            }
            Rest::Nothing => {
                let latest = context.written.latest(Arc::clone(cached));
                let is_leaving = |status: &ScheduledMachineStatus| status.shutdown.is_some();
                // On its way out a machine waits between its actions, and what failed is not to be tried anew each time.
                if !latest.status.as_ref().is_some_and(is_leaving) {
                    context.failed_actions.lock().remove(&key);
                }
                return Ok(requeue_after);
            }
        };
        if context.term.is_winding_down() {
            // A release is waiting, and the next leader goes on from here.
            return Ok(requeue_after);
        }
        // As it is after the status was written, or its version would be an old one.
        let object = context.written.latest(Arc::clone(cached));
        match act::act(context, &object, &action).await {
            Ok(Done::Changed) => context.passed(&key, &action),
            Ok(Done::Drained(progress)) => {
                context.passed(&key, &action);
                drain = Some(progress);
            }
            Ok(Done::Busy) => return Ok(Some(no_later_than(BUSY, requeue_after))),
            Ok(Done::TooSoon) => {
                context.hold_back(key);
                return Ok(requeue_after.filter(|requeue_after| !requeue_after.is_zero()));
            }
            Ok(Done::Overtaken) => {
                return Ok(Some(no_later_than(OVERTAKEN, requeue_after)));
            }
            Err(error) => {
                record_failure(context, cached, &action, &error, drain).await?;
                return Err(error);
            }
        }
    }
    // Each action brings the object nearer to where it should be, so this is for what else may be.
    warn!("an object needed more actions than one reconcile takes, and is requeued");
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

/// Writes an Event.
async fn announce(context: &Context, object: &ScheduledMachine, announcement: Announcement) {
    let Announcement {
        reason,
        action,
        note,
        is_warning,
    } = announcement;
    info!(reason, note, "announcing an Event");
    context.metrics.announced(reason);
    let event = Event {
        type_: if is_warning {
            EventType::Warning
        } else {
            EventType::Normal
        },
        reason: reason.to_owned(),
        note: Some(shortened(note)),
        action: action.to_owned(),
        secondary: None,
    };
    let reference = object.object_ref(&());
    let recorder = context.events.recorder();
    tokio::select! {
        written = recorder.publish(&event, &reference) => {
            if let Err(error) = written {
                context.metrics.failed(Category::Event);
                warn!(error = %Chain(&error), "failed to write an Event");
            }
        }
        // A release does not wait for it.
        () = context.term.winding_down() => {}
    }
}

/// Puts into the status what the API server refused.
async fn record_failure(
    context: &Context,
    cached: &Arc<ScheduledMachine>,
    action: &PlannedAction,
    error: &ControllerError,
    drain: Option<DrainProgress>,
) -> Result<(), ControllerError> {
    let Some(failed_action) = act::failed_action(action, error) else {
        return Ok(());
    };
    let key = (cached.namespace(), cached.name_any());
    context.failed(&key, failed_action);
    let object = context.written.latest(Arc::clone(cached));
    let observed = context.observe(&object, drain);
    let steps = plan(&observed, context.clock.now()).steps;
    write(context, &object, steps).await?;
    Ok(())
}

/// `delay`, or the time to the next change of the plan if that is sooner. A change that is overdue is what was just tried,
/// and no reason to hurry.
fn no_later_than(delay: Duration, requeue_after: Option<Duration>) -> Duration {
    requeue_after
        .filter(|requeue_after| !requeue_after.is_zero())
        .map_or(delay, |requeue_after| delay.min(requeue_after))
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
        .retries
        .lock()
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
    let requeue_at = plan(&observed, context.clock.now()).requeue_at;
    let delay = no_later_than(delay, requeue_at.map(|at| context.until(at)));
    warn!(error = %Chain(error), ?delay, "a reconcile failed and is retried");
    context.timers.set(key, Some(Instant::now() + delay));
    Action::await_change()
}

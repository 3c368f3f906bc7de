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
    Caches, ControllerError, ControllerMetrics, FIELD_MANAGER,
    apply::{Progress, Target, apply, failure},
    bounded::bounded,
    caches::{Objects, Sight},
    plan::{Feedback, Observed, Plan, Step, plan},
    recent::Recent,
    retry::Retry,
    timers::{Key, Timers},
    wall_clock::WallClock,
    written::Written,
};
use crate::{
    api::ScheduledMachine,
    errors::Chain,
    machine::{ClusterKey, Workloads},
    term::Term,
};

/// What a reconcile may use.
pub(super) struct Context {
    pub(super) term: Term,
    /// The term's client: it refuses writes once the term is over.
    pub(super) client: Client,
    pub(super) recorder: Recorder,
    pub(super) written: Written,
    pub(super) objects: Objects,
    pub(super) workloads: Workloads,
    recent: Recent,
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
        caches: &Caches,
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
            objects: caches.objects(),
            workloads: caches.workloads(),
            recent: Recent::default(),
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
        self.recent.forget(&object);
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

/// How often a look plans at most: creating, draining and deleting take four rounds together.
const ROUNDS: usize = 6;

/// Looks at `object` and does what its spec and the time call for.
pub(super) async fn reconcile(
    object: Arc<ScheduledMachine>,
    context: Arc<Context>,
) -> Result<Action, ControllerError> {
    let started = Instant::now();
    let key = (object.namespace(), object.name_any());
    let outcome = look(&context, object, &key).await;
    context
        .metrics
        .reconciled(started.elapsed(), outcome.is_ok());
    let at = outcome?;
    context.failures().remove(&key);
    context.timers.set(key, at);
    Ok(Action::await_change())
}

/// Plans and does what is planned until there is nothing to do; says when to look again.
async fn look(
    context: &Context,
    cached: Arc<ScheduledMachine>,
    key: &Key,
) -> Result<Option<Instant>, ControllerError> {
    let mut feedback = Feedback::default();
    let mut failed = None;
    let mut at = None;
    for _round in 0..ROUNDS {
        let object = context.written.latest(Arc::clone(&cached));
        let mut sight = context.objects.sight(&object);
        let (recent, unseen_until) = context.recent.complete(key, &mut sight);
        feedback.done.retain(|step| !recent.contains(step));
        feedback.done.extend(recent);
        let observed = Observed {
            object: &object,
            sight: &sight,
            feedback: &feedback,
        };
        let Plan { steps, look_again } = plan(&observed, context.clock.now());
        let look_again = look_again.map(|at| Instant::now() + context.until(at));
        at = [look_again, unseen_until].into_iter().flatten().min();
        let target = Target {
            object: &object,
            cluster: cluster(&object, &sight),
        };
        let is_last = steps.iter().all(is_report);
        match take(context, &target, key, steps, &mut feedback).await {
            Ok(true) if !is_last => {}
            Ok(_) => break,
            // A status that can't be written is not reported in the status.
            Err(error) if failed.is_some() || context.term.check().is_err() => return Err(error),
            Err(error @ ControllerError::WriteStatus { .. }) => return Err(error),
            Err(error) => {
                feedback.failure = Some(failure(&error));
                failed = Some(error);
            }
        }
    }
    failed.map_or(Ok(at), Err)
}

/// Does the steps in their order; whether there may be more to do.
async fn take(
    context: &Context,
    target: &Target<'_>,
    key: &Key,
    steps: Vec<Step>,
    feedback: &mut Feedback,
) -> Result<bool, ControllerError> {
    for step in steps {
        match apply(context, target, &step).await? {
            Progress::Ended => return Ok(false),
            Progress::Drain(report) => feedback.drain = Some(report),
            Progress::Done(_) if is_report(&step) => {}
            Progress::Done(made) => {
                if is_shown_by_a_watch(&step) {
                    context.recent.note(key, step.clone(), made);
                }
                feedback.done.push(step);
            }
        }
    }
    Ok(true)
}

fn is_report(step: &Step) -> bool {
    matches!(step, Step::WriteStatus(_) | Step::Announce(_))
}

/// Whether what a step does is seen in other objects than the `ScheduledMachine`, whose answers are kept.
fn is_shown_by_a_watch(step: &Step) -> bool {
    !matches!(
        step,
        Step::AddFinalizer | Step::RemoveFinalizer | Step::DisableSchedule | Step::Drain(_)
    )
}

/// Where the Node is: the Machine says it, as the spec may have changed since.
fn cluster(object: &ScheduledMachine, sight: &Sight) -> ClusterKey {
    let machine = sight
        .objects
        .iter()
        .find_map(|object| object.machine.as_ref());
    let name = machine.map_or(&object.spec.cluster_name, |machine| &machine.cluster);
    ClusterKey {
        namespace: object.namespace().unwrap_or_default(),
        name: name.clone(),
    }
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
    let sight = context.objects.sight(object);
    let feedback = Feedback::default();
    let look_again = plan(
        &Observed {
            object,
            sight: &sight,
            feedback: &feedback,
        },
        now,
    )
    .look_again;
    let delay = look_again.map_or(delay, |at| delay.min(context.until(at)));
    warn!(error = %Chain(error), ?delay, "a reconcile failed and is tried again");
    context.timers.set(key, Some(Instant::now() + delay));
    Action::await_change()
}

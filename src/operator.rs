//! The composition root: makes every part, starts and stops them in order, and owns every task.
//!
//! Start: the ports are bound before anything else, and only then is the termination log begun. Then probes and caches, then
//! the election, which contends once the caches are synced. Stop: the election first, which winds up the work and then
//! releases the Lease; the rest after it. The end of any task is noticed here, and a task that ends unasked ends the
//! process, but for the check of the grace period, which is made once.

mod election;
mod grace;
mod instruments;

use std::{convert::Infallible, io, sync::Arc, time::Duration};

use http::{HeaderValue, header::USER_AGENT};
use kube::Client;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    admin::{Admin, AdminError, AdminPort},
    args::Config,
    clock::{BootClock, SharedClock},
    controller::{self, Caches, Connect, ControllerError, ControllerMetrics},
    errors::Chain,
    leader::{ElectorError, HintError},
    metrics,
    shutdown::ShutdownSignals,
    term::{Generation, Term},
    termination::TerminationLogError,
};

use election::Contest;

/// How long a replica that works alone may go on: longer than any machine.
const UNLIMITED: Duration = Duration::from_hours(100 * 365 * 24);

/// How long the other parts may take to end after the election has: a client that holds a connection open must not
/// keep the process.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Why the operator ended with an error.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// No configuration for a Kubernetes client was found.
    #[error(
        "failed to find a Kubernetes cluster: neither a kubeconfig nor a pod's ServiceAccount can be used"
    )]
    Kubeconfig(#[source] kube::config::InferConfigError),
    /// The client could not be made.
    #[error("failed to set up the Kubernetes client")]
    Client(#[source] kube::Error),
    /// Signals can't be listened to.
    #[error("failed to listen for signals")]
    Signals(#[source] io::Error),
    /// The HTTP port failed.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The port for hints failed.
    #[error(transparent)]
    Hint(#[from] HintError),
    /// Another replica runs in this container.
    #[error(transparent)]
    TerminationLog(#[from] TerminationLogError),
    /// The election failed.
    #[error("the election failed")]
    Election(#[from] ElectorError),
    /// The caches failed.
    #[error("the caches failed")]
    Caches(#[source] ControllerError),
    /// The work of a replica that needs no leadership ended.
    #[error("the work ended although nobody asked for it")]
    WorkStopped,
    /// A task panicked.
    #[error("a task failed")]
    Task(#[source] JoinError),
}

/// Every metric of a replica that takes part in an election.
#[cfg(test)]
pub(crate) fn exported_metrics() -> std::collections::BTreeMap<String, metrics::Exported> {
    metrics::exported(&instruments::of_everything()).unwrap_or_default()
}

/// The README's table of the metrics.
pub fn metrics_table() -> Result<String, std::fmt::Error> {
    metrics::table(&instruments::of_everything())
}

/// The tasks that run side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Election,
    Fence,
    Caches,
    Admin,
    Signals,
    Announcements,
    Hint,
    GracePeriod,
}

/// Where work is done: under the election, or alone.
struct Work {
    client: Client,
    caches: Caches,
    metrics: ControllerMetrics,
    pod_name: String,
}

/// Runs the operator until a signal asks it to end, or a part of it fails.
pub async fn run(config: Config) -> Result<(), OperatorError> {
    let signals = ShutdownSignals::listen().map_err(OperatorError::Signals)?;
    let port = AdminPort::listen(config.listen_address)?;
    let mut kube_config = kube::Config::infer()
        .await
        .map_err(OperatorError::Kubeconfig)?;
    // Audit logs show it, and the client sends none by itself.
    let agent = HeaderValue::from_static(concat!("five-spot/", env!("CARGO_PKG_VERSION")));
    kube_config.headers.push((USER_AGENT, agent));
    // What is tried again, and when, is decided where the answer is understood: a budget that forbids an eviction is
    // answered like an API server that has too much to do.
    kube_config.default_retry = false;
    let client = Client::try_from(kube_config.clone()).map_err(OperatorError::Client)?;
    let clock: SharedClock = Arc::new(BootClock);
    let (mut registry, metrics, fence_metrics) = instruments::of_work();
    let (caches, feed) = Caches::new(client.clone(), Connect::default(), metrics.clone());
    let work = Work {
        client,
        caches: caches.clone(),
        metrics,
        pod_name: config.pod_name.clone(),
    };

    let (shutdown, stop) = (CancellationToken::new(), CancellationToken::new());
    let mut tasks: JoinSet<(Part, Result<(), OperatorError>)> = JoinSet::new();
    let token = shutdown.clone();
    let mut termination_log = None;
    let pulse = if let Some(election) = config.election.clone() {
        let (pod, lease) = (election.identity.pod_name.clone(), election.lease.clone());
        let client = work.client.clone();
        let (metrics, standing) =
            instruments::of_election(&mut registry, &pod, &lease, Arc::clone(&clock));
        let contest = Contest::prepare(
            &config,
            election,
            kube_config,
            &clock,
            standing,
            metrics,
            fence_metrics,
        )?;
        termination_log.clone_from(&contest.termination_log);
        let pulse = Arc::clone(&contest.pulse);
        let elector =
            contest.accompany(&mut tasks, &stop, client, lease, pod, config.drain_timeout);
        let ready = caches.clone();
        tasks.spawn(async move {
            let ready = async move { ready.synced().await };
            #[cfg(feature = "mutants")]
            let _beside = work.beside_the_lease(&clock);
            let ended = Box::pin(elector.run(ready, token, move |term| work.run(term))).await;
            (Part::Election, ended.map_err(OperatorError::from))
        });
        Some(pulse)
    } else {
        info!("starting without leader election");
        tasks.spawn(async move {
            let ended = work_alone(&work, &clock, token, config.drain_timeout).await;
            (Part::Election, ended)
        });
        None
    };
    let admin = Admin {
        pulse,
        is_synced: Box::new(move || caches.is_synced()),
        registry,
    };
    let stop_admin = stop.clone();
    tasks.spawn(async move {
        port.serve(admin, stop_admin).await;
        (Part::Admin, Ok(()))
    });
    let stop_feed = stop.clone();
    tasks.spawn(async move {
        tokio::select! {
            ended = feed => (Part::Caches, ended.map(|never: Infallible| match never {}).map_err(OperatorError::Caches)),
            () = stop_feed.cancelled() => (Part::Caches, Ok(())),
        }
    });
    let signalled = shutdown.clone();
    tasks.spawn(async move {
        signals.forward(signalled).await;
        (Part::Signals, Ok(()))
    });
    let outcome = supervise(tasks, &shutdown, &stop).await;
    if let (Err(failure), Some(log)) = (&outcome, termination_log) {
        // Standard error says the same; this is what `kubectl describe pod` shows.
        let _ = log.add(&Chain(failure).to_string());
    }
    outcome
}

/// Waits for the tasks in the order in which they are to end, and keeps the first failure.
async fn supervise(
    mut tasks: JoinSet<(Part, Result<(), OperatorError>)>,
    shutdown: &CancellationToken,
    stop: &CancellationToken,
) -> Result<(), OperatorError> {
    let mut outcome = Ok(());
    let mut stopping = std::pin::pin!(stopped_for(stop, STOP_TIMEOUT));
    loop {
        let joined = tokio::select! {
            joined = tasks.join_next() => joined,
            () = &mut stopping => break,
        };
        let Some(joined) = joined else { break };
        let (part, result) = match joined {
            Ok((part, result)) => (Some(part), result),
            Err(failure) => (None, Err(OperatorError::Task(failure))),
        };
        if let Err(failure) = result {
            error!(error = %Chain(&failure), "ending");
            let fatal = matches!(
                failure,
                OperatorError::Election(ElectorError::WorkOutlivedTerm(_))
            );
            outcome = outcome.and(Err(failure));
            if fatal {
                // Work is running that must not: waiting for anything would prolong it.
                return outcome;
            }
            shutdown.cancel();
        }
        match part {
            Some(Part::Election) | None => stop.cancel(),
            // It is made once, and its end means nothing.
            Some(Part::GracePeriod) => {}
            // Asked for or not: without probes, caches or signals the election is to end as well.
            Some(
                Part::Fence
                | Part::Caches
                | Part::Admin
                | Part::Signals
                | Part::Announcements
                | Part::Hint,
            ) => {
                shutdown.cancel();
            }
        }
    }
    if outcome.is_ok() {
        info!("ended");
    }
    outcome
}

/// Resolves when `stop` has been asked for and `patience` is over.
async fn stopped_for(stop: &CancellationToken, patience: Duration) {
    stop.cancelled().await;
    tokio::time::sleep(patience).await;
}

/// Works without an election, as if in a term that only the shutdown ends.
async fn work_alone(
    work: &Work,
    clock: &SharedClock,
    shutdown: CancellationToken,
    drain_timeout: Duration,
) -> Result<(), OperatorError> {
    tokio::select! {
        () = work.caches.synced() => {}
        () = shutdown.cancelled() => return Ok(()),
    }
    let (term, control) = Term::begin(Generation(0), clock.now() + UNLIMITED, Arc::clone(clock));
    let mut running = std::pin::pin!(work.run(term));
    tokio::select! {
        () = &mut running => return Err(OperatorError::WorkStopped),
        () = shutdown.cancelled() => control.wind_down(),
    }
    // Work that is not done by then is dropped, as under an election.
    let _ = tokio::time::timeout(drain_timeout, running).await;
    Ok(())
}

impl Work {
    fn run(&self, term: Term) -> impl Future<Output = ()> + Send + use<> {
        let (client, caches) = (self.client.clone(), self.caches.clone());
        #[cfg(feature = "mutants")]
        let idle = term.clone();
        let work = controller::run(
            term,
            client,
            caches,
            self.metrics.clone(),
            self.pod_name.clone(),
        );
        #[cfg(feature = "mutants")]
        let work = async move {
            if crate::mutant::is(crate::mutant::IDLE_LEADER) {
                // It says that all is well, so that nothing but what it does not do gives it away.
                loop {
                    idle.progress();
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            }
            work.await;
        };
        work
    }

    /// The work that a replica of the mutant does without the Lease, for as long as the result is kept.
    #[cfg(feature = "mutants")]
    fn beside_the_lease(
        &self,
        clock: &SharedClock,
    ) -> Option<(tokio::task::JoinSet<()>, crate::term::TermControl)> {
        if !crate::mutant::is(crate::mutant::WORKS_WITHOUT_LEASE) {
            return None;
        }
        let (term, control) =
            Term::begin(Generation(0), clock.now() + UNLIMITED, Arc::clone(clock));
        let (work, caches) = (self.run(term), self.caches.clone());
        let mut tasks = JoinSet::new();
        tasks.spawn(async move {
            caches.synced().await;
            work.await;
        });
        Some((tasks, control))
    }
}

#[cfg(test)]
mod tests;

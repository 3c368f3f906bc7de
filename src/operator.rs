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

use lease_election::{
    BuildError, ElectionError, ElectorError,
    clock::{BootClock, SharedClock},
    mutation::{self, Mutation},
    observer::PrometheusObserver,
    term::{Generation, Term, TermControl},
};

use crate::{
    admin::{Admin, AdminError, AdminPort},
    args::Config,
    controller::{self, Caches, Connect, ControllerError, ControllerMetrics},
    errors::Chain,
    leader, metrics,
    shutdown::ShutdownSignals,
};

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
    /// The election could not begin.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The election failed.
    #[error("the election failed")]
    Election(#[from] ElectionError),
    /// The caches failed.
    #[error("the caches failed")]
    Caches(#[source] ControllerError),
    /// The work of a replica that needs no leadership ended.
    #[error("the work ended without a request to shut down")]
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
    Caches,
    Admin,
    Signals,
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
    let pulse = if let Some(settings) = config.election.clone() {
        let (lease, pod) = (settings.lease.clone(), settings.identity.pod_name.clone());
        let (timing, of_lease) = (&settings.timing, Arc::clone(&clock));
        let observer =
            PrometheusObserver::register(&mut registry, &pod, timing, of_lease, fence_metrics);
        let (drain, observer) = (config.drain_timeout, Arc::new(observer));
        let election = election::prepare(settings, drain, observer, kube_config)?;
        termination_log = election.termination_log();
        let pulse = election.pulse();
        let (client, stop) = (work.client.clone(), stop.clone());
        tasks.spawn(async move {
            tokio::select! {
                () = grace::check(client, &lease, &pod, drain) => {}
                () = stop.cancelled() => {}
            }
            (Part::GracePeriod, Ok(()))
        });
        let ready = caches.clone();
        tasks.spawn(async move {
            let ready = async move { ready.synced().await };
            let _beside = work.beside_the_lease(&clock);
            let shutdown = token.cancelled_owned();
            let ended = Box::pin(election.run(ready, shutdown, move |term| work.run(term))).await;
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
                OperatorError::Election(ElectionError::Elector(ElectorError::WorkOutlivedTerm(_)))
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
            Some(Part::Caches | Part::Admin | Part::Signals) => shutdown.cancel(),
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
    let (term, control) = term_alone(clock);
    let mut running = std::pin::pin!(work.run(term));
    tokio::select! {
        () = &mut running => return Err(OperatorError::WorkStopped),
        () = shutdown.cancelled() => control.wind_down(),
    }
    // Work that is not done by then is dropped, as under an election.
    let _ = tokio::time::timeout(drain_timeout, running).await;
    Ok(())
}

/// A term that no election limits.
fn term_alone(clock: &SharedClock) -> (Term, TermControl) {
    let (until, policies) = (clock.now() + UNLIMITED, leader::policies());
    Term::begin(Generation(0), until, Arc::clone(clock), Some(policies))
}

impl Work {
    fn run(&self, term: Term) -> impl Future<Output = ()> + Send + use<> {
        let work = controller::run(
            term.clone(),
            self.client.clone(),
            self.caches.clone(),
            self.metrics.clone(),
            self.pod_name.clone(),
        );
        async move {
            // It says that all is well, so that nothing but what it does not do gives it away.
            while mutation::is(Mutation::IdleLeader) {
                term.progress();
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            drop(term);
            work.await;
        }
    }

    /// The work that a broken replica does without the Lease, for as long as the result is kept.
    fn beside_the_lease(&self, clock: &SharedClock) -> Option<(JoinSet<()>, TermControl)> {
        if !mutation::is(Mutation::WorksWithoutLease) {
            return None;
        }
        let (term, control) = term_alone(clock);
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

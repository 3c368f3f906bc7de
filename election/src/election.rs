//! The face of the crate: an election is built from what one replica knows, and run with its work.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::Client;
use tokio::{
    sync::watch,
    task::{JoinError, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::{
    clock::{BootClock, SharedClock},
    elector::{
        Announcements, Elector, ElectorError, KubeLeases, Lock, Publisher, Setup, Sources,
        announcements,
    },
    errors::Chain,
    evidence::{HintError, HintListener, KubePods, TcpPeers, TerminationLog, TerminationLogError},
    fence::{Advice, Fence, FenceTester, KubeFence},
    identity::Identity,
    observer::{NoObserver, Observer},
    record::Annotations,
    settings::{InvalidSetting, LeaseName, SettingNames},
    status::{LeadershipStatus, Pulse},
    term::Term,
    timing::Timing,
};

/// How long what runs beside the election may take to end after it: the last Events are published meanwhile.
const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// Why an election could not be built.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// A setting breaks a rule.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// A client could not be made.
    #[error("failed to set up the Kubernetes client")]
    Client(#[source] kube::Error),
    /// The port for hints failed.
    #[error(transparent)]
    Hint(#[from] HintError),
    /// Another replica runs in this container.
    #[error(transparent)]
    TerminationLog(#[from] TerminationLogError),
}

/// Why an election ended although it was not told to. The process is to end too.
#[derive(Debug, thiserror::Error)]
pub enum ElectionError {
    /// It failed, or the work did.
    #[error(transparent)]
    Elector(#[from] ElectorError),
    /// What runs beside it panicked.
    #[error("a task of the election failed")]
    Task(#[source] JoinError),
}

/// What an election is built from: see [`Election::builder`].
#[must_use = "a builder does nothing until it builds"]
pub struct Builder {
    lease: String,
    namespace: String,
    identity: Option<Identity>,
    timing: Timing,
    prefix: String,
    reporter: String,
    container: Option<String>,
    termination_log: Option<PathBuf>,
    fence: Option<Fence>,
    hints: Option<SocketAddr>,
    observer: Arc<dyn Observer>,
    drain_timeout: Duration,
    stuck_after: Option<Duration>,
    names: SettingNames,
}

/// One replica's part in an election over a Lease.
pub struct Election {
    elector: Elector<KubeLeases>,
    announcements: Announcements,
    publisher: Publisher,
    listener: Option<HintListener>,
    tester: Option<FenceTester>,
    termination_log: Option<TerminationLog>,
}

impl Builder {
    /// Who this replica is. Without it there is no election.
    pub fn identity(mut self, identity: Identity) -> Self {
        self.identity = Some(identity);
        self
    }

    /// The durations of the election; 15, 10 and 2 seconds unless they are given. Replicas should share them.
    pub fn timing(mut self, timing: Timing) -> Self {
        self.timing = timing;
        self
    }

    /// What the annotations of the Lease begin with, such as `example.com`: the name of the Lease unless it is given.
    pub fn annotations(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// The controller that Events about the election name: the name of the Lease unless it is given.
    pub fn reporter(mut self, reporter: impl Into<String>) -> Self {
        self.reporter = reporter.into();
        self
    }

    /// Proof of death: this process writes its nonce into the termination log at `path`, from which kubelet copies it into the
    /// pod's status when the process dies, and takes the Lease from a leader whose container `container` shows it.
    ///
    /// It needs the right to get, list and watch Pods. A log that can't be written costs the proof of this process's death
    /// and nothing else.
    pub fn termination_log(
        mut self,
        container: impl Into<String>,
        path: impl Into<PathBuf>,
    ) -> Self {
        (self.container, self.termination_log) = (Some(container.into()), Some(path.into()));
        self
    }

    /// The fence: see [`crate::fence`]. It has to be installed, by [`fence_yaml`](crate::fence::fence_yaml).
    pub fn fence(mut self, fence: Fence) -> Self {
        self.fence = Some(fence);
        self
    }

    /// Hints: this replica listens here, and connects to the same port of the leader's pod. The end of that connection is
    /// acted on while the fence is in force, so without a fence that is tested there are no hints.
    ///
    /// It needs the right to get, list and watch Pods.
    pub fn hints(mut self, address: impl Into<Option<SocketAddr>>) -> Self {
        self.hints = address.into();
        self
    }

    /// Who counts and measures.
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// How long the work may take to wind up on shutdown before it is dropped: 20 seconds unless it is given. Together with
    /// [`RELEASE_TIMEOUT`](crate::RELEASE_TIMEOUT) it has to fit into the pod's grace period.
    pub fn drain_timeout(mut self, timeout: Duration) -> Self {
        self.drain_timeout = timeout;
        self
    }

    /// Ends a term whose work gives no sign of progress for `limit`, see [`Term::progress`]; without it no such term is
    /// ended.
    pub fn end_stuck_work(mut self, limit: Duration) -> Self {
        self.stuck_after = Some(limit);
        self
    }

    /// What errors and log lines call the settings.
    pub fn names(mut self, names: SettingNames) -> Self {
        self.names = names;
        self
    }

    /// Binds the port, begins the termination log, and makes clients from `config`, each with connections of its own: they
    /// are shared with nothing that could hold up a renewal. It is to be called in a Tokio runtime.
    pub fn build(self, config: kube::Config) -> Result<Election, BuildError> {
        let names = self.names;
        let lease = LeaseName::new(&self.lease, &self.namespace, &names)?;
        let Some(identity) = self.identity else {
            let rule =
                "must be given: replicas that share one would each believe to hold the Lease";
            return Err(InvalidSetting::new("identity", "", rule).into());
        };
        let (pod, incarnation) = (identity.pod_name.clone(), identity.incarnation.clone());
        info!(
            pod,
            %incarnation,
            lease = lease.name(),
            namespace = lease.namespace(),
            "starting"
        );
        let clients = Clients::new(config, &self.timing);
        let observer = self.observer;
        let mut sources = Sources {
            pods: None,
            container: self.container,
            hints: None,
        };
        let checked = fence(self.fence.as_ref(), &clients, &lease, &pod)?;
        let mut listener = None;
        match (self.hints, &checked) {
            (Some(address), Some((fence, _))) => {
                let nonce = incarnation.nonce;
                listener = Some(HintListener::listen(address, nonce, names.hints)?);
                let peers = TcpPeers::on_port(address.port(), Arc::clone(&observer));
                sources.hints = Some((Arc::new(peers), Arc::new(fence.clone())));
            }
            (Some(_), None) => info!("there is no fence to test, so no hint is acted on"),
            (None, _) => {}
        }
        // With all ports bound: a second process in the container has ended before it could get here.
        let termination_log = match self.termination_log {
            Some(path) => begin(TerminationLog::begin(
                &path,
                incarnation.nonce,
                names.termination_log,
            ))?,
            None => None,
        };
        let others = clients.election()?;
        if sources.container.is_some() || sources.hints.is_some() {
            let pods = KubePods::new(others.clone(), lease.namespace());
            sources.pods = Some(Arc::new(pods));
        }
        let clock: SharedClock = Arc::new(BootClock);
        let lock = Lock {
            api: KubeLeases::new(clients.election()?, lease.clone()),
            name: self.lease,
            annotations: Arc::new(Annotations::with_prefix(&self.prefix)),
            timing: self.timing,
            me: identity,
            clock,
            wall: Arc::new(Timestamp::now),
            observer: Arc::clone(&observer),
        };
        let (announcer, announcements) = announcements(Arc::clone(&observer));
        let elector = Elector::new(
            lock,
            Setup {
                sources,
                drain_timeout: self.drain_timeout,
                stuck_after: self.stuck_after,
                announcer,
                policies: self.fence.map(|fence| fence.policies),
            },
        );
        let tester = checked.map(|(fence, advice)| {
            let (status, last) = (elector.status(), elector.acknowledged());
            let acknowledged = move || {
                let leads = matches!(*status.borrow(), LeadershipStatus::Leading { .. });
                leads.then(|| *last.borrow()).flatten()
            };
            let shown = move |states: &_| observer.fence(states);
            FenceTester::new(fence, advice, Box::new(acknowledged), Box::new(shown))
        });
        Ok(Election {
            elector,
            announcements,
            publisher: Publisher {
                client: others,
                lease,
                reporter: self.reporter,
                pod,
            },
            listener,
            tester,
            termination_log,
        })
    }
}

impl Election {
    /// An election over the Lease `lease` in the pod's own `namespace`, with all that is optional left out.
    pub fn builder(lease: impl Into<String>, namespace: impl Into<String>) -> Builder {
        let lease = lease.into();
        Builder {
            prefix: lease.clone(),
            reporter: lease.clone(),
            lease,
            namespace: namespace.into(),
            identity: None,
            timing: Timing::default(),
            container: None,
            termination_log: None,
            fence: None,
            hints: None,
            observer: Arc::new(NoObserver),
            drain_timeout: Duration::from_secs(20),
            stuck_after: None,
            names: SettingNames::default(),
        }
    }

    /// Whether this replica leads, or who does.
    pub fn status(&self) -> watch::Receiver<LeadershipStatus> {
        self.elector.status()
    }

    /// Beats as long as the election loop goes on, for a liveness probe.
    pub fn pulse(&self) -> Arc<Pulse> {
        self.elector.pulse()
    }

    /// The `renewTime` of the last write of this replica that was acknowledged in time, of whichever term. That of the
    /// present one is there before the status says that it leads.
    pub fn acknowledged(&self) -> watch::Receiver<Option<Timestamp>> {
        self.elector.acknowledged()
    }

    /// The termination log, to add why the process ends; none where it is not asked for or can't be written.
    pub fn termination_log(&self) -> Option<TerminationLog> {
        self.termination_log.clone()
    }

    /// Takes part until `shutdown` resolves: leads whenever it can, and runs `work` for each term.
    ///
    /// It contends only after `ready` has resolved. On shutdown the work is wound up first, see [`Term::winding_down`], and
    /// the Lease is released after that. Dropping the future ends everything at once and releases nothing.
    ///
    /// # Errors
    /// In each case the process has to end. After [`ElectorError::WorkOutlivedTerm`] at once: work is running that must not.
    pub async fn run<W, F>(
        self,
        ready: impl Future<Output = ()>,
        shutdown: impl Future<Output = ()> + Send + 'static,
        work: W,
    ) -> Result<(), ElectionError>
    where
        W: FnMut(Term) -> F,
        F: Future<Output = ()> + Send + 'static,
    {
        let (asked, stop) = (CancellationToken::new(), CancellationToken::new());
        let mut beside = JoinSet::new();
        let shutting_down = asked.clone();
        beside.spawn(until(stop.clone(), async move {
            shutdown.await;
            shutting_down.cancel();
        }));
        if let Some(tester) = self.tester {
            let tested = async move { match tester.run().await {} };
            beside.spawn(until(stop.clone(), tested));
        }
        if let Some(listener) = self.listener {
            beside.spawn(listener.serve(stop.clone()));
        }
        beside.spawn(self.announcements.publish(self.publisher, stop.clone()));
        let mut elector = Box::pin(self.elector.run(ready, asked.clone(), work));
        let mut failed = None;
        let ended = loop {
            tokio::select! {
                biased;
                ended = &mut elector => break ended,
                Some(joined) = beside.join_next() => if let Err(panicked) = joined {
                    failed.get_or_insert(panicked);
                    asked.cancel();
                }
            }
        };
        if matches!(ended, Err(ElectorError::WorkOutlivedTerm(_))) {
            return Ok(ended?);
        }
        stop.cancel();
        // What takes longer, such as an Event that can't be published, is given up.
        let stopped = async { while beside.join_next().await.is_some() {} };
        let _ = timeout(STOP_TIMEOUT, stopped).await;
        ended?;
        failed.map_or(Ok(()), |panicked| Err(ElectionError::Task(panicked)))
    }
}

/// Does `task` until `stop`.
async fn until(stop: CancellationToken, task: impl Future<Output = ()>) {
    tokio::select! {
        () = task => {}
        () = stop.cancelled() => {}
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Builder");
        debug.field("lease", &self.lease).finish_non_exhaustive()
    }
}

impl fmt::Debug for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Election");
        debug
            .field("lease", &self.publisher.lease)
            .finish_non_exhaustive()
    }
}

/// Makes the clients of an election.
struct Clients {
    config: kube::Config,
    connect_timeout: Duration,
}

impl Clients {
    /// What is tried again, and when, is decided by who asked.
    fn new(mut config: kube::Config, timing: &Timing) -> Self {
        config.default_retry = false;
        let connect_timeout = timing.call_timeout();
        Self {
            config,
            connect_timeout,
        }
    }

    fn fence(&self) -> Result<Client, BuildError> {
        Client::try_from(self.config.clone()).map_err(BuildError::Client)
    }

    fn election(&self) -> Result<Client, BuildError> {
        let mut config = self.config.clone();
        config.connect_timeout = Some(self.connect_timeout);
        Client::try_from(config).map_err(BuildError::Client)
    }
}

/// The fence as this replica meets it; none where there is none to be tested.
fn fence(
    fence: Option<&Fence>,
    clients: &Clients,
    lease: &LeaseName,
    pod: &str,
) -> Result<Option<(KubeFence, Advice)>, BuildError> {
    let Some(Fence {
        policies,
        probes: Some(probes),
        advice,
    }) = fence
    else {
        return Ok(None);
    };
    let (client, policies) = (clients.fence()?, policies.clone());
    let fence = KubeFence::new(client, lease, policies, probes.clone(), pod);
    Ok(Some((fence, *advice)))
}

/// The termination log; none where it can't be written.
fn begin(
    begun: Result<TerminationLog, TerminationLogError>,
) -> Result<Option<TerminationLog>, TerminationLogError> {
    match begun {
        Ok(log) => {
            log.add_panics();
            Ok(Some(log))
        }
        // Two processes of one pod would take the Lease from each other, each as the other's next life.
        Err(held @ TerminationLogError::Held { .. }) => Err(held),
        Err(error) => {
            warn!(error = %Chain(&error), "the death of this process can't be proven to a standby");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests;

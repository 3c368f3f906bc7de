//! What one replica knows and wants, put together.

use std::{fmt, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use jiff::Timestamp;
use kube::Client;
use tracing::{info, warn};

use super::run::Election;
use crate::{
    clock::BootClock,
    elector::{Elector, KubeLeases, Lock, Publisher, Setup, Sources, announcements},
    errors::Chain,
    evidence::{HintError, HintListener, KubePods, TcpPeers, TerminationLog, TerminationLogError},
    fence::{Advice, Fence, FenceTester, KubeFence},
    identity::Identity,
    observer::{NoObserver, Observer},
    record::Annotations,
    settings::{InvalidSetting, LeaseName, SettingNames},
    status::LeadershipStatus,
    timing::Timing,
};

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

    /// Ends a term whose work gives no sign of progress for `limit`, see [`Term::progress`](crate::Term::progress); without it no such term is
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
        let lock = Lock {
            api: KubeLeases::new(clients.election()?, lease.clone()),
            name: self.lease,
            annotations: Arc::new(Annotations::with_prefix(&self.prefix)),
            timing: self.timing,
            me: identity,
            clock: Arc::new(BootClock),
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

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Builder");
        debug.field("lease", &self.lease).finish_non_exhaustive()
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

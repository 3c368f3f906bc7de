//! Puts the election of one replica together: the lock, what it senses of others, and what it tells them.

use std::{sync::Arc, time::Duration};

use kube::Client;
use tokio::{sync::watch, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{OperatorError, Part, grace};
use crate::{
    args::{Config, Election},
    clock::SharedClock,
    controller,
    errors::Chain,
    fence::{Fence, FenceKeeper, FenceMetrics, KubeFence},
    leader::{
        Announcements, Elector, HintListener, KubeLeases, KubePods, LeaderMetrics, LeaseConfig,
        Lock, Peers, Pulse, Senses, Standing, TcpPeers, announcements,
    },
    termination::{TerminationLog, TerminationLogError},
};

/// What has to run for a replica to take part.
pub(super) struct Contest {
    pub(super) elector: Elector<KubeLeases>,
    pub(super) pulse: Arc<Pulse>,
    pub(super) announcements: Announcements,
    pub(super) listener: Option<HintListener>,
    /// None where there is no fence to be tested.
    pub(super) keeper: Option<FenceKeeper>,
    /// None where it can't be written, which costs the proof of this process's death and nothing else.
    pub(super) termination_log: Option<TerminationLog>,
}

impl Contest {
    /// Makes all of it. Without a fence no hint is acted on, so none is listened for.
    pub(super) fn prepare(
        config: &Config,
        election: Election,
        mut kube_config: kube::Config,
        clock: &SharedClock,
        standing: watch::Sender<Standing>,
        metrics: LeaderMetrics,
        fence_metrics: FenceMetrics,
    ) -> Result<Self, OperatorError> {
        let lease = election.lease.clone();
        let incarnation = &election.identity.incarnation;
        info!(
            pod = election.identity.pod_name,
            incarnation = %incarnation,
            lease = lease.name(),
            namespace = lease.namespace(),
            "starting"
        );
        let fence = fence(&election, kube_config.clone())?;
        let (mut listener, mut hints) = (None, None);
        match (election.hint_address, &fence) {
            (Some(address), Some(fence)) => {
                listener = Some(HintListener::listen(address, incarnation.nonce)?);
                let connected = metrics.hint_connection();
                let peers: Arc<dyn Peers> = Arc::new(TcpPeers::on_port(address.port(), connected));
                let fence: Arc<dyn Fence> = Arc::new(fence.clone());
                hints = Some((peers, fence));
            }
            (Some(_), None) => {
                info!("FENCE_PROBE is empty: there is no fence to test, and no hint is acted on");
            }
            (None, _) => {}
        }
        // With all ports bound: a second process in the container has ended before it could get here.
        let termination_log = begin_termination_log(&election.termination_log, incarnation.nonce)?;
        // Clients of their own: their connections are shared with nothing that could hold up a renewal.
        kube_config.connect_timeout = Some(lease.call_timeout());
        // The election decides itself what is tried again, and when.
        kube_config.default_retry = false;
        let pods = Client::try_from(kube_config.clone()).map_err(OperatorError::Client)?;
        let leases = Client::try_from(kube_config).map_err(OperatorError::Client)?;
        let senses = Senses {
            pods: Arc::new(KubePods::new(pods, &lease)),
            container: election.container_name,
            hints,
        };
        let pulse = Arc::new(Pulse::new(Arc::clone(clock), lease.duration()));
        let lock = Lock::new(
            KubeLeases::new(leases, &lease),
            lease,
            election.identity,
            Arc::clone(clock),
            Arc::new(jiff::Timestamp::now),
            metrics.clone(),
        );
        let (announcer, announcements) = announcements(metrics.clone());
        let stands = standing.subscribe();
        let elector = Elector::new(
            lock,
            senses,
            config.drain_timeout,
            standing,
            Arc::clone(&pulse),
            metrics,
        );
        let keeper = fence.map(|fence| {
            let last = elector.acknowledged();
            let acknowledged = move || {
                let leads = matches!(*stands.borrow(), Standing::Leading { .. });
                leads.then(|| *last.borrow()).flatten()
            };
            FenceKeeper::new(fence, Box::new(acknowledged), fence_metrics).0
        });
        Ok(Self {
            elector: elector
                .announcing(announcer)
                .ending_stuck_work(controller::STUCK_AFTER),
            pulse,
            announcements,
            listener,
            keeper,
            termination_log,
        })
    }
}

impl Contest {
    /// Starts what goes on beside the election until `stop`, and gives the election itself.
    pub(super) fn accompany(
        self,
        tasks: &mut JoinSet<(Part, Result<(), OperatorError>)>,
        stop: &CancellationToken,
        client: Client,
        lease: LeaseConfig,
        pod: String,
        drain_timeout: Duration,
    ) -> Elector<KubeLeases> {
        if let Some(keeper) = self.keeper {
            let stop = stop.clone();
            tasks.spawn(async move {
                tokio::select! {
                    never = keeper.run() => match never {},
                    () = stop.cancelled() => (Part::Fence, Ok(())),
                }
            });
        }
        if let Some(listener) = self.listener {
            let stop = stop.clone();
            tasks.spawn(async move {
                listener.serve(stop).await;
                (Part::Hint, Ok(()))
            });
        }
        let (of_check, stop_check) = ((client.clone(), lease.clone(), pod.clone()), stop.clone());
        tasks.spawn(async move {
            let (client, lease, pod) = of_check;
            tokio::select! {
                () = grace::check(client, &lease, &pod, drain_timeout) => {}
                () = stop_check.cancelled() => {}
            }
            (Part::GracePeriod, Ok(()))
        });
        let (announcements, stop) = (self.announcements, stop.clone());
        tasks.spawn(async move {
            announcements.publish(client, lease, pod, stop).await;
            (Part::Announcements, Ok(()))
        });
        self.elector
    }
}

/// The fence as this replica meets it; none where there is none to be tested.
fn fence(
    election: &Election,
    mut kube_config: kube::Config,
) -> Result<Option<KubeFence>, OperatorError> {
    let Some(probe) = &election.fence_probe else {
        return Ok(None);
    };
    // An answer is worth something only at once: nothing is tried again here, and nothing shares the connection.
    kube_config.default_retry = false;
    let client = Client::try_from(kube_config).map_err(OperatorError::Client)?;
    let (lease, pod) = (&election.lease, &election.identity.pod_name);
    Ok(Some(KubeFence::new(
        client,
        lease.namespace(),
        lease.name(),
        probe,
        pod,
    )))
}

/// The termination log; none where it can't be written.
fn begin_termination_log(
    path: &std::path::Path,
    nonce: uuid::Uuid,
) -> Result<Option<TerminationLog>, OperatorError> {
    match TerminationLog::begin(path, nonce) {
        Ok(log) => {
            log.add_panics();
            Ok(Some(log))
        }
        // Two processes of one pod would take the Lease from each other, each as the other's next life.
        Err(held @ TerminationLogError::Held { .. }) => Err(held.into()),
        Err(error) => {
            warn!(error = %Chain(&error), "the death of this process can't be proven to a standby");
            Ok(None)
        }
    }
}

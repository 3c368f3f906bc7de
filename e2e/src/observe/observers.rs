//! The tasks that watch the Lease, the pods and the audit log while a run goes on.
//!
//! Each is a task of one set. None of them may end before the run does; the one that does is reported by
//! [`Observers::ended`] and shows in every trial that it should have seen.

mod audit_log;
mod error;
mod follow;
mod pod_log;
mod ticker;

use std::{path::PathBuf, sync::Arc, time::Duration};

use k8s_openapi::api::{coordination::v1::Lease, core::v1::Pod};
use kube::{Api, Client, ResourceExt, api::ListParams};
use tokio::{task::JoinSet, time::timeout};

use crate::{
    deploy::Target,
    observe::{
        canary::Canary,
        observations::{Observations, Seen},
        requests::Requests,
    },
};
use failover_judging::{
    clock::Stamp,
    observed::{
        HolderIdentity, LeaseRecord, LeaseSeen, PodSeen, Presence, RigFault,
        audit::purpose::{LOOK, MARK},
        lease::parse_resource_version,
    },
};
use failover_rig::cluster::{Cluster, ClusterError};

pub use error::ObserverError;

/// How long the audit log may take to show a request that was answered.
const AUDIT_LIMIT: Duration = Duration::from_secs(5);

/// The watching tasks.
#[derive(Debug)]
pub struct Observers {
    tasks: JoinSet<ObserverError>,
    ended: Option<ObserverError>,
}

impl Observers {
    /// Begins to watch.
    pub async fn begin(
        cluster: &Cluster,
        client: &Client,
        target: &Target,
        observations: &Arc<Observations>,
        logs: PathBuf,
    ) -> Result<Self, ClusterError> {
        let mut tasks = JoinSet::new();
        tasks.spawn(ticker::tick(Arc::clone(observations)));
        // What a run without one does not show is said in its report.
        if let Some(log) = cluster.audit_log() {
            // Nothing before this run matters, and the log of a cluster that is shared is long.
            let lines = cluster
                .follow_on_node(&log.node, &["tail", "-n", "0", "-F", &log.path])
                .await?;
            tasks.spawn(audit_log::record(
                lines,
                target.clone(),
                Arc::clone(observations),
            ));
        }
        let leases: Api<Lease> = Api::namespaced(client.clone(), &target.namespace);
        let the_lease = ListParams::default().fields(&format!("metadata.name={}", target.lease));
        tasks.spawn(follow::follow(
            "leases",
            leases,
            the_lease,
            Arc::clone(observations),
            recording_leases(target.holder),
        ));
        let pods: Api<Pod> = Api::namespaced(client.clone(), &target.namespace);
        let replicas = ListParams::default().labels(&target.label_selector());
        let keeping = pod_log::keep(
            pods.clone(),
            target.container.clone(),
            logs,
            Arc::clone(observations),
        );
        tasks.spawn(keeping);
        let container = target.container.clone();
        tasks.spawn(follow::follow(
            "pods",
            pods,
            replicas,
            Arc::clone(observations),
            move |seen, at, pod, deleted| {
                record_pod(seen, pod_seen(at, pod, &container, deleted));
            },
        ));
        Ok(Self { tasks, ended: None })
    }

    /// Adds the canary's task to those that must not end.
    pub fn watch_canary(&mut self, canary: Arc<Canary>) {
        self.tasks.spawn(async move {
            canary.keep_changing().await;
            ObserverError::Canary
        });
    }

    /// The first observer that no longer watches; `None` while all do.
    pub fn ended(&mut self) -> Option<&ObserverError> {
        if self.ended.is_none() {
            let ended = self.tasks.try_join_next();
            self.ended = ended.map(|ended| ended.unwrap_or_else(ObserverError::Task));
        }
        self.ended.as_ref()
    }
}

/// Makes sure that the audit log has been read up to now: a request made now must show in it.
pub async fn catch_up(
    requests: &Requests,
    observations: &Observations,
    path: &str,
) -> Result<(), RigFault> {
    let lost = |detail: String| RigFault::AuditLost { detail };
    let answer = requests
        .get(MARK, path)
        .await
        .map_err(|error| lost(error.to_string()))?;
    let id = answer
        .audit_id
        .ok_or_else(|| lost(format!("no Audit-Id in the answer to GET {path}")))?;
    let shown = observations.wait_for(AUDIT_LIMIT, |seen| {
        seen.calls
            .iter()
            .rev()
            .find(|call| call.audit_id == id)
            .map(|_| ())
    });
    shown.await.ok_or_else(|| {
        lost(format!(
            "GET {path} (Audit-Id {id}) did not show in the audit log within {} s",
            AUDIT_LIMIT.as_secs()
        ))
    })
}

/// Reads the Lease once, beside the watch. A read that fails says nothing; the watch goes on.
pub async fn look_at_lease(requests: &Requests, observations: &Observations, target: &Target) {
    let path = target.lease_path();
    let read = timeout(Duration::from_secs(1), requests.get(LOOK, &path)).await;
    let Ok(Ok(answer)) = read else { return };
    if let Ok(lease) = serde_json::from_value::<Lease>(answer.object)
        && answer.code.is_success()
    {
        let at = observations.now();
        observations.record(|seen| recording_leases(target.holder)(seen, at, &lease, false));
    }
}

fn recording_leases(way: HolderIdentity) -> impl Fn(&mut Seen, Stamp, &Lease, bool) + Send {
    move |seen, at, lease, deleted| {
        let record = LeaseRecord::from(lease);
        seen.add_lease(
            LeaseSeen {
                at,
                record,
                deleted,
            },
            way,
        );
    }
}

fn record_pod(seen: &mut Seen, pod: PodSeen) {
    seen.add_pod(pod);
}

fn pod_seen(at: Stamp, pod: &Pod, container: &str, deleted: bool) -> PodSeen {
    let status = pod.status.clone().unwrap_or_default();
    let conditions = status.conditions.unwrap_or_default();
    let holds = |kind: &str| {
        conditions
            .iter()
            .any(|condition| condition.type_ == kind && condition.status == "True")
    };
    let unschedulable = conditions
        .iter()
        .find(|condition| condition.type_ == "PodScheduled" && condition.status == "False")
        .and_then(|condition| condition.message.clone());
    let own = status
        .container_statuses
        .unwrap_or_default()
        .into_iter()
        .find(|status| status.name == container);
    let state = own
        .as_ref()
        .and_then(|own| own.state.clone())
        .unwrap_or_default();
    let last_state = own
        .as_ref()
        .and_then(|own| own.last_state.clone())
        .unwrap_or_default();
    let last_words = [state.terminated, last_state.terminated]
        .into_iter()
        .flatten()
        .filter_map(|ended| ended.message)
        .flat_map(|message| message.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| !line.is_empty())
        .collect();
    let waiting = state.waiting.map(|waiting| {
        [waiting.reason, waiting.message]
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
            .join(": ")
    });
    PodSeen {
        at,
        name: pod.name_any(),
        uid: pod.uid().unwrap_or_default(),
        resource_version: parse_resource_version(pod.metadata.resource_version.as_deref()),
        node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
        container_id: own.as_ref().and_then(|own| own.container_id.clone()),
        ready: holds("Ready"),
        presence: match (deleted, &pod.metadata.deletion_timestamp) {
            (true, _) => Presence::Gone,
            (false, Some(_)) => Presence::Terminating,
            (false, None) => Presence::Staying,
        },
        restarts: own.map(|own| own.restart_count).unwrap_or_default(),
        running: state.running.is_some(),
        last_words,
        waiting: unschedulable.or(waiting),
    }
}

#[cfg(test)]
mod tests;

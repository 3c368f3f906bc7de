//! What a run acts on: the cluster, the target, and what is seen of them.

pub mod disruption;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::api::{apps::v1::Deployment, core::v1::Pod, policy::v1::PodDisruptionBudget};
use kube::{Api, Client};
use tokio::time::timeout;

use crate::{
    deploy::{Target, rollout::RolloutCommand},
    observe::{Canary, Observations, Pace, Requests, SilentListener},
    undo_log::UndoLog,
};
use failover_judging::{
    observed::{LeaderMetric, PodSeen, Role, RolesSeen, Unobserved, WorkRule, trial::present},
    settings::LeaseSettings,
};
use failover_rig::{cluster::Cluster, progress::Progress};

/// Metrics that do not answer within this are not had.
const METRICS_LIMIT: Duration = Duration::from_secs(2);

/// The cluster, the target and everything that is known of both while a run goes on.
pub struct RunContext<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// A client for what needs no timing.
    pub client: Client,
    /// Timed requests.
    pub requests: Requests,
    /// What is put to the test.
    pub target: Target,
    /// The election settings found in the cluster.
    pub settings: LeaseSettings,
    /// What gives the leader work; `None` where its work is not looked at.
    pub canary: Option<Arc<Canary>>,
    /// How the replicas' metrics tell their roles; `None` where they are not read.
    pub metrics: Option<LeaderMetric>,
    /// Which requests of the replicas are work.
    pub work: WorkRule,
    /// Whether there is an audit log.
    pub audit: bool,
    /// Whether the fence is part of what was deployed.
    pub fence: bool,
    /// What has the Deployment rolled out anew; `None` where the harness does it itself.
    pub rollout: Option<&'a RolloutCommand>,
    /// What the API server asks in vain in a fault that slows it; `None` where none is tried.
    pub listener: Option<SilentListener>,
    /// What faults have to undo.
    pub undo_log: &'a UndoLog,
    /// What is seen.
    pub observations: Arc<Observations>,
    /// Where words go.
    pub progress: &'a dyn Progress,
}

impl std::fmt::Debug for RunContext<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RunContext")
            .field("target", &self.target)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl RunContext<'_> {
    /// The Deployments of the target's namespace.
    pub fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), &self.target.namespace)
    }

    /// The pods of the target's namespace.
    pub fn pods(&self) -> Api<Pod> {
        Api::namespaced(self.client.clone(), &self.target.namespace)
    }

    /// The disruption budgets of the target's namespace.
    pub fn budgets(&self) -> Api<PodDisruptionBudget> {
        Api::namespaced(self.client.clone(), &self.target.namespace)
    }

    /// Sets how often the canary is changed, if there is one.
    pub fn pace(&self, pace: Pace) {
        if let Some(canary) = &self.canary {
            canary.pace(pace);
        }
    }

    /// Has the canary changed at once, if there is one.
    pub fn change_now(&self) {
        if let Some(canary) = &self.canary {
            canary.change_now();
        }
    }

    /// Silences the canary, if there is one; no change of it is under way any more.
    pub async fn pause(&self) {
        if let Some(canary) = &self.canary {
            canary.pause().await;
        }
    }

    /// What this run does not look at.
    pub fn unobserved(&self) -> Vec<Unobserved> {
        let audit = (!self.audit).then_some(Unobserved::Audit);
        // Without an audit log there is no canary either; one reason is enough.
        let work = (self.audit && self.canary.is_none()).then_some(Unobserved::Work);
        let roles = self.metrics.is_none().then_some(Unobserved::Roles);
        audit.into_iter().chain(work).chain(roles).collect()
    }

    /// The replicas that are there, as last seen.
    pub fn replicas(&self) -> BTreeMap<String, PodSeen> {
        self.observations.read(|seen| {
            present(&seen.pods)
                .into_iter()
                .map(|(name, pod)| (name.to_owned(), pod.clone()))
                .collect()
        })
    }

    /// What each replica that is there says of itself.
    pub async fn roles(&self) -> RolesSeen {
        let names: Vec<String> = self.replicas().into_keys().collect();
        let roles = futures::future::join_all(names.iter().map(|name| self.role_of(name))).await;
        RolesSeen {
            at: self.observations.now(),
            roles: names.into_iter().zip(roles).collect(),
        }
    }

    /// Reads a replica's metrics through the API server, so that no way into the pod network is needed.
    async fn role_of(&self, pod: &str) -> Role {
        let Some(metric) = &self.metrics else {
            return Role::Unknown("its metrics are not read".to_owned());
        };
        let path = format!(
            "/api/v1/namespaces/{}/pods/{pod}:{}/proxy{}",
            self.target.namespace, metric.port, metric.path
        );
        let request = match http::Request::get(&path).body(Vec::new()) {
            Ok(request) => request,
            Err(error) => return Role::Unknown(error.to_string()),
        };
        match timeout(METRICS_LIMIT, self.client.request_text(request)).await {
            Ok(Ok(text)) => metric.role(&text),
            Ok(Err(error)) => Role::Unknown(error.to_string()),
            Err(_) => Role::Unknown(format!("no answer within {} s", METRICS_LIMIT.as_secs())),
        }
    }
}

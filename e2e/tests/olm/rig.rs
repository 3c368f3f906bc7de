//! The cluster, and how it is looked at.

use std::time::Duration;

use failover_rig::{cluster::Cluster, console::Console, progress::Progress as _};
use k8s_openapi::api::{
    apps::v1::Deployment,
    coordination::v1::Lease,
    core::v1::{Event, Pod},
    policy::v1::PodDisruptionBudget,
};
use kube::{
    Api, Client,
    api::{DynamicObject, ListParams, Patch, PatchParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::lifecycle_manager;

/// The namespace of the operator; not the one that the documents name, for nothing may depend on that.
pub(crate) const NAMESPACE: &str = "scheduling";
pub(crate) const DEPLOYMENT: &str = "5spot-controller";
pub(crate) const LEASE: &str = "5spot-leader";
pub(crate) const REPLICAS: i32 = 2;

/// Where a server has its kubeconfig.
pub(crate) const KUBECONFIG: &str = "/etc/rancher/k3s/k3s.yaml";

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_millis(100);

/// The cluster, with a client and somebody to tell.
pub(crate) struct Rig<'a> {
    pub(crate) cluster: &'static Cluster,
    pub(crate) client: Client,
    pub(crate) server: String,
    pub(crate) console: &'a Console,
}

impl<'a> Rig<'a> {
    pub(crate) async fn new(cluster: &'static Cluster, console: &'a Console) -> Self {
        Self {
            cluster,
            client: cluster.client().await.unwrap(),
            server: cluster.server_container_name().unwrap().to_owned(),
            console,
        }
    }

    pub(crate) fn step(&self, text: &str) {
        self.console.step(text);
    }

    /// The objects of a kind in a namespace.
    pub(crate) fn api(
        &self,
        namespace: &str,
        group: &str,
        version: &str,
        kind: &str,
    ) -> Api<DynamicObject> {
        let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
        Api::namespaced_with(self.client.clone(), namespace, &resource)
    }

    /// OLM's objects of a kind in the operator's namespace.
    pub(crate) fn olm(&self, kind: &str) -> Api<DynamicObject> {
        self.api(NAMESPACE, "operators.coreos.com", "v1alpha1", kind)
    }

    pub(crate) fn deployments(&self) -> Api<Deployment> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    pub(crate) async fn deployment(&self) -> Deployment {
        self.deployments().get(DEPLOYMENT).await.unwrap()
    }

    /// The pods of the Deployment that are to stay.
    pub(crate) async fn pods(&self) -> Vec<Pod> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), NAMESPACE);
        let of_it = ListParams::default().labels(&format!("app={DEPLOYMENT}"));
        let mut pods = pods.list(&of_it).await.unwrap().items;
        pods.retain(|pod| pod.metadata.deletion_timestamp.is_none());
        pods
    }

    /// The Lease; the operator makes it when it first contends.
    pub(crate) async fn lease(&self) -> Option<Lease> {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), NAMESPACE);
        leases.get_opt(LEASE).await.unwrap()
    }

    pub(crate) async fn budgets(&self) -> Vec<PodDisruptionBudget> {
        let budgets: Api<PodDisruptionBudget> = Api::namespaced(self.client.clone(), NAMESPACE);
        budgets.list(&ListParams::default()).await.unwrap().items
    }

    pub(crate) async fn patch(&self, api: &Api<DynamicObject>, name: &str, change: Value) {
        let patch = Patch::Merge(change);
        api.patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    /// What a shell on the server says; kubectl is there.
    pub(crate) async fn shell(&self, script: &str) -> String {
        let script = format!("export KUBECONFIG={KUBECONFIG}\n{script}");
        let command = ["sh", "-ec", script.as_str()];
        let node = self.cluster.nodes();
        let node = node
            .iter()
            .find(|node| !self.cluster.agents().iter().any(|agent| agent == *node));
        let output = self.cluster.on_node(node.unwrap(), &command).await.unwrap();
        let output = output.success("server", &command);
        output.unwrap_or_else(|error| panic!("{error}")).stdout
    }

    /// Looks until there is something to see; what that is stands in the failure if there never is.
    pub(crate) async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Option<T>) -> T {
        self.step(what);
        let deadline = Instant::now() + LIMIT;
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            if Instant::now() > deadline {
                let state = self.state().await;
                panic!("{what}: not within {} s\n{state}", LIMIT.as_secs());
            }
            sleep(PAUSE).await;
        }
    }

    /// Waits until all replicas of the Deployment are of one revision and Ready.
    pub(crate) async fn until_rolled_out(&self, api: &Api<Deployment>, name: &str) {
        self.until(&format!("waiting for the rollout of {name}"), async || {
            let deployment = api.get_opt(name).await.ok()??;
            let (wanted, status) = (deployment.spec?.replicas, deployment.status?);
            let counts = [
                status.replicas,
                status.updated_replicas,
                status.ready_replicas,
                status.available_replicas,
            ];
            let observed = status.observed_generation >= deployment.metadata.generation;
            (observed && counts.iter().all(|count| *count == wanted)).then_some(())
        })
        .await;
    }

    /// Everything that says why something does not go on.
    async fn state(&self) -> String {
        let olm =
            "subscriptions.operators.coreos.com,installplans,clusterserviceversions,catalogsources";
        let script = format!(
            "kubectl get pods -A -o wide; kubectl get {olm} -A || true; kubectl -n {NAMESPACE} get {olm} -o yaml || true; \
             kubectl get events -A --sort-by=.lastTimestamp | tail -n 40; kubectl -n olm logs deployment/catalog-operator --tail=15 || \
             true; kubectl -n olm logs deployment/olm-operator --tail=15 || true"
        );
        self.shell(&script).await
    }

    /// That every image was there from the start.
    pub(crate) async fn nothing_was_pulled(&self) {
        // A cluster may well pull what is its own.
        let mut events = Vec::new();
        for namespace in [NAMESPACE, lifecycle_manager::NAMESPACE] {
            let of_one: Api<Event> = Api::namespaced(self.client.clone(), namespace);
            events.extend(of_one.list(&ListParams::default()).await.unwrap());
        }
        let is_of_a_pull = |event: &&Event| {
            let reason = event.reason.as_deref().unwrap_or_default();
            matches!(
                reason,
                "Pulling" | "ErrImagePull" | "ErrImageNeverPull" | "BackOff"
            ) && event
                .message
                .as_deref()
                .unwrap_or_default()
                .to_lowercase()
                .contains("image")
        };
        let pulls: Vec<_> = events
            .iter()
            .filter(is_of_a_pull)
            .map(|event| &event.message)
            .collect();
        assert!(pulls.is_empty(), "{pulls:?}");
        let present = |event: &Event| event.reason.as_deref() == Some("Pulled");
        assert!(events.iter().any(present), "no events of images at all");
    }
}

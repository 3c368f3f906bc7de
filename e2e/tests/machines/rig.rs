//! The one cluster of these tests: Cluster API and the operator on its server, and one more node as the host of machines.

use std::{
    collections::BTreeSet,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use failover_rig::{
    cluster::{Cluster, ClusterOptions, OPERATOR_IMAGE, Signal},
    console::Console,
    progress::chain,
};
use five_spot::api::ScheduledMachine;
use five_spot_e2e::deploy::{self, Applied, Manifests};
use k8s_openapi::api::{
    apps::v1::Deployment,
    coordination::v1::Lease,
    core::v1::{Node, Pod},
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, LogParams, Patch, PatchParams, PostParams},
    core::ApiResource,
};
use serde_json::{Value, json};
use tokio::{
    runtime::Runtime,
    task::JoinSet,
    time::{Instant, sleep},
};

use crate::provider::{Provider, machines, remote_machines};

/// The image that `just cluster-api-image` builds, and its manifests.
pub(crate) const CLUSTER_API_IMAGE: &str = "five-spot/cluster-api:v1.11.0";
const CLUSTER_API: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../target/cluster-api/components.yaml"
);
/// The objects of the control plane's machine.
pub(crate) const SERVER: &str = "server";
const PROVIDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/machines/provider.yaml");
pub(crate) const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../deploy");

/// The sample that the tests begin with, and its name.
pub(crate) const FIRST_WINDOW: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../deploy/samples/first-window.yaml"
);
pub(crate) const NAME: &str = "first-window";

pub(crate) const NAMESPACE: &str = "default";
const OPERATOR_NAMESPACE: &str = "5spot-system";

/// What keeps an object from going for a test.
const HOLD: &str = "e2e.5spot.finos.org/hold";

/// How long anything may take; a host needs some ten seconds to be a Node that is ready.
const LIMIT: Duration = Duration::from_secs(180);
const PACE: Duration = Duration::from_millis(100);

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static RIG: OnceLock<Result<Rig, String>> = OnceLock::new();
static TURN: Mutex<()> = Mutex::new(());

/// The cluster with all that runs in it.
pub(crate) struct Rig {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) client: Client,
    pub(crate) server: String,
    /// The node that machines become.
    pub(crate) host: String,
    /// Ends with the process.
    provider: JoinSet<()>,
}

/// Runs a test on the rig, when it is its turn.
pub(crate) fn on_rig(test: impl AsyncFnOnce(&Rig)) {
    let _turn: MutexGuard<'_, ()> = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = RUNTIME.get_or_init(|| Runtime::new().unwrap());
    let rig = RIG.get_or_init(|| runtime.block_on(Rig::start()));
    let rig = rig.as_ref().unwrap_or_else(|why| panic!("{why}"));
    runtime.block_on(rig.clear());
    let tested = catch_unwind(AssertUnwindSafe(|| runtime.block_on(test(rig))));
    if let Err(why) = tested {
        runtime.block_on(rig.tell());
        resume_unwind(why);
    }
    runtime.block_on(rig.nothing_was_refused());
}

impl Rig {
    async fn start() -> Result<Self, String> {
        let console = Console::start();
        let options = ClusterOptions {
            guardian: PathBuf::from(env!("CARGO_BIN_EXE_failover")),
            images: vec![OPERATOR_IMAGE.to_owned(), CLUSTER_API_IMAGE.to_owned()],
            agents: 1,
            ..ClusterOptions::default()
        };
        let cluster = Cluster::start(&options, &console).await;
        let cluster = Arc::new(cluster.map_err(|error| chain(&error))?);
        let client = cluster.client().await.map_err(|error| chain(&error))?;
        let server = cluster.server_container_name().unwrap().to_owned();
        let host = cluster.agents()[0].clone();
        let provider = Provider {
            cluster: Arc::clone(&cluster),
            client: client.clone(),
            server: server.clone(),
            host: host.clone(),
        };
        // The host is off until there is a machine, so everything else is to run on the server.
        cluster
            .kill_node(&host)
            .await
            .map_err(|error| chain(&error))?;
        provider.forget_node(&host).await?;
        let everything = json!({"spec": {"taints": null}});
        Api::<Node>::all(client.clone())
            .patch(&server, &PatchParams::default(), &Patch::Merge(&everything))
            .await
            .map_err(|error| chain(&error))?;
        let mut rig = Self {
            cluster,
            client,
            server,
            host,
            provider: JoinSet::new(),
        };
        rig.apply(&[CLUSTER_API, PROVIDER, DEPLOY]).await?;
        rig.provider.spawn(async { match provider.run().await {} });
        rig.await_deployments().await;
        rig.make_cluster().await?;
        Ok(rig)
    }

    /// Takes away what a test that failed may have left.
    async fn clear(&self) {
        crate::work::clear(self).await;
        for left in self.scheduled().list(&ListParams::default()).await.unwrap() {
            let name = left.name_any();
            self.patch(&name, json!({"killSwitch": true})).await;
            self.remove(&name).await;
        }
        let hosts = self.api(&remote_machines());
        for left in hosts.list(&ListParams::default()).await.unwrap() {
            if left.name_any() != SERVER {
                self.delete(&remote_machines(), &left.name_any()).await;
            }
        }
    }

    /// What the operator and Cluster API logged, for whoever has to find out why a test failed.
    async fn tell(&self) {
        for namespace in [
            OPERATOR_NAMESPACE,
            "capi-system",
            "capi-kubeadm-bootstrap-system",
        ] {
            let pods: Api<Pod> = Api::namespaced(self.client.clone(), namespace);
            for pod in pods.list(&ListParams::default()).await.unwrap() {
                for previous in [true, false] {
                    let parameters = LogParams {
                        previous,
                        tail_lines: Some(100),
                        ..LogParams::default()
                    };
                    let log = pods.logs(&pod.name_any(), &parameters).await;
                    eprintln!(
                        "--- {namespace}/{} (previous: {previous})\n{}",
                        pod.name_any(),
                        log.unwrap_or_default()
                    );
                }
            }
        }
    }

    pub(crate) async fn apply(&self, files: &[&str]) -> Result<(), String> {
        let paths: Vec<_> = files
            .iter()
            .map(|file| Path::new(file).to_owned())
            .collect();
        let manifests = Manifests::read(&paths).map_err(|error| {
            format!(
                "{} (`just cluster-api-image` makes Cluster API's)",
                chain(&error)
            )
        })?;
        let mut applied = Applied::default();
        deploy::apply(&self.client, &manifests, NAMESPACE, &mut applied)
            .await
            .map_err(|error| chain(&error))
    }

    async fn await_deployments(&self) {
        let deployments: Api<Deployment> = Api::all(self.client.clone());
        until("every Deployment is available", async || {
            let list = deployments.list(&ListParams::default()).await.unwrap();
            list.iter().all(|deployment| {
                let wanted = deployment.spec.as_ref().and_then(|spec| spec.replicas);
                let status = deployment.status.as_ref();
                status.and_then(|status| status.ready_replicas) == wanted
            })
        })
        .await;
    }

    /// An object in the namespace of the machines.
    pub(crate) async fn get(&self, resource: &ApiResource, name: &str) -> Option<DynamicObject> {
        self.api(resource).get_opt(name).await.unwrap()
    }

    pub(crate) async fn create(&self, resource: &ApiResource, object: Value) -> DynamicObject {
        let object = serde_json::from_value(object).unwrap();
        let api = self.api(resource);
        api.create(&PostParams::default(), &object).await.unwrap()
    }

    /// Deletes an object, and waits until it is gone.
    pub(crate) async fn delete(&self, resource: &ApiResource, name: &str) {
        self.api(resource)
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
        until("it is gone", async || {
            self.get(resource, name).await.is_none()
        })
        .await;
    }

    /// Keeps an object from going, or lets it go.
    pub(crate) async fn hold(&self, resource: &ApiResource, name: &str, held: bool) {
        let object = self.get(resource, name).await.unwrap();
        let mut finalizers = object.finalizers().to_vec();
        finalizers.retain(|finalizer| finalizer != HOLD);
        if held {
            finalizers.push(HOLD.to_owned());
        }
        let change = json!({"metadata": {
            "finalizers": finalizers, "resourceVersion": object.resource_version(),
        }});
        let patch = Patch::Merge(&change);
        self.api(resource)
            .patch(name, &PatchParams::default(), &patch)
            .await
            .unwrap();
    }

    fn api(&self, resource: &ApiResource) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), NAMESPACE, resource)
    }

    pub(crate) async fn machine(&self) -> Option<DynamicObject> {
        self.get(&machines(), NAME).await
    }

    /// Whether the host takes no new pods.
    pub(crate) async fn is_cordoned(&self) -> bool {
        let node = self.node().await;
        node.and_then(|node| node.spec?.unschedulable) == Some(true)
    }

    /// Deletes a `ScheduledMachine`, and waits until it is gone.
    pub(crate) async fn remove(&self, name: &str) {
        self.scheduled()
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
        let deadline = Instant::now() + LIMIT;
        while let Some(left) = self.scheduled().get_opt(name).await.unwrap() {
            assert!(
                Instant::now() < deadline,
                "{name} does not go: {:#}",
                json!(left)
            );
            sleep(PACE).await;
        }
    }

    pub(crate) fn scheduled(&self) -> Api<ScheduledMachine> {
        Api::namespaced(self.client.clone(), NAMESPACE)
    }

    /// The status of a `ScheduledMachine` as JSON; null where there is none.
    pub(crate) async fn status(&self, name: &str) -> Value {
        let object = self.scheduled().get_opt(name).await.unwrap();
        json!(object.and_then(|object| object.status))
    }

    /// Changes the spec of a `ScheduledMachine`, as `kubectl patch --type merge` does.
    pub(crate) async fn patch(&self, name: &str, spec: Value) {
        let change = json!({"spec": spec});
        self.scheduled()
            .patch(name, &PatchParams::default(), &Patch::Merge(&change))
            .await
            .unwrap();
    }

    /// The Node that the host is, if it is one.
    pub(crate) async fn node(&self) -> Option<Node> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        nodes.get_opt(&self.host).await.unwrap()
    }

    /// Waits until the status of a `ScheduledMachine` is as it should be; says what it was when it never is.
    pub(crate) async fn until_status(
        &self,
        name: &str,
        what: &str,
        holds: impl Fn(&Value) -> bool,
    ) {
        let deadline = Instant::now() + LIMIT;
        loop {
            let status = self.status(name).await;
            if holds(&status) {
                return;
            }
            assert!(
                Instant::now() < deadline,
                "{name}: waited in vain until {what}: {status:#}"
            );
            sleep(PACE).await;
        }
    }

    pub(crate) async fn leader(&self) -> Pod {
        let leases: Api<Lease> = Api::namespaced(self.client.clone(), OPERATOR_NAMESPACE);
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), OPERATOR_NAMESPACE);
        let deadline = Instant::now() + LIMIT;
        loop {
            let lease = leases.get("5spot-leader").await.unwrap();
            let holder = lease.spec.and_then(|spec| spec.holder_identity);
            if let Some(holder) = holder.filter(|holder| !holder.is_empty())
                && let Some(pod) = pods.get_opt(&holder).await.unwrap()
            {
                return pod;
            }
            assert!(Instant::now() < deadline, "nobody leads");
            sleep(PACE).await;
        }
    }

    /// Kills the leader's process, as the fault `crash` of the harness does.
    pub(crate) async fn kill_leader(&self) {
        let pod = self.leader().await;
        let container = pod
            .status
            .as_ref()
            .and_then(|status| {
                status
                    .container_statuses
                    .as_ref()?
                    .first()?
                    .container_id
                    .clone()
            })
            .unwrap();
        let pid = self.cluster.container_pid(&self.server, &container).await;
        let pid = pid.unwrap().unwrap();
        let aimed = self.cluster.aim(&self.server, Signal::Kill, &[pid]).await;
        aimed.unwrap().fire().await.unwrap();
        eprintln!("killed the leader {}", pod.name_any());
    }

    /// What kubectl writes on the server.
    pub(crate) async fn kubectl(&self, words: &[&str]) -> String {
        let command = [&["kubectl"], words].concat();
        let output = self.cluster.on_node(&self.server, &command).await.unwrap();
        assert_eq!(output.status, 0, "{words:?}: {}", output.stderr);
        output.stdout
    }

    /// What the API server was asked by the operator.
    pub(crate) async fn requests(&self) -> Vec<Value> {
        let audit = self.cluster.audit_log().unwrap();
        let who = "\"username\":\"system:serviceaccount:5spot-system:5spot-controller\"";
        let command = ["grep", "-F", who, &audit.path];
        let output = self.cluster.on_node(&audit.node, &command).await.unwrap();
        let lines = output.stdout.lines();
        lines
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// The rights of the operator are enough, and the fence never stood in the way of a leader. That the fence is in force
    /// is seen by its own tests on a ConfigMap, which have to be refused.
    async fn nothing_was_refused(&self) {
        let mut tests = 0;
        let mut refused = BTreeSet::new();
        for request in self.requests().await {
            let code = request["responseStatus"]["code"]
                .as_u64()
                .unwrap_or_default();
            if code != 403 && code != 422 {
                continue;
            }
            if request["objectRef"]["resource"] == "configmaps" {
                tests += 1;
            } else {
                let what = format!(
                    "{} {}: {}",
                    request["verb"], request["requestURI"], request["responseStatus"]
                );
                refused.insert(what);
            }
        }
        assert!(refused.is_empty(), "{refused:#?}");
        assert!(tests > 0, "the fence was never tested by the operator");
    }
}

pub(crate) async fn until(what: &str, holds: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + LIMIT;
    while !holds().await {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        sleep(PACE).await;
    }
}

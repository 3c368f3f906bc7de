//! The provider of the tests' machines: what k0smotron does for its users, for one host that is a container.
//!
//! It keeps Cluster API's contract for bootstrap and infrastructure objects, and a machine of it is a real one: the host
//! is switched on when its `RemoteMachine` is created and Cluster API has its bootstrap data, registers as a Node, and is
//! switched off when the object goes. The object has the Node's own identifier, which the cluster gave it where there is
//! a cloud's controller, as in k3s, and the provider else: it can't be changed afterwards.

use std::{convert::Infallible, sync::Arc, time::Duration};

use failover_rig::{cluster::Cluster, progress::chain};
use k8s_openapi::api::core::v1::{Node, Secret};
use kube::{
    Api, Client, Resource, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use serde_json::{Value, json};
use tokio::time::sleep;

/// The address of the machine that the control plane is on; any other is that of the one host that can be had.
pub(crate) const SERVER_ADDRESS: &str = "192.0.2.1";

/// Keeps a `RemoteMachine` whose host is on until it is off.
const FINALIZER: &str = "remotemachine.e2e.5spot.finos.org";

/// How often all objects are looked at.
const PACE: Duration = Duration::from_millis(100);

pub(crate) struct Provider {
    pub(crate) cluster: Arc<Cluster>,
    pub(crate) client: Client,
    pub(crate) server: String,
    pub(crate) host: String,
}

pub(crate) fn resource(group: &str, version: &str, kind: &str) -> ApiResource {
    ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind))
}

pub(crate) fn bootstraps() -> ApiResource {
    resource("bootstrap.cluster.x-k8s.io", "v1beta1", "K0sWorkerConfig")
}

/// Cluster API's own bootstrap provider does these.
pub(crate) fn kubeadm() -> ApiResource {
    resource("bootstrap.cluster.x-k8s.io", "v1beta2", "KubeadmConfig")
}

pub(crate) fn remote_clusters() -> ApiResource {
    resource(
        "infrastructure.cluster.x-k8s.io",
        "v1beta1",
        "RemoteCluster",
    )
}

pub(crate) fn remote_machines() -> ApiResource {
    resource(
        "infrastructure.cluster.x-k8s.io",
        "v1beta1",
        "RemoteMachine",
    )
}

pub(crate) fn machines() -> ApiResource {
    resource("cluster.x-k8s.io", "v1beta2", "Machine")
}

impl Provider {
    /// Provides for ever. What fails is tried again in the next round.
    pub(crate) async fn run(self) -> Infallible {
        loop {
            for round in [
                self.found().await,
                self.bootstrap().await,
                self.provide().await,
            ] {
                if let Err(error) = round {
                    eprintln!("provider: {error}");
                }
            }
            sleep(PACE).await;
        }
    }

    /// There is nothing to be done for a cluster of hosts.
    async fn found(&self) -> Result<(), String> {
        for cluster in self.all(&remote_clusters()).await? {
            if cluster.data["status"]["ready"] != true {
                let ready = json!({"status": {"ready": true}});
                self.patch_status(&remote_clusters(), &cluster, &ready)
                    .await?;
            }
        }
        Ok(())
    }

    /// Writes the bootstrap data of every machine that has none.
    async fn bootstrap(&self) -> Result<(), String> {
        for config in self.all(&bootstraps()).await? {
            let is_done = config.data["status"]["ready"] == true;
            if is_done || config.metadata.deletion_timestamp.is_some() || owner(&config).is_none() {
                continue;
            }
            let name = format!("{}-bootstrap", config.name_any());
            let secrets: Api<Secret> = Api::namespaced(self.client.clone(), &namespace(&config));
            let secret = json!({
                "metadata": {
                    "name": name,
                    "labels": config.labels(),
                    "ownerReferences": [config.owner_ref(&bootstraps())],
                },
                "type": "cluster.x-k8s.io/secret",
                "stringData": {"value": "#!/bin/sh\n# The host knows its cluster already.\n"},
            });
            let secret: Secret = serde_json::from_value(secret).map_err(|error| chain(&error))?;
            match secrets.create(&PostParams::default(), &secret).await {
                Ok(_) => {}
                Err(kube::Error::Api(status)) if status.code == 409 => {}
                Err(error) => return Err(chain(&error)),
            }
            let status = json!({"status": {"ready": true, "dataSecretName": name}});
            self.patch_status(&bootstraps(), &config, &status).await?;
        }
        Ok(())
    }

    /// Brings every host to where its object wants it.
    async fn provide(&self) -> Result<(), String> {
        let all = self.all(&remote_machines()).await?;
        for machine in &all {
            let is_server = machine.data["spec"]["address"] == SERVER_ADDRESS;
            let host = if is_server { &self.server } else { &self.host };
            if machine.metadata.deletion_timestamp.is_some() {
                self.switch_off(machine, host).await?;
            } else if is_on(machine) {
                self.identify(machine, host).await?;
            } else {
                let is_taken = all.iter().any(|other| {
                    let address = &other.data["spec"]["address"];
                    is_on(other) && (*address == SERVER_ADDRESS) == is_server
                });
                if !is_taken && self.is_bootstrapped(machine).await? {
                    self.switch_on(machine, host, is_server).await?;
                }
            }
        }
        Ok(())
    }

    async fn switch_on(
        &self,
        machine: &DynamicObject,
        host: &str,
        is_server: bool,
    ) -> Result<(), String> {
        if !is_server {
            // As a host that was set up anew: it registers as a Node of its own.
            self.forget_node(host).await?;
        }
        // First, so that an object that is deleted meanwhile waits for its host to be switched off.
        let change = json!({"metadata": {"finalizers": [FINALIZER]}});
        self.patch(machine, &change).await?;
        if is_server {
            return Ok(());
        }
        let started = self.cluster.restart_node(host).await;
        if started.is_err() {
            let change = json!({"metadata": {"finalizers": []}});
            self.patch(machine, &change).await?;
        }
        started.map_err(|error| chain(&error))
    }

    /// Gives the Node an identifier where it has none, and has the object say which the Node has.
    async fn identify(&self, machine: &DynamicObject, host: &str) -> Result<(), String> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        let node = nodes.get_opt(host).await.map_err(|error| chain(&error))?;
        let Some(node) = node else { return Ok(()) };
        let Some(id) = node.spec.and_then(|spec| spec.provider_id) else {
            // Where the cluster is quicker this is refused, and the next round takes over what it gave.
            let id = format!("remote://{}", machine.uid().unwrap_or_default());
            let change = json!({"spec": {"providerID": id}});
            return nodes
                .patch(host, &PatchParams::default(), &Patch::Merge(&change))
                .await
                .map(drop)
                .map_err(|error| chain(&error));
        };
        if machine.data["status"]["ready"] == true {
            return Ok(());
        }
        let change = json!({"spec": {"providerID": id}});
        self.patch(machine, &change).await?;
        let ready = json!({"status": {"ready": true}});
        self.patch_status(&remote_machines(), machine, &ready).await
    }

    async fn switch_off(&self, machine: &DynamicObject, host: &str) -> Result<(), String> {
        if !is_on(machine) {
            return Ok(());
        }
        if host == self.host {
            let ended = self.cluster.kill_node(host).await;
            ended.map_err(|error| chain(&error))?;
            if !machine.data["spec"]["providerID"].is_string() {
                // Cluster API never knew the Node, and so can't remove it.
                self.forget_node(host).await?;
            }
        }
        let kept: Vec<_> = machine
            .finalizers()
            .iter()
            .filter(|known| *known != FINALIZER)
            .collect();
        let change = json!({"metadata": {
            "finalizers": kept, "resourceVersion": machine.resource_version(),
        }});
        self.patch(machine, &change).await
    }

    /// Removes the Node of a host that is off.
    pub(crate) async fn forget_node(&self, host: &str) -> Result<(), String> {
        let nodes: Api<Node> = Api::all(self.client.clone());
        match nodes.delete(host, &DeleteParams::default()).await {
            Ok(_) => Ok(()),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            Err(error) => Err(chain(&error)),
        }
    }

    /// Whether the Machine of this object has its bootstrap data, without which no host is of use.
    async fn is_bootstrapped(&self, machine: &DynamicObject) -> Result<bool, String> {
        let Some(owner) = owner(machine) else {
            return Ok(false);
        };
        let owners = self.api(&machines(), machine);
        let owner = owners
            .get_opt(&owner)
            .await
            .map_err(|error| chain(&error))?;
        Ok(
            owner
                .is_some_and(|owner| owner.data["spec"]["bootstrap"]["dataSecretName"].is_string()),
        )
    }

    async fn all(&self, resource: &ApiResource) -> Result<Vec<DynamicObject>, String> {
        let all: Api<DynamicObject> = Api::all_with(self.client.clone(), resource);
        let list = all.list(&ListParams::default()).await;
        list.map(|list| list.items)
            .map_err(|error| format!("list {}: {}", resource.plural, chain(&error)))
    }

    async fn patch(&self, machine: &DynamicObject, change: &Value) -> Result<(), String> {
        let hosts = self.api(&remote_machines(), machine);
        let patch = Patch::Merge(change);
        hosts
            .patch(&machine.name_any(), &PatchParams::default(), &patch)
            .await
            .map(drop)
            .map_err(|error| chain(&error))
    }

    async fn patch_status(
        &self,
        resource: &ApiResource,
        object: &DynamicObject,
        status: &Value,
    ) -> Result<(), String> {
        let api = self.api(resource, object);
        let patch = Patch::Merge(status);
        api.patch_status(&object.name_any(), &PatchParams::default(), &patch)
            .await
            .map(drop)
            .map_err(|error| chain(&error))
    }

    fn api(&self, resource: &ApiResource, beside: &DynamicObject) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &namespace(beside), resource)
    }
}

/// Whether the host of a `RemoteMachine` is on.
fn is_on(machine: &DynamicObject) -> bool {
    machine.finalizers().iter().any(|known| known == FINALIZER)
}

fn namespace(object: &DynamicObject) -> String {
    object.namespace().unwrap_or_default()
}

/// The Machine that Cluster API made the owner of an object.
fn owner(object: &DynamicObject) -> Option<String> {
    let owners = object.owner_references().iter();
    let mut machines = owners.filter(|owner| owner.kind == "Machine");
    machines.next().map(|owner| owner.name.clone())
}

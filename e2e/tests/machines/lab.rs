//! The Cluster of Cluster API that the tests' machines belong to: the very cluster that they run in.

use base64::{Engine, engine::general_purpose::STANDARD};
use failover_rig::progress::chain;
use five_spot_e2e::deploy::{self, Applied, Manifests};
use serde_json::{Value, json};

use crate::{
    provider::{SERVER_ADDRESS, machines},
    rig::{NAMESPACE, Rig, SERVER, until},
};

/// Where the server keeps its certificates.
const AUTHORITY: &str = "/var/lib/rancher/k3s/server/tls";

impl Rig {
    /// The Cluster of Cluster API that the cluster itself is, with a Machine for its control plane.
    pub(crate) async fn make_cluster(&self) -> Result<(), String> {
        let mut kubeconfig = self.cluster.kubeconfig().clone();
        let mut authority = String::new();
        for cluster in &mut kubeconfig.clusters {
            if let Some(cluster) = &mut cluster.cluster {
                cluster.server = Some("https://kubernetes.default.svc".to_owned());
                cluster.tls_server_name = None;
                authority = cluster
                    .certificate_authority_data
                    .clone()
                    .unwrap_or_default();
            }
        }
        let kubeconfig = serde_json::to_string(&kubeconfig).map_err(|error| chain(&error))?;
        let authority = STANDARD.decode(authority).map_err(|error| chain(&error))?;
        let secret = |name: &str, data: Value| {
            json!({
                "apiVersion": "v1", "kind": "Secret", "type": "cluster.x-k8s.io/secret",
                "metadata": {"name": name, "labels": {"cluster.x-k8s.io/cluster-name": "lab"}},
                "stringData": data,
            })
        };
        let objects = [
            secret("lab-kubeconfig", json!({"value": kubeconfig})),
            secret(
                "lab-ca",
                json!({"tls.crt": String::from_utf8_lossy(&authority), "tls.key": self.authority_key().await?}),
            ),
            secret("server-bootstrap", json!({"value": "#!/bin/sh\n"})),
            json!({
                "apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Cluster", "metadata": {"name": "lab"},
                "spec": {
                    "controlPlaneEndpoint": {"host": "kubernetes.default.svc", "port": 443},
                    "infrastructureRef": {
                        "apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "RemoteCluster", "name": "lab",
                    },
                },
            }),
            json!({
                "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1", "kind": "RemoteCluster",
                "metadata": {"name": "lab", "labels": {"cluster.x-k8s.io/cluster-name": "lab"}},
            }),
            json!({
                "apiVersion": "infrastructure.cluster.x-k8s.io/v1beta1", "kind": "RemoteMachine",
                "metadata": {"name": SERVER, "labels": {"cluster.x-k8s.io/cluster-name": "lab"}},
                "spec": {"address": SERVER_ADDRESS},
            }),
            json!({
                "apiVersion": "cluster.x-k8s.io/v1beta2", "kind": "Machine",
                "metadata": {"name": SERVER, "labels": {
                    "cluster.x-k8s.io/cluster-name": "lab", "cluster.x-k8s.io/control-plane": "",
                }},
                "spec": {
                    "clusterName": "lab",
                    "bootstrap": {"dataSecretName": "server-bootstrap"},
                    "infrastructureRef": {
                        "apiGroup": "infrastructure.cluster.x-k8s.io", "kind": "RemoteMachine", "name": SERVER,
                    },
                },
            }),
        ];
        let objects = objects
            .into_iter()
            .map(|object| serde_json::from_value(object).unwrap())
            .collect();
        let mut applied = Applied::default();
        deploy::apply(
            &self.client,
            &Manifests { objects },
            NAMESPACE,
            &mut applied,
        )
        .await
        .map_err(|error| chain(&error))?;
        until("the control plane's Machine runs", async || {
            let machine = self.get(&machines(), SERVER).await;
            machine.is_some_and(|machine| machine.data["status"]["phase"] == "Running")
        })
        .await;
        Ok(())
    }

    /// The key of the cluster's authority, without which kubeadm's provider takes the certificate for incomplete. The node
    /// image and k3s keep it under names of their own.
    async fn authority_key(&self) -> Result<String, String> {
        let look = format!(
            "cd {AUTHORITY} && if test -e ca.key; then cat ca.key; else cat server-ca.key; fi"
        );
        let command = ["sh", "-c", &look];
        let output = self.cluster.on_node(&self.server, &command).await;
        output
            .and_then(|output| output.success(&self.server, &command))
            .map(|output| output.stdout)
            .map_err(|error| chain(&error))
    }
}

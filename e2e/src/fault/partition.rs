//! `partition`: the leader's pod is cut off from the API server, and reached again.
//!
//! Proves that a leader that can't renew gives up before others take over, and what no leader can see to: a write that
//! was on its way when the connection broke is repeated by the kernel and may arrive long after the Lease has changed
//! hands. The packets are dropped in silence by the pod's own firewall, in both directions; everything else, such as
//! probes and other pods, is left alone.

use std::time::Duration;

use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Service;
use kube::Api;
use serde_json::Value;

use super::{Fault, FaultError, Hold, Need, process};
use crate::{
    budget::{FaultKind, LeaseSettings},
    repairs::{Due, Repair},
    scene::Scene,
    trial::{PodSeen, Strike},
};

/// How much longer than the lease it lasts.
const BEYOND_LEASE: Duration = Duration::from_secs(1);

/// Names a container's sandbox in what the runtime tells of it.
const SANDBOX: &str = "io.kubernetes.cri.sandbox-id";

/// Cuts the leader's pod off from the API server.
#[derive(Clone, Copy, Debug)]
pub(super) struct Partition;

impl Fault for Partition {
    fn kind(&self) -> FaultKind {
        FaultKind::Partition
    }

    fn about(&self) -> &'static str {
        "drops all packets between the leader's pod and the API server for longer than the lease"
    }

    fn proves(&self) -> &'static str {
        "a leader that can't renew gives up in time, and a write of it that arrives late is refused"
    }

    fn needs(&self) -> Option<Need> {
        Some(Need::Node)
    }

    fn strike<'a>(
        &'a self,
        scene: &'a Scene<'_>,
        leader: &'a PodSeen,
    ) -> BoxFuture<'a, Result<Strike, FaultError>> {
        Box::pin(async move {
            let api = api_address(scene).await?;
            let (node, container) = process::place(leader)?;
            let sandbox = sandbox_pid(scene, node, container, leader).await?;
            for direction in Direction::BOTH {
                scene.repairs.owe(
                    Due::AfterTrial,
                    format!("{} is cut off from the API server", leader.name),
                    Repair::on_node(node, &direction.rule(&sandbox, "-D", &api)),
                );
            }
            let issued = scene.journal.now();
            for direction in Direction::BOTH {
                let command = direction.rule(&sandbox, "-I", &api);
                let cut = scene.cluster.on_node(node, &command).await;
                cut.and_then(|output| output.success(node, &command))
                    .map_err(FaultError::node(leader))?;
            }
            Ok(Strike::between(issued, scene.journal.now()))
        })
    }

    fn hold(&self, settings: &LeaseSettings) -> Hold {
        Hold::UntilTakeover(settings.duration() + BEYOND_LEASE)
    }

    /// The pause before the next repetition of a packet doubles each time, so it comes at the latest when the same time
    /// has passed once more.
    fn aftermath(&self, settings: &LeaseSettings) -> Duration {
        settings.duration() + BEYOND_LEASE * 2
    }
}

#[derive(Clone, Copy, Debug)]
enum Direction {
    Out,
    In,
}

impl Direction {
    /// What goes out is cut first: an answer alone does no harm.
    const BOTH: [Self; 2] = [Self::Out, Self::In];

    /// The command that inserts (`-I`) or deletes (`-D`) the rule in the network of process `pid`.
    fn rule<'a>(self, pid: &'a str, action: &'a str, api: &'a str) -> [&'a str; 12] {
        let (chain, end) = match self {
            Self::Out => ("OUTPUT", "-d"),
            Self::In => ("INPUT", "-s"),
        };
        [
            "nsenter", "-t", pid, "-n", "iptables", "-w", action, chain, end, api, "-j", "DROP",
        ]
    }
}

/// The address by which pods reach the API server.
async fn api_address(scene: &Scene<'_>) -> Result<String, FaultError> {
    let services: Api<Service> = Api::namespaced(scene.client.clone(), "default");
    let service = services.get("kubernetes").await;
    let service = service.map_err(FaultError::api("read Service", "kubernetes"))?;
    service
        .spec
        .and_then(|spec| spec.cluster_ip)
        .ok_or_else(|| FaultError::NoEffect("the Service kubernetes has no address".to_owned()))
}

/// The process that holds the pod's network for as long as the pod lives, also when its container is restarted.
async fn sandbox_pid(
    scene: &Scene<'_>,
    node: &str,
    container: &str,
    pod: &PodSeen,
) -> Result<String, FaultError> {
    let id = container.split_once("://").map_or(container, |(_, id)| id);
    let command = ["ctr", "-n", "k8s.io", "containers", "info", id];
    let told = scene.cluster.on_node(node, &command).await;
    let told = told
        .and_then(|output| output.success(node, &command))
        .map_err(FaultError::node(pod))?;
    let missing = || FaultError::NoEffect(format!("the runtime names no sandbox of {}", pod.name));
    let sandbox = sandbox_of(&told.stdout).ok_or_else(missing)?;
    let pid = scene.cluster.container_pid(node, &sandbox).await;
    let pid = pid.map_err(FaultError::node(pod))?.ok_or_else(missing)?;
    Ok(pid.to_string())
}

/// The sandbox in what `ctr containers info` writes.
fn sandbox_of(info: &str) -> Option<String> {
    let info: Value = serde_json::from_str(info).ok()?;
    let annotations = info.get("Spec")?.get("annotations")?;
    annotations.get(SANDBOX)?.as_str().map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sandbox_is_read_from_what_the_runtime_tells() {
        let info = r#"{"ID": "c", "Labels": {"io.kubernetes.pod.name": "p"},
            "Spec": {"annotations": {"io.kubernetes.cri.sandbox-id": "s1"}}}"#;
        assert_eq!(sandbox_of(info).as_deref(), Some("s1"));
        assert_eq!(sandbox_of("{}"), None);
        assert_eq!(sandbox_of("ctr: not found"), None);
    }

    #[test]
    fn each_rule_is_deleted_as_it_was_inserted() {
        for direction in Direction::BOTH {
            let inserted = direction.rule("41", "-I", "10.43.0.1").join(" ");
            let deleted = direction.rule("41", "-D", "10.43.0.1").join(" ");
            assert!(inserted.starts_with("nsenter -t 41 -n iptables"));
            assert_eq!(inserted.replace(" -I ", " -D "), deleted);
        }
        assert!(
            Direction::Out
                .rule("41", "-I", "10.43.0.1")
                .join(" ")
                .contains("OUTPUT -d 10.43.0.1")
        );
        assert!(
            Direction::In
                .rule("41", "-I", "10.43.0.1")
                .join(" ")
                .contains("INPUT -s 10.43.0.1")
        );
    }
}

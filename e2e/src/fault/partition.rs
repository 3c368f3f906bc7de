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

use super::{Fault, FaultError, Hold, Need, process};
use crate::{
    budget::{FaultKind, LeaseSettings},
    repairs::{Due, Repair},
    scene::Scene,
    trial::{PodSeen, Strike},
};

/// How much longer than the lease it lasts.
const BEYOND_LEASE: Duration = Duration::from_secs(1);

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
            let (node, _) = process::place(leader)?;
            let sandbox = process::sandbox(scene, leader).await?;
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
                process::run(scene, leader, node, &command).await?;
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
pub(super) async fn api_address(scene: &Scene<'_>) -> Result<String, FaultError> {
    let services: Api<Service> = Api::namespaced(scene.client.clone(), "default");
    let service = services.get("kubernetes").await;
    let service = service.map_err(FaultError::api("read Service", "kubernetes"))?;
    service
        .spec
        .and_then(|spec| spec.cluster_ip)
        .ok_or_else(|| FaultError::NoEffect("the Service kubernetes has no address".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

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

//! `partition`: the leader's pod is cut off from the API server, and reached again.
//!
//! Proves that a leader that can't renew gives up before others take over, and what no leader can see to: a write that
//! was on its way when the connection broke is repeated by the kernel and may arrive long after the Lease has changed
//! hands. The packets are dropped in silence by the pod's own firewall, in both directions; everything else, such as
//! probes and other pods, is left alone.

use k8s_openapi::api::core::v1::Service;
use kube::Api;

use super::{
    action::{Action, Need},
    error::FaultError,
    process,
};
use crate::{
    context::RunContext,
    undo_log::{Due, Undo},
};
use failover_judging::observed::{PodSeen, Strike};

pub(super) const ACTION: Action = Action {
    needs: Some(Need::Node),
    ..Action::of(|context, leader| Box::pin(strike(context, leader)))
};

async fn strike(context: &RunContext<'_>, leader: &PodSeen) -> Result<Strike, FaultError> {
    let api = api_address(context).await?;
    let (node, _) = process::place(leader)?;
    let sandbox = process::sandbox(context, leader).await?;
    for direction in Direction::BOTH {
        context.undo_log.record(
            Due::AfterTrial,
            format!("{} is cut off from the API server", leader.name),
            Undo::on_node(node, &direction.rule(&sandbox, "-D", &api)),
        );
    }
    let issued = context.observations.now();
    for direction in Direction::BOTH {
        let command = direction.rule(&sandbox, "-I", &api);
        process::run(context, leader, node, &command).await?;
    }
    Ok(Strike::between(issued, context.observations.now()))
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
pub(super) async fn api_address(context: &RunContext<'_>) -> Result<String, FaultError> {
    let services: Api<Service> = Api::namespaced(context.client.clone(), "default");
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
    use failover_judging::samples::says;

    #[test]
    fn each_rule_is_deleted_as_it_was_inserted() {
        for direction in Direction::BOTH {
            let inserted = direction.rule("41", "-I", "10.43.0.1").join(" ");
            let deleted = direction.rule("41", "-D", "10.43.0.1").join(" ");
            assert!(inserted.starts_with("nsenter -t 41 -n iptables"));
            assert_eq!(inserted.replace(" -I ", " -D "), deleted);
        }
        says(
            &Direction::Out.rule("41", "-I", "10.43.0.1").join(" "),
            &["OUTPUT -d 10.43.0.1"],
        );
        says(
            &Direction::In.rule("41", "-I", "10.43.0.1").join(" "),
            &["INPUT -s 10.43.0.1"],
        );
    }
}

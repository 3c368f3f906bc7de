//! `api-stop`: the API server's process is stopped by SIGSTOP for longer than the lease, and goes on.
//!
//! Proves that an outage of the API server does no harm: meanwhile nobody can write, the leader gives up at its renew
//! deadline, and when the server is back one replica works again within the lease. Which one is open: a renewal that was
//! on its way may be stored then. In k3s the API server shares its process with the rest of the control plane and kubelet.

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

/// The processes that serve the API, by their names: upstream's, and k3s's.
const SERVERS: [&str; 3] = ["pidof", "kube-apiserver", "k3s-server"];

pub(super) const ACTION: Action = Action {
    needs: Some(Need::Node),
    ..Action::of(|context, leader| Box::pin(strike(context, leader)))
};

async fn strike(context: &RunContext<'_>, leader: &PodSeen) -> Result<Strike, FaultError> {
    let node = match (context.cluster.audit_log(), &leader.node) {
        (Some(log), _) => log.node.clone(),
        (None, Some(node)) => node.clone(),
        (None, None) => return Err(FaultError::NoContainer(leader.name.clone())),
    };
    let found = context.cluster.on_node(&node, &SERVERS).await;
    let pids = pids_in(&found.map_err(FaultError::node(leader))?.stdout);
    if pids.is_empty() {
        let detail = format!(
            "no process on node {node} is named {} or {}",
            SERVERS[1], SERVERS[2]
        );
        return Err(FaultError::NoEffect(detail));
    }
    let command = |signal| {
        let words = ["kill", signal].map(str::to_owned).into_iter();
        words.chain(pids.iter().cloned()).collect::<Vec<_>>()
    };
    context.undo_log.record(
        Due::AfterTrial,
        format!("the API server on node {node} is stopped"),
        Undo::OnNode {
            node: node.clone(),
            command: command("-CONT"),
        },
    );
    let stop = command("-STOP");
    let stop: Vec<&str> = stop.iter().map(String::as_str).collect();
    let issued = context.observations.now();
    process::run(context, leader, &node, &stop).await?;
    let returned = context.observations.now();
    for pid in &pids {
        let stopped = process::is_stopped(context, &node, pid).await;
        if !stopped.map_err(FaultError::node(leader))? {
            let detail = format!("the API server's process {pid} goes on after SIGSTOP");
            return Err(FaultError::NoEffect(detail));
        }
    }
    Ok(Strike::between(issued, returned))
}

/// The process ids in what `pidof` writes, without the init process, which no signal from within can stop.
fn pids_in(text: &str) -> Vec<String> {
    text.split_whitespace()
        .filter(|pid| *pid != "1" && pid.chars().all(|c| c.is_ascii_digit()))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[rstest::rstest]
    #[case("41\n", &["41"])]
    #[case("57 1\n", &["57"])]
    #[case("", &[])]
    #[case("pidof: not found", &[])]
    fn the_servers_are_numbers_and_never_init(#[case] text: &str, #[case] pids: &[&str]) {
        assert_eq!(pids_in(text), pids);
    }
}

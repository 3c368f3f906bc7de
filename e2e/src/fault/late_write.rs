//! `late-write`: a write of the leader is held up on its way, the leader is stopped, and the write arrives when another
//! one leads.
//!
//! Proves that the API server refuses it, and nothing else can: the write was sent in time, its sender can't take it back, and
//! no clock of the operator's reaches it. With neither a fence nor a version in the write it is accepted, and the old leader
//! has written after the new one. The packets
//! of the leader's pod are held back by a queue that lets next to nothing through, and then all of it; its connections stay
//! as they are. Needs `tc` on the node and the queueing discipline `tbf` in its kernel.

use std::time::Duration;

use tokio::time::sleep;

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

/// How long the leader goes on while its packets are held back: the canary changes ten times in it, so it writes.
const WRITES_ON: Duration = Duration::from_secs(1);

/// An address that answers nobody (RFC 5737).
const NOBODY: &str = "192.0.2.1";

/// The network device of every pod.
const DEVICE: &str = "eth0";

/// By its path: a busybox among whose parts is a `tc` would take that one, which knows less.
const TC: &str = "/sbin/tc";

/// A queue that lets next to nothing through, and keeps what it gets.
const HELD: [&str; 6] = ["rate", "8bit", "burst", "2kb", "limit", "4mb"];
/// The same queue, letting everything through.
const FREE: [&str; 6] = ["rate", "1gbit", "burst", "1mb", "limit", "4mb"];

pub(super) const ACTION: Action = Action {
    needs: Some(Need::Node),
    ..Action::of(|context, leader| Box::pin(strike(context, leader)))
};

async fn strike(context: &RunContext<'_>, leader: &PodSeen) -> Result<Strike, FaultError> {
    let (node, _) = process::place(leader)?;
    let pid = process::of(context, leader).await?;
    let sandbox = process::sandbox(context, leader).await?;
    let owe = |what: &str, command: &[&str]| {
        let what = format!("{what} of {}", leader.name);
        context
            .undo_log
            .record(Due::AfterTrial, what, Undo::on_node(node, command));
    };
    // What is owed last is undone first: the packets go on, the next one to be sent pushes them out, the process goes
    // on a second later, and the queue goes when it holds nothing.
    owe(
        "the queue",
        &[
            "nsenter", "-t", &sandbox, "-n", TC, "qdisc", "del", "dev", DEVICE, "root",
        ],
    );
    owe("the process", &["kill", "-CONT", &pid.to_string()]);
    owe(
        "the packets",
        &[
            "nsenter", "-t", &sandbox, "-n", "ping", "-c", "1", "-W", "1", NOBODY,
        ],
    );
    owe("the network", &queue(&sandbox, "change", FREE));
    let issued = context.observations.now();
    let hold = queue(&sandbox, "replace", HELD);
    process::run(context, leader, node, &hold).await?;
    sleep(WRITES_ON).await;
    process::run(context, leader, node, &["kill", "-STOP", &pid.to_string()]).await?;
    Ok(Strike::between(issued, context.observations.now()))
}

/// The command that makes or changes the queue in the network of process `pid`.
fn queue<'a>(pid: &'a str, action: &'a str, shape: [&'a str; 6]) -> Vec<&'a str> {
    let begin = [
        "nsenter", "-t", pid, "-n", TC, "qdisc", action, "dev", DEVICE,
    ];
    begin
        .into_iter()
        .chain(["root", "tbf"])
        .chain(shape)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_queue_that_holds_is_the_one_that_lets_go() {
        let hold = queue("41", "replace", HELD).join(" ");
        assert_eq!(
            hold,
            "nsenter -t 41 -n /sbin/tc qdisc replace dev eth0 root tbf rate 8bit burst 2kb limit 4mb"
        );
        // Deleting it would drop what it holds.
        let free = queue("41", "change", FREE).join(" ");
        assert!(
            free.contains("/sbin/tc qdisc change dev eth0 root tbf rate 1gbit"),
            "{free}"
        );
    }
}

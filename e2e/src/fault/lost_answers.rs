//! `lost-answers`: whatever the API server answers the leader's pod is lost on its way, and what the leader asks arrives.
//!
//! Proves that a leader that is never answered does not hold the Lease against the others. Its renewals take place, so
//! to whoever looks at the Lease it is held; but a write without an answer is none to count on, so the leader's term ends
//! at its renew deadline, and it must neither work on nor keep others from the Lease by writing it again and again.
//! Another replica leads within the renew deadline, the lease duration and two retry periods of the fault, and stays.
//!
//! The pod's own firewall drops every packet from the API server in which a record of TLS application data begins (RFC
//! 8446 section 5.1: `17 03 03`). Acknowledgements of TCP and handshakes of TLS pass, so that connections are made and
//! requests arrive and are carried out, on old connections as on new ones. Lost are all answers to that pod, those of
//! watches and reads as well: which of them answers a write of the Lease can't be told from outside of TLS. Everything else,
//! such as probes and other pods, is left alone. Needs the match `string` of the node's iptables.

use std::time::Duration;

use super::{
    action::{Action, Need},
    effect,
    error::FaultError,
    partition::api_address,
    process,
};
use crate::{
    context::RunContext,
    undo_log::{Due, Undo},
};
use failover_judging::observed::{PodSeen, Strike};

/// How a record of application data begins: its type, and the version that every record names. As it stands, because a way
/// onto the node may lead through a shell, which would read the usual ways of writing bytes as its own.
const RECORD: &str = "\u{17}\u{3}\u{3}";

/// Where in a packet the first record can begin, counted from the header of IP: behind 20 bytes of that and 20 to 60 of TCP.
/// The match has to end before the second number.
const BEGINS: (&str, &str) = ("40", "84");

/// How long it may take at least until an answer is lost: the canary changes ten times a second, and every change is told;
/// without a canary the next renewal is waited for.
const ACTIVE_LIMIT: Duration = Duration::from_secs(5);

pub(super) const ACTION: Action = Action {
    needs: Some(Need::Node),
    ..Action::of(|context, leader| Box::pin(strike(context, leader)))
};

async fn strike(context: &RunContext<'_>, leader: &PodSeen) -> Result<Strike, FaultError> {
    let api = api_address(context).await?;
    let (node, _) = process::place(leader)?;
    let sandbox = process::sandbox(context, leader).await?;
    context.undo_log.record(
        Due::AfterTrial,
        format!("answers to {} are lost", leader.name),
        Undo::on_node(node, &rule(&sandbox, "-D", &api)),
    );
    let issued = context.observations.now();
    process::run(context, leader, node, &rule(&sandbox, "-I", &api)).await?;
    let returned = context.observations.now();
    wait_until_lost(context, leader, node, &sandbox, &api).await?;
    Ok(Strike::between(issued, returned))
}

/// The command that inserts (`-I`) or deletes (`-D`) the rule in the network of process `pid`.
fn rule<'a>(pid: &'a str, action: &'a str, api: &'a str) -> [&'a str; 24] {
    [
        "nsenter", "-t", pid, "-n", "iptables", "-w", action, "INPUT", "-s", api, "-p", "tcp",
        "-m", "string", "--algo", "kmp", "--from", BEGINS.0, "--to", BEGINS.1, "--string", RECORD,
        "-j", "DROP",
    ]
}

/// Waits until the rule has dropped something: a firewall may take a rule that matches nothing.
async fn wait_until_lost(
    context: &RunContext<'_>,
    leader: &PodSeen,
    node: &str,
    sandbox: &str,
    api: &str,
) -> Result<(), FaultError> {
    let list = [
        "nsenter", "-t", sandbox, "-n", "iptables", "-w", "-vnxL", "INPUT",
    ];
    let limit = ACTIVE_LIMIT.max(context.settings.retry_period() * 2);
    let look = || async {
        let listed = process::run(context, leader, node, &list).await?;
        if dropped(&listed, api).is_some_and(|packets| packets > 0) {
            return Ok(());
        }
        Err(FaultError::NoEffect(format!(
            "no answer to {} was dropped within {} s",
            leader.name,
            limit.as_secs()
        )))
    };
    effect::wait(limit, Duration::from_millis(50), look).await
}

/// How many packets the rule has dropped, by the list that `iptables -vnxL` writes.
fn dropped(list: &str, api: &str) -> Option<u64> {
    let words = |line: &str| {
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let is_rule = |line: &Vec<String>| {
        ["DROP", "STRING", api]
            .into_iter()
            .all(|word| line.iter().any(|found| found == word))
    };
    let rule = list.lines().map(words).find(is_rule)?;
    rule.first()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule_is_deleted_as_it_was_inserted_and_drops_what_comes_from_the_api_server() {
        let inserted = rule("41", "-I", "10.43.0.1").join(" ");
        assert!(inserted.starts_with("nsenter -t 41 -n iptables -w -I INPUT -s 10.43.0.1 -p tcp"));
        let deleted = rule("41", "-D", "10.43.0.1").join(" ");
        assert_eq!(inserted.replace(" -I ", " -D "), deleted);
    }

    #[test]
    fn no_word_of_the_rule_is_read_by_a_shell_on_the_way() {
        for word in rule("41", "-I", "10.43.0.1") {
            let is_plain = |c: char| !" \t\n|&;<>()$`\\\"'*?[]#~=%!{}".contains(c);
            assert!(!word.is_empty() && word.chars().all(is_plain), "{word:?}");
        }
    }

    #[test]
    fn what_was_dropped_is_read_from_the_list_of_rules() {
        let list = |packets: &str| {
            format!(
                "Chain INPUT (policy ACCEPT 0 packets, 0 bytes)\n\
                 \x20   pkts      bytes target     prot opt in     out     source               destination\n\
                 \x20      3      180 DROP       6    --  *      *       10.43.0.9            0.0.0.0/0\n\
                 \x20{packets}    28983 DROP       6    --  *      *       10.43.0.1            0.0.0.0/0            STRING \
                 match  \"|170303|\" ALGO name kmp FROM 40 TO 84\n"
            )
        };
        assert_eq!(dropped(&list("      27"), "10.43.0.1"), Some(27));
        assert_eq!(dropped(&list("       0"), "10.43.0.1"), Some(0));
        assert_eq!(dropped(&list("      27"), "10.43.0.2"), None);
        assert_eq!(dropped("iptables: not found", "10.43.0.1"), None);
    }
}

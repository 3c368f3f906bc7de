//! The words of a first `failover.toml`: what was guessed, with why, and what is left to say as comments.

use super::guess::{Guess, GuessedSettings};
use failover_judging::observed::HolderIdentity;

/// The file for a guess.
pub fn draft(guess: &Guess) -> String {
    let unknown = guess.unknown.iter();
    let unknown: Vec<String> = unknown
        .map(|what| format!("# Not known: {what}.\n"))
        .collect();
    let container = guess.container.as_deref().map_or_else(
        || {
            let first = guess.containers.first().map_or("", String::as_str);
            let all = guess.containers.join(", ");
            format!("# container = {} # one of {all}", quoted(first))
        },
        |container| format!("container = {}", quoted(container)),
    );
    let lease = guess.lease.as_deref().map_or_else(
        || "# lease = \"\"".to_owned(),
        |lease| format!("lease = {}", quoted(lease)),
    );
    let holder = guess.holder.as_ref().map_or_else(
        || format!("# holder = \"{}\"", HolderIdentity::default()),
        |(way, holder)| {
            let held = quoted(holder);
            format!("# The Lease was held by {held}.\nholder = \"{way}\"")
        },
    );
    format!(
        r#"# What is put to the test, and what a run is asked for: failover run --config failover.toml
# Flags win over this file. Its keys: failover schema --config
{unknown}
[target]
# Applied to the cluster, in this order; without it the Deployment has to run there already (--kubeconfig).
# manifests = ["deploy"]
# Of the elected container, and further ones; a cluster that the run starts is given them from the engine.
# image = "example/operator:dev"
# images = []
namespace = {namespace}
deployment = {deployment}
{container}
{lease}
# How the holder that the Lease names leads to a pod: pod_name, name_suffix (the name, _ and anything),
# hostname_uuid (the hostname, - or _ and a UUID), any (the audit log tells).
{holder}

{election}

# What makes the leader write, so that its work can be timed and writes of others found: an object that is changed again
# and again, the change as a merge patch, and the resource that the leader's ServiceAccount then writes.
# [canary]
# answer = "configmaps"
# answer_name = "output"
# [canary.object]
# apiVersion = "v1"
# kind = "ConfigMap"
# metadata = {{ name = "input" }}
# [canary.patch]
# data = {{ change = "number {{counter}}" }}

# What the replicas tell of their roles: a metric that is 1 on the leader.
# [metrics]
# port = {port}
# leader = 'leader_election_master_status'

[run]
replicas = [{replicas}]
# failover faults explains them. Those that need commands on a node: --on-node, or a cluster that the run starts.
faults = ["graceful"]
trials = 3
# within = "15s"
# fail_if = ["graceful.lease.p95>2s"]
"#,
        unknown = unknown.concat(),
        namespace = quoted(&guess.namespace),
        deployment = quoted(&guess.deployment),
        election = election(&guess.settings),
        port = guess.port.unwrap_or(8080),
        replicas = guess.replicas.clamp(2, 20),
    )
}

fn election(settings: &GuessedSettings) -> String {
    if settings.by_variables {
        return "# The election settings are read from the variables LEASE_DURATION_SECONDS, LEASE_RENEW_DEADLINE_SECONDS \
                and\n# LEASE_RETRY_PERIOD_SECONDS of the container."
            .to_owned();
    }
    let (duration, deadline) = match settings.lease_duration {
        Some(seconds) => (
            format!("{seconds}s"),
            format!("renew_deadline = \"{seconds}s\""),
        ),
        None => ("lease".to_owned(), "# renew_deadline = \"10s\"".to_owned()),
    };
    let retry_period = settings.retry_period.map_or_else(
        || "# retry_period = \"2s\"".to_owned(),
        |seconds| format!("retry_period = \"{seconds}s\" # as seen"),
    );
    format!(
        r#"[target.election]
# How long a silent holder is left alone; "lease" reads it from the Lease.
lease_duration = "{duration}"
# When a leader that can't renew gives up. At the latest when its Lease expires.
{deadline}
# Time between renewals, and between the looks of a standby.
{retry_period}"#
    )
}

/// Text as TOML has it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{
        config::Config,
        deploy::{LeaseDuration, Seconds},
        init::guess::tests::{foreign, ours},
    };

    fn read(guess: &Guess) -> Config {
        let text = draft(guess);
        let read = Config::parse(Path::new("failover.toml"), text.clone());
        read.unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    #[test]
    fn a_draft_can_be_read_and_says_what_was_guessed() {
        let target = read(&Guess::of(&foreign(), None)).file.target;
        assert_eq!(target.deployment.as_deref(), Some("foreign"));
        assert_eq!(target.container.as_deref(), Some("manager"));
        assert_eq!(target.lease.as_deref(), Some("foreign.example"));
        let holder = target.holder;
        assert_eq!(holder, Some(HolderIdentity::NameSuffix));
        let fifteen = Some(LeaseDuration::Fixed(Seconds(15)));
        assert_eq!(target.election.lease_duration, fifteen);
        assert_eq!(target.election.retry_period, Some(Seconds(2)));
    }

    #[test]
    fn what_the_deployment_says_itself_is_not_said_again() {
        let guess = Guess::of(&ours(), None);
        assert_eq!(read(&guess).file.target.election.retry_period, None);
        assert!(!draft(&guess).contains("[target.election]"));
    }

    #[test]
    fn what_is_not_known_stands_in_the_file_as_a_comment() {
        let mut found = foreign();
        found.leases.clear();
        let guess = Guess::of(&found, None);
        let text = draft(&guess);
        assert!(text.contains("# Not known: which Lease it is"), "{text}");
        let target = read(&guess).file.target;
        assert_eq!((target.lease, target.holder), (None, None));
    }

    #[test]
    fn every_comment_that_is_a_key_is_one_that_is_known() {
        // Uncommented, the whole file still reads: nothing in it is misspelt.
        let text = draft(&Guess::of(&foreign(), None));
        let is_key = |line: &str| {
            line.starts_with("# [")
                || line.strip_prefix("# ").is_some_and(|rest| {
                    rest.split_once(" = ")
                        .is_some_and(|(key, _)| !key.contains(' '))
                })
        };
        let uncommented: Vec<&str> = text
            .lines()
            .map(|line| {
                if is_key(line) {
                    line.trim_start_matches("# ")
                } else {
                    line
                }
            })
            .collect();
        let uncommented = uncommented.join("\n");
        let read = Config::parse(Path::new("failover.toml"), uncommented.clone());
        let config = read.unwrap_or_else(|error| panic!("{error}\n{uncommented}"));
        assert!(config.file.canary.is_some() && config.file.metrics.is_some());
    }
}

//! The words of a first `failover.toml`: what was guessed, with why, and what is left to say as comments.

use super::guess::{Guess, GuessedSettings};
use failover_judging::observed::HolderIdentity;

/// The file for a guess.
pub fn draft(guess: &Guess) -> String {
    let mut text = String::new();
    let mut line = |words: &str| {
        text.push_str(words);
        text.push('\n');
    };
    line(
        "# What is put to the test, and what a run is asked for: failover run --config failover.toml",
    );
    line("# Flags win over this file. Its keys: failover schema --config");
    for unknown in &guess.unknown {
        line(&format!("# Not known: {unknown}."));
    }
    line("");
    line("[target]");
    line(
        "# Applied to the cluster, in this order; without it the Deployment has to run there already (--kubeconfig).",
    );
    line("# manifests = [\"deploy\"]");
    line(
        "# Of the elected container, and further ones; a cluster that the run starts is given them from the engine.",
    );
    line("# image = \"example/operator:dev\"");
    line("# images = []");
    line(&format!("namespace = {}", quoted(&guess.namespace)));
    line(&format!("deployment = {}", quoted(&guess.deployment)));
    match &guess.container {
        Some(container) => line(&format!("container = {}", quoted(container))),
        None => line(&format!(
            "# container = {} # one of {}",
            quoted(guess.containers.first().map_or("", String::as_str)),
            guess.containers.join(", ")
        )),
    }
    match &guess.lease {
        Some(lease) => line(&format!("lease = {}", quoted(lease))),
        None => line("# lease = \"\""),
    }
    line(
        "# How the holder that the Lease names leads to a pod: pod_name, name_suffix (the name, _ and anything),",
    );
    line("# hostname_uuid (the hostname, - or _ and a UUID), any (the audit log tells).");
    match &guess.holder {
        Some((HolderIdentity::Any, holder)) => {
            line(&format!("# The Lease was held by {}.", quoted(holder)));
            line("holder = \"any\"");
        }
        Some((way, holder)) => {
            line(&format!("# The Lease was held by {}.", quoted(holder)));
            line(&format!("holder = \"{way}\""));
        }
        None => line(&format!("# holder = \"{}\"", HolderIdentity::default())),
    }
    line("");
    for words in election(&guess.settings) {
        line(&words);
    }
    for words in REST.lines() {
        line(words);
    }
    let port = guess.port.unwrap_or(8080);
    line(&format!("# port = {port}"));
    for words in METRICS.lines() {
        line(words);
    }
    line(&format!("replicas = [{}]", guess.replicas.clamp(2, 20)));
    for words in RUN.lines() {
        line(words);
    }
    text
}

fn election(settings: &GuessedSettings) -> Vec<String> {
    if settings.by_variables {
        return vec![
            "# The election settings are read from the variables LEASE_DURATION_SECONDS, LEASE_RENEW_DEADLINE_SECONDS and"
                .to_owned(),
            "# LEASE_RETRY_PERIOD_SECONDS of the container.".to_owned(),
        ];
    }
    let mut lines = vec!["[target.election]".to_owned()];
    lines.push(
        "# How long a silent holder is left alone; \"lease\" reads it from the Lease.".to_owned(),
    );
    lines.push(match settings.lease_duration {
        Some(seconds) => format!("lease_duration = \"{seconds}s\""),
        None => "lease_duration = \"lease\"".to_owned(),
    });
    lines.push(
        "# When a leader that can't renew gives up. At the latest when its Lease expires."
            .to_owned(),
    );
    lines.push(match settings.lease_duration {
        Some(seconds) => format!("renew_deadline = \"{seconds}s\""),
        None => "# renew_deadline = \"10s\"".to_owned(),
    });
    lines.push("# Time between renewals, and between the looks of a standby.".to_owned());
    lines.push(match settings.retry_period {
        Some(seconds) => format!("retry_period = \"{seconds}s\" # as seen"),
        None => "# retry_period = \"2s\"".to_owned(),
    });
    lines
}

/// Text as TOML has it.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}

/// What nobody can guess: the work.
const REST: &str = r#"
# What makes the leader write, so that its work can be timed and writes of others found: an object that is changed again
# and again, the change as a merge patch, and the resource that the leader's ServiceAccount then writes.
# [canary]
# answer = "configmaps"
# answer_name = "output"
# [canary.object]
# apiVersion = "v1"
# kind = "ConfigMap"
# metadata = { name = "input" }
# [canary.patch]
# data = { change = "number {counter}" }

# What the replicas tell of their roles: a metric that is 1 on the leader.
# [metrics]"#;

const METRICS: &str = "# leader = 'leader_election_master_status'

[run]";

const RUN: &str = r#"# failover faults explains them. Those that need commands on a node: --on-node, or a cluster that the run starts.
faults = ["graceful"]
trials = 3
# within = "15s"
# fail_if = ["graceful.lease.p95>2s"]"#;

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
        let holder = target.holder.map(toml::Spanned::into_inner);
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

//! `failover doctor`: what this machine has and lacks for a run, with a fix for each lack.

use std::fmt;
use std::fs;
use std::path::Path;

use crate::cluster::privilege::Capabilities;
use crate::cluster::{ClusterError, K3S_REPOSITORY, K3S_TAG, NODE_IMAGE, OPERATOR_IMAGE, image};
use crate::engine::{self, Engine, EngineFacts};

const GIB: u64 = 1 << 30;
/// A cluster with an operator at rest takes about half of that, its images the rest.
const DISK_WANTED: u64 = 10 * GIB;
const DISK_NEEDED: u64 = 2 * GIB;
const MEMORY_WANTED: u64 = 4 * GIB;
const MEMORY_NEEDED: u64 = 2 * GIB;
/// The oldest engine API that the harness has been run against.
const API_TRIED: (u32, u32) = (1, 41);

/// Looks at the machine and says what would hinder a run.
#[derive(Debug, Clone, clap::Args)]
pub struct DoctorArgs {
    /// Operator image that a run would use
    #[arg(long, value_name = "IMAGE", env = "FAILOVER_IMAGE", default_value = OPERATOR_IMAGE)]
    pub image: String,
    /// Version of k3s that a run would use
    #[arg(long, value_name = "TAG", env = "FAILOVER_K3S_TAG", default_value = K3S_TAG)]
    pub k3s_tag: String,
    /// Image of the provider `node` that a run would use
    #[arg(long, value_name = "IMAGE", env = "FAILOVER_NODE_IMAGE", default_value = NODE_IMAGE)]
    pub node_image: String,
}

/// How a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// Nothing to do.
    Ok,
    /// A run is possible and something about it is worse.
    Warn,
    /// No run is possible.
    Fail,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What was looked at.
    pub subject: &'static str,
    /// How it weighs.
    pub health: Health,
    /// What was found.
    pub found: String,
    /// What to do about it; empty when there is nothing to do.
    pub fix: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let health = match self.health {
            Health::Ok => "ok",
            Health::Warn => "warn",
            Health::Fail => "FAIL",
        };
        write!(formatter, "{health:<5}{:<15} {}", self.subject, self.found)?;
        if self.fix.is_empty() {
            Ok(())
        } else {
            write!(formatter, "; {}", self.fix)
        }
    }
}

impl Finding {
    fn ok(subject: &'static str, found: impl Into<String>) -> Self {
        Self {
            subject,
            health: Health::Ok,
            found: found.into(),
            fix: String::new(),
        }
    }

    fn lack(
        subject: &'static str,
        health: Health,
        found: impl Into<String>,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            subject,
            health,
            found: found.into(),
            fix: fix.into(),
        }
    }
}

/// A run is possible with these findings.
pub fn can_run(findings: &[Finding]) -> bool {
    findings
        .iter()
        .all(|finding| finding.health != Health::Fail)
}

impl DoctorArgs {
    /// Looks at everything; what cannot be looked at without an engine is left out when there is none.
    pub async fn examine(&self) -> Vec<Finding> {
        let engine = match engine::probe().await {
            Ok(engine) => engine,
            Err(error) => {
                return vec![Finding::lack(
                    "engine",
                    Health::Fail,
                    error.to_string(),
                    String::new(),
                )];
            }
        };
        let facts = engine.facts();
        let mut findings = vec![
            Finding::ok(
                "engine",
                format!(
                    "{} at {} on {}",
                    facts.version, facts.address.text, facts.os
                ),
            ),
            api(facts),
            cgroup(facts, &self.k3s_tag),
            rights(facts),
            disk(facts),
            amount(
                "memory",
                facts.memory,
                MEMORY_WANTED,
                MEMORY_NEEDED,
                "give the engine's machine more memory",
            ),
            Finding::ok("kernel", facts.kernel.clone()),
        ];
        findings.extend(packet_filter(facts));
        findings.extend(self.images(&engine).await);
        findings
    }

    async fn images(&self, engine: &Engine) -> Vec<Finding> {
        let k3s = format!("{K3S_REPOSITORY}:{}", self.k3s_tag);
        let (operator, node) = (&self.image, &self.node_image);
        let present =
            [operator, node, &k3s].map(|reference| image::find(engine.docker(), reference));
        let mut seen = Vec::new();
        for look in present {
            match look.await {
                Ok(found) => seen.push(found.is_some()),
                Err(error) => return vec![broken(&error)],
            }
        }
        let [has_operator, has_node, has_k3s] = seen[..] else {
            return Vec::new();
        };
        vec![
            present_or(
                "operator image",
                operator,
                has_operator,
                Health::Fail,
                "build it with `just image`",
            ),
            present_or(
                "node image",
                node,
                has_node,
                Health::Warn,
                if has_k3s {
                    "not needed as long as k3s is used"
                } else {
                    "build it with `just node` where k3s cannot be pulled"
                },
            ),
            present_or(
                "k3s image",
                &k3s,
                has_k3s,
                Health::Warn,
                "a run tries to pull it and uses the node image where it cannot",
            ),
        ]
    }
}

fn broken(error: &ClusterError) -> Finding {
    Finding::lack(
        "images",
        Health::Fail,
        error.to_string(),
        "look into the engine's log",
    )
}

fn present_or(
    subject: &'static str,
    reference: &str,
    present: bool,
    lacking: Health,
    fix: &'static str,
) -> Finding {
    if present {
        Finding::ok(subject, format!("{reference} is present"))
    } else {
        Finding::lack(subject, lacking, format!("{reference} is not present"), fix)
    }
}

fn api(facts: &EngineFacts) -> Finding {
    let version = facts
        .api_version
        .split_once('.')
        .and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
    match version {
        Some(version) if version >= API_TRIED => {
            Finding::ok("engine API", facts.api_version.clone())
        }
        _ => Finding::lack(
            "engine API",
            Health::Warn,
            format!(
                "{} is older than {}.{}, the oldest that was tried",
                facts.api_version, API_TRIED.0, API_TRIED.1
            ),
            "update the engine if a call is refused",
        ),
    }
}

fn cgroup(facts: &EngineFacts, k3s_tag: &str) -> Finding {
    match facts.cgroup_version {
        Some(1) => Finding::ok(
            "cgroup",
            format!(
                "version 1; a kubelet of 1.35 or newer has to be told to accept it (k3s {k3s_tag})"
            ),
        ),
        Some(version) => Finding::ok("cgroup", format!("version {version}")),
        None => Finding::lack(
            "cgroup",
            Health::Warn,
            "the engine does not say which version it has",
            "update the engine",
        ),
    }
}

fn rights(facts: &EngineFacts) -> Finding {
    if !facts.address.local {
        return Finding::ok(
            "privileged",
            "known when the first cluster starts: the engine is not on this machine",
        );
    }
    let capabilities = Capabilities::of(&facts.address);
    if capabilities.missing.is_empty() {
        return Finding::ok("privileged", "every capability is there");
    }
    Finding::lack(
        "privileged",
        Health::Warn,
        capabilities.cost(),
        "nodes are started with the others by name, nothing to do",
    )
}

fn disk(facts: &EngineFacts) -> Finding {
    let root = &facts.root_dir;
    if !facts.address.local || !root.is_dir() {
        return Finding::ok("disk", format!("{} is not on this machine", root.display()));
    }
    match rustix::fs::statvfs(root) {
        Ok(space) => amount(
            "disk",
            space.f_bavail.saturating_mul(space.f_frsize),
            DISK_WANTED,
            DISK_NEEDED,
            "free space where the engine keeps its images, for example with `docker image prune`",
        ),
        Err(errno) => Finding::lack(
            "disk",
            Health::Warn,
            format!("{} cannot be examined: {errno}", root.display()),
            String::new(),
        ),
    }
}

fn amount(subject: &'static str, bytes: u64, wanted: u64, needed: u64, fix: &str) -> Finding {
    let found = format!("{}.{} GiB", bytes / GIB, bytes % GIB * 10 / GIB);
    if bytes >= wanted {
        return Finding::ok(subject, found);
    }
    let health = if bytes >= needed {
        Health::Warn
    } else {
        Health::Fail
    };
    Finding::lack(
        subject,
        health,
        format!("{found}, {} GiB are wanted", wanted / GIB),
        fix,
    )
}

fn packet_filter(facts: &EngineFacts) -> Option<Finding> {
    if !facts.address.local {
        return None;
    }
    // The kernel shows this file once its older packet filter is in use, by whatever program.
    let legacy = fs::read_to_string("/proc/net/ip_tables_names")
        .is_ok_and(|tables| !tables.trim().is_empty());
    let nft = Path::new("/sys/module/nf_tables").is_dir();
    let found = match (legacy, nft) {
        (true, true) => "legacy tables are in use, nf_tables is there too",
        (true, false) => "legacy tables are in use",
        (false, true) => "nf_tables",
        (false, false) => return None,
    };
    Some(Finding::ok("iptables", found))
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case::plenty(12 * GIB, Health::Ok)]
    #[case::scarce(5 * GIB, Health::Warn)]
    #[case::too_little(GIB, Health::Fail)]
    fn an_amount_is_weighed_against_what_is_wanted_and_what_is_needed(
        #[case] bytes: u64,
        #[case] health: Health,
    ) {
        assert_eq!(
            amount("disk", bytes, DISK_WANTED, DISK_NEEDED, "free some").health,
            health
        );
    }

    #[test]
    fn only_what_prevents_a_run_makes_it_impossible() {
        let warn = Finding::lack("cgroup", Health::Warn, "", "");
        let fail = Finding::lack("engine", Health::Fail, "", "");
        assert!(can_run(std::slice::from_ref(&warn)));
        assert!(!can_run(&[warn, fail]));
    }

    #[test]
    fn a_lack_is_shown_with_its_fix_on_one_line() {
        let line = present_or(
            "operator image",
            "x:1",
            false,
            Health::Fail,
            "build it with `just image`",
        )
        .to_string();
        assert_eq!(
            line,
            "FAIL operator image  x:1 is not present; build it with `just image`"
        );
    }
}

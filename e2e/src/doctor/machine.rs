//! What the engine's machine has and lacks.

use std::fs;
use std::path::Path;

use super::{Finding, Health};
use crate::cluster::privilege::Capabilities;
use crate::engine::EngineFacts;

const GIB: u64 = 1 << 30;
/// A cluster with an operator at rest takes about half of that, its images the rest.
const DISK_WANTED: u64 = 10 * GIB;
const DISK_NEEDED: u64 = 2 * GIB;
const MEMORY_WANTED: u64 = 4 * GIB;
const MEMORY_NEEDED: u64 = 2 * GIB;
/// The oldest engine API that the harness has been run against.
const API_TRIED: (u32, u32) = (1, 41);

pub(super) fn api(facts: &EngineFacts) -> Finding {
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

pub(super) fn cgroup(facts: &EngineFacts, k3s_tag: &str) -> Finding {
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

pub(super) fn rights(facts: &EngineFacts) -> Finding {
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

pub(super) fn disk(facts: &EngineFacts) -> Finding {
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

pub(super) fn packet_filter(facts: &EngineFacts) -> Option<Finding> {
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

pub(super) fn memory(facts: &EngineFacts) -> Finding {
    let fix = "give the engine's machine more memory";
    amount("memory", facts.memory, MEMORY_WANTED, MEMORY_NEEDED, fix)
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
}

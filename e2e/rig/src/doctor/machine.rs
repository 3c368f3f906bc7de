//! What the engine's machine has and lacks.

use std::fs;
use std::path::Path;

use super::finding::{Finding, Health};
use crate::cluster::privilege::Capabilities;
use crate::engine::EngineFacts;

const GIB: u64 = 1 << 30;
/// A cluster with an operator at rest takes about half of that, its images the rest.
const DISK_WANTED: u64 = 10 * GIB;
const DISK_NEEDED: u64 = 2 * GIB;
const MEMORY_WANTED: u64 = 4 * GIB;
const MEMORY_NEEDED: u64 = 2 * GIB;
/// Control plane, operator and harness measure each other's delays when they share a single processor.
const CPUS_WANTED: u64 = 2;
/// The oldest kernel that a kubelet of today is checked against
/// (<https://kubernetes.io/docs/reference/node/kernel-version-requirements/>).
const KERNEL_WANTED: (u32, u32) = (4, 19);
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
                "version 1; a kubelet of 1.35 or newer has to be told to accept it, which a run does (k3s {k3s_tag})"
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
            "run this as a user that may read it, or look with `df`",
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

pub(super) fn packet_filter(facts: &EngineFacts) -> Finding {
    if !facts.address.local {
        return Finding::ok(
            "iptables",
            "known when the first cluster starts: the engine is not on this machine",
        );
    }
    // The kernel has this file as long as its older packet filter is there, and lists in it what is in use.
    let legacy = fs::read_to_string("/proc/net/ip_tables_names").ok();
    // Compiled into the kernel it is no module, but its functions have names.
    let nft = Path::new("/sys/module/nf_tables").is_dir()
        || fs::read_to_string("/proc/kallsyms").is_ok_and(|names| names.contains(" nf_tables_"));
    weigh_packet_filter(legacy.as_deref(), nft)
}

/// `legacy` is what the older packet filter lists as in use, where it is there.
fn weigh_packet_filter(legacy: Option<&str>, nft: bool) -> Finding {
    let in_use = legacy.is_some_and(|tables| !tables.trim().is_empty());
    match (legacy, nft) {
        (Some(_), true) if in_use => Finding::ok(
            "iptables",
            "legacy tables are in use, nf_tables is there too",
        ),
        (_, true) => Finding::ok("iptables", "nf_tables"),
        (Some(_), false) => Finding::ok("iptables", "legacy tables"),
        (None, false) => Finding::lack(
            "iptables",
            Health::Warn,
            "neither nf_tables nor the legacy tables are loaded",
            "a node loads what it needs if it can; else `modprobe nf_tables`, or a kernel that has them",
        ),
    }
}

pub(super) fn kernel(facts: &EngineFacts) -> Finding {
    let mut numbers = facts.kernel.split(|c: char| !c.is_ascii_digit());
    let mut number = || numbers.next().and_then(|text| text.parse::<u32>().ok());
    match (number(), number()) {
        (Some(major), Some(minor)) if (major, minor) < KERNEL_WANTED => Finding::lack(
            "kernel",
            Health::Warn,
            format!(
                "{} is older than {}.{}, the oldest that Kubernetes supports",
                facts.kernel, KERNEL_WANTED.0, KERNEL_WANTED.1
            ),
            "update it",
        ),
        _ => Finding::ok("kernel", facts.kernel.clone()),
    }
}

pub(super) fn processors(facts: &EngineFacts) -> Finding {
    let found = facts.cpus.to_string();
    if facts.cpus >= CPUS_WANTED {
        return Finding::ok("processors", found);
    }
    Finding::lack(
        "processors",
        Health::Warn,
        format!(
            "{found}, {CPUS_WANTED} are wanted: what is measured includes waiting for each other"
        ),
        "give the engine's machine more, or expect INCONCLUSIVE",
    )
}

/// A node in a container reads the kernel's log from here.
pub(super) fn kernel_log(facts: &EngineFacts) -> Finding {
    let path = "/dev/kmsg";
    if !facts.address.local {
        return Finding::ok(
            "kernel log",
            "known when the first cluster starts: the engine is not on this machine",
        );
    }
    if Path::new(path).exists() {
        Finding::ok("kernel log", format!("{path} is there"))
    } else {
        Finding::lack(
            "kernel log",
            Health::Warn,
            format!("{path} is missing, and kubelet does not start without it"),
            "run the engine where the device is, or `mknod /dev/kmsg c 1 11`",
        )
    }
}

pub(super) fn memory(facts: &EngineFacts) -> Finding {
    let fix = "give the engine's machine more memory";
    amount("memory", facts.memory, MEMORY_WANTED, MEMORY_NEEDED, fix)
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    fn facts(kernel: &str, cpus: u64) -> EngineFacts {
        EngineFacts {
            address: crate::engine::Address::from_env(),
            version: "20.10.24".to_owned(),
            api_version: "1.41".to_owned(),
            cgroup_version: Some(1),
            storage_driver: "overlay2".to_owned(),
            os: "Debian".to_owned(),
            kernel: kernel.to_owned(),
            root_dir: "/var/lib/docker".into(),
            memory: 8 * GIB,
            cpus,
        }
    }

    #[rstest]
    #[case("6.18.5", Health::Ok)]
    #[case("4.19.0-26-amd64", Health::Ok)]
    #[case("4.18.0-553.el8", Health::Warn)]
    #[case("3.10.0", Health::Warn)]
    #[case("unknown", Health::Ok)]
    fn a_kernel_older_than_kubernetes_supports_is_named(
        #[case] version: &str,
        #[case] health: Health,
    ) {
        let finding = kernel(&facts(version, 2));
        assert_eq!(finding.health, health);
        assert!(finding.found.starts_with(version), "{finding}");
    }

    #[rstest]
    #[case(2, Health::Ok)]
    #[case(1, Health::Warn)]
    fn a_single_processor_is_shared_by_too_many(#[case] cpus: u64, #[case] health: Health) {
        assert_eq!(processors(&facts("6.1.0", cpus)).health, health);
    }

    #[rstest]
    #[case::both(
        Some("nat\nfilter\n"),
        true,
        Health::Ok,
        "legacy tables are in use, nf_tables"
    )]
    #[case::legacy_unused(Some(""), true, Health::Ok, "nf_tables")]
    #[case::legacy_alone(Some("nat\n"), false, Health::Ok, "legacy tables")]
    #[case::nft_alone(None, true, Health::Ok, "nf_tables")]
    #[case::neither(None, false, Health::Warn, "neither")]
    fn one_packet_filter_is_enough_and_none_is_said(
        #[case] legacy: Option<&str>,
        #[case] nft: bool,
        #[case] health: Health,
        #[case] found: &str,
    ) {
        let finding = weigh_packet_filter(legacy, nft);
        assert_eq!(finding.health, health);
        assert!(finding.found.contains(found), "{finding}");
        assert_eq!(finding.fix.is_empty(), health == Health::Ok);
    }

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

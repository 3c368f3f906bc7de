//! What a node's container may do.
//!
//! A node wants everything (`--privileged`). Some machines lack a single capability, and then the engine refuses the
//! whole word; every capability that the machine does have is then asked for by name, which runs the node as well.

use std::fs;
use std::sync::OnceLock;

use testcontainers::TestcontainersError;
use testcontainers::bollard::models::{DeviceMapping, HostConfig};

use crate::engine::Address;

/// Capabilities by number, from `linux/capability.h`.
///
/// The three newer ones (PERFMON, BPF, `CHECKPOINT_RESTORE`) are left out: engines of 2020 refuse their names, and
/// `SYS_ADMIN` contains them.
const NAMES: [&str; 38] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
];

/// What the engine of this process turned out to allow.
static LEARNT: OnceLock<Privilege> = OnceLock::new();

/// How a node's container gets its rights.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Privilege {
    /// All of them, in one word.
    Privileged,
    /// Those that the machine has, by name.
    ByName(Capabilities),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Capabilities {
    pub(crate) present: Vec<&'static str>,
    pub(crate) missing: Vec<&'static str>,
}

impl Privilege {
    /// What was learnt before in this process, else the one word.
    pub(super) fn known() -> Self {
        LEARNT.get().cloned().unwrap_or(Self::Privileged)
    }

    pub(super) fn remember(self) -> Self {
        LEARNT.get_or_init(|| self).clone()
    }

    /// Turns the rights into the container's settings.
    pub(super) fn apply(&self, host: &mut HostConfig) {
        let Self::ByName(capabilities) = self else {
            host.privileged = Some(true);
            return;
        };
        host.privileged = Some(false);
        host.cap_add = Some(
            capabilities
                .present
                .iter()
                .map(|name| (*name).to_owned())
                .collect(),
        );
        host.security_opt = Some(vec![
            "seccomp=unconfined".to_owned(),
            "apparmor=unconfined".to_owned(),
        ]);
        // `systempaths=unconfined` is a word of the command line; the API wants the two lists empty.
        host.masked_paths = Some(Vec::new());
        host.readonly_paths = Some(Vec::new());
        host.devices = Some(vec![DeviceMapping {
            path_on_host: Some("/dev/kmsg".to_owned()),
            path_in_container: Some("/dev/kmsg".to_owned()),
            cgroup_permissions: Some("rwm".to_owned()),
        }]);
    }
}

impl Capabilities {
    /// Those of the engine's machine: read from here when that is this machine, else all but the one that is known to
    /// be withheld.
    pub(crate) fn of(address: &Address) -> Self {
        let status = address
            .local
            .then(|| fs::read_to_string("/proc/self/status").ok())
            .flatten();
        let bounding = status.as_deref().and_then(bounding_set);
        Self::from_mask(bounding.unwrap_or(!(1 << 24)))
    }

    fn from_mask(mask: u64) -> Self {
        let (present, missing): (Vec<_>, Vec<_>) = NAMES
            .iter()
            .enumerate()
            .partition(|(bit, _)| mask & (1 << bit) != 0);
        let names =
            |list: Vec<(usize, &&'static str)>| list.into_iter().map(|(_, name)| *name).collect();
        Self {
            present: names(present),
            missing: names(missing),
        }
    }

    /// What a node loses without the missing ones.
    pub(crate) fn cost(&self) -> String {
        if self.missing.is_empty() {
            return "none is missing".to_owned();
        }
        let cost = if self.missing == ["SYS_RESOURCE"] {
            "pods cannot lower their OOM score, so under memory pressure the kernel may end any of them; nothing else is lost"
        } else {
            "what needs them fails in the node"
        };
        format!("without {}: {cost}", self.missing.join(", "))
    }
}

/// The engine refused to start a container because the machine lacks a right that was asked for.
pub(super) fn refused(error: &TestcontainersError) -> bool {
    let message = error.to_string().to_lowercase();
    message.contains("unable to apply caps") || message.contains("operation not permitted")
}

fn bounding_set(status: &str) -> Option<u64> {
    let value = status
        .lines()
        .find_map(|line| line.strip_prefix("CapBnd:"))?;
    u64::from_str_radix(value.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use failover_judging::samples::says;

    #[test]
    fn the_one_missing_capability_is_found_and_every_other_one_is_asked_for() {
        let mask = bounding_set("CapEff:\t0\nCapBnd:\t000001fffeffffff\n").unwrap();
        let capabilities = Capabilities::from_mask(mask);
        assert_eq!(capabilities.missing, ["SYS_RESOURCE"]);
        assert_eq!(capabilities.present.len(), NAMES.len() - 1);
        says(&capabilities.cost(), &["OOM score"]);
    }

    #[test]
    fn rights_by_name_come_with_everything_else_that_privileged_means() {
        let mut host = HostConfig::default();
        Privilege::ByName(Capabilities::from_mask(u64::MAX)).apply(&mut host);
        assert_eq!(host.privileged, Some(false));
        assert_eq!(
            (host.masked_paths, host.readonly_paths),
            (Some(Vec::new()), Some(Vec::new()))
        );
        assert!(
            host.devices
                .is_some_and(|devices| devices[0].path_on_host.as_deref() == Some("/dev/kmsg"))
        );
    }

    #[test]
    fn a_refusal_for_want_of_rights_is_told_from_other_failures() {
        let error = |text: &str| TestcontainersError::other(std::io::Error::other(text.to_owned()));
        assert!(refused(&error(
            "OCI runtime create failed: unable to apply caps: operation not permitted"
        )));
        assert!(!refused(&error("port is already allocated")));
    }
}

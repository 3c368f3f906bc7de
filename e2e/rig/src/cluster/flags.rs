//! The command lines of the nodes that failover is measured on.
//!
//! k3s and the node image take the same flags; what they leave out is what a failover rig does not need.

use failover_judging::report::Provider;

/// Where the audit policy is put into the container, and where the log is found.
///
/// The log's folder is the one that k3s's hardening guide uses; it is a volume and no tmpfs.
pub(super) const AUDIT_POLICY_PATH: &str = "/var/lib/rancher/k3s/server/audit-policy.yaml";
pub(super) const AUDIT_LOG_PATH: &str = "/var/lib/rancher/k3s/server/logs/audit.log";
/// Image archives in this folder are imported before the node is Ready.
pub(super) const IMAGES_DIR: &str = "/var/lib/rancher/k3s/agent/images";
/// The kubeconfig of the administrator, with the server at 127.0.0.1.
pub(super) const KUBECONFIG_PATH: &str = "/etc/rancher/k3s/k3s.yaml";

/// From this minor version on, the kubelet refuses cgroup v1 unless it is told otherwise (KEP-5573).
const REFUSES_CGROUP_V1: u32 = 35;

/// What the flags of a node depend on, whichever its role.
#[derive(Debug, Clone, Copy)]
pub(super) struct NodeFlags<'a> {
    pub(super) provider: Provider,
    pub(super) tag: &'a str,
    pub(super) node: &'a str,
    pub(super) cgroup_version: Option<u8>,
    pub(super) storage_driver: &'a str,
    /// The secret by which agents join; a server without agents makes one of its own.
    pub(super) token: Option<&'a str>,
}

impl NodeFlags<'_> {
    /// The command of a server whose API is reached from here at `host`.
    pub(super) fn server(&self, host: &str) -> Vec<String> {
        let own = [
            format!("--tls-san={host}"),
            "--disable=traefik,servicelb,metrics-server,local-storage".to_owned(),
            "--disable-network-policy".to_owned(),
            "--disable-helm-controller".to_owned(),
            format!("--kube-apiserver-arg=audit-policy-file={AUDIT_POLICY_PATH}"),
            format!("--kube-apiserver-arg=audit-log-path={AUDIT_LOG_PATH}"),
            // An answer is only sent once its entry is written: what was accepted is in the log.
            "--kube-apiserver-arg=audit-log-mode=blocking".to_owned(),
            // In megabytes: a rotation in the middle of a run could lose lines to whoever follows the file.
            "--kube-apiserver-arg=audit-log-maxsize=10000".to_owned(),
        ];
        self.common("server").into_iter().chain(own).collect()
    }

    /// The command of an agent that joins the server at `address`, which is an address on their network.
    pub(super) fn agent(&self, address: &str) -> Vec<String> {
        let own = [format!("--server=https://{address}:6443")];
        self.common("agent").into_iter().chain(own).collect()
    }

    fn common(&self, role: &str) -> Vec<String> {
        let mut command = vec![
            role.to_owned(),
            format!("--node-name={}", self.node),
            format!("--snapshotter={}", snapshotter(self.storage_driver)),
        ];
        command.extend(self.token.map(|token| format!("--token={token}")));
        let tells_kubelet = self.provider == Provider::K3s && self.cgroup_version == Some(1);
        if tells_kubelet && minor(self.tag).is_some_and(|minor| minor >= REFUSES_CGROUP_V1) {
            command.push("--kubelet-arg=fail-cgroupv1=false".to_owned());
        }
        command
    }
}

/// The node keeps its images on a volume, which lies on the file system below the engine's storage driver.
fn snapshotter(storage_driver: &str) -> &'static str {
    match storage_driver {
        "overlay2" | "overlay" | "overlayfs" => "overlayfs",
        // Slow and hungry for space, but it works on every file system.
        _ => "native",
    }
}

/// The minor version in a tag such as `v1.34.12-k3s1`.
fn minor(tag: &str) -> Option<u32> {
    tag.trim_start_matches('v').split('.').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(provider: Provider, tag: &str) -> NodeFlags<'_> {
        NodeFlags {
            provider,
            tag,
            node: "n1",
            cgroup_version: Some(1),
            storage_driver: "overlay2",
            token: None,
        }
    }

    #[test]
    fn the_audit_log_is_written_before_the_answer_is_sent() {
        let command = node(Provider::K3s, "v1.34.12-k3s1").server("10.0.0.1");
        assert!(
            command
                .iter()
                .any(|flag| flag == "--kube-apiserver-arg=audit-log-mode=blocking"),
            "{command:?}"
        );
    }

    #[test]
    fn the_certificate_names_the_host_that_the_harness_connects_to() {
        assert!(
            node(Provider::Node, "v1.34.4")
                .server("10.0.0.1")
                .contains(&"--tls-san=10.0.0.1".to_owned())
        );
    }

    #[test]
    fn an_agent_joins_its_server_by_the_token_that_both_are_given() {
        let flags = NodeFlags {
            token: Some("secret"),
            ..node(Provider::Node, "v1.34.4")
        };
        assert_eq!(
            flags.agent("172.18.0.2"),
            [
                "agent",
                "--node-name=n1",
                "--snapshotter=overlayfs",
                "--token=secret",
                "--server=https://172.18.0.2:6443"
            ]
        );
        assert!(
            flags
                .server("127.0.0.1")
                .contains(&"--token=secret".to_owned())
        );
    }

    #[test]
    fn only_a_version_that_refuses_cgroup_v1_is_told_to_accept_it() {
        let told = |tag| {
            let told =
                |command: Vec<String>| command.iter().any(|flag| flag.contains("fail-cgroupv1"));
            let flags = node(Provider::K3s, tag);
            (told(flags.server("h")), told(flags.agent("h")))
        };
        assert_eq!(told("v1.34.12-k3s1"), (false, false));
        assert_eq!(told("v1.35.9-k3s1"), (true, true));
    }

    #[test]
    fn a_storage_driver_that_cannot_carry_overlayfs_gets_plain_copies() {
        assert_eq!(
            (snapshotter("overlay2"), snapshotter("vfs")),
            ("overlayfs", "native")
        );
    }
}

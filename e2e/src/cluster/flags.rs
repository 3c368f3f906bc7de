//! The command line of a server that failover is measured on.
//!
//! k3s and the node image take the same flags; what they leave out is what a failover rig does not need.

use super::Provider;

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

/// What the flags depend on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Server<'a> {
    pub(super) provider: Provider,
    pub(super) tag: &'a str,
    pub(super) node: &'a str,
    pub(super) host: &'a str,
    pub(super) cgroup_version: Option<u8>,
    pub(super) storage_driver: &'a str,
}

impl Server<'_> {
    pub(super) fn command(&self) -> Vec<String> {
        let mut command = vec![
            "server".to_owned(),
            format!("--node-name={}", self.node),
            format!("--tls-san={}", self.host),
            format!("--snapshotter={}", snapshotter(self.storage_driver)),
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

    fn server(provider: Provider, tag: &str) -> Server<'_> {
        Server {
            provider,
            tag,
            node: "n1",
            host: "10.0.0.1",
            cgroup_version: Some(1),
            storage_driver: "overlay2",
        }
    }

    #[test]
    fn the_audit_log_is_written_before_the_answer_is_sent() {
        let command = server(Provider::K3s, "v1.34.12-k3s1").command();
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
            server(Provider::Node, "v1.34.4")
                .command()
                .contains(&"--tls-san=10.0.0.1".to_owned())
        );
    }

    #[test]
    fn only_a_version_that_refuses_cgroup_v1_is_told_to_accept_it() {
        let told = |tag| {
            server(Provider::K3s, tag)
                .command()
                .iter()
                .any(|flag| flag.contains("fail-cgroupv1"))
        };
        assert_eq!((told("v1.34.12-k3s1"), told("v1.35.9-k3s1")), (false, true));
    }

    #[test]
    fn a_storage_driver_that_cannot_carry_overlayfs_gets_plain_copies() {
        assert_eq!(
            (snapshotter("overlay2"), snapshotter("vfs")),
            ("overlayfs", "native")
        );
    }
}
